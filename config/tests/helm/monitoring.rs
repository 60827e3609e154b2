//! The objects for the Prometheus operator and Grafana, of two gateways in one cluster.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::program::{helm, objects, parsed};
use crate::{CHART, MONITORING};

/// The objects of a release, for monitoring alone.
fn rendered(release: &str, namespace: &str) -> Vec<Value> {
    let template = format!("templates/{MONITORING}");
    let output = helm(&[
        "template",
        release,
        CHART,
        "--namespace",
        namespace,
        "--set",
        "monitoring.enabled=true",
        "--show-only",
        &template,
    ]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    objects(&String::from_utf8(output.stdout).unwrap())
}

/// Grafana's sidecar writes all files into one folder, and Grafana accepts a `uid` and a title
/// there only once.
#[test]
fn two_gateways_have_two_dashboards() {
    let releases = [("edge", "a"), ("edge", "b"), ("other", "a")];
    let mut names = BTreeSet::new();
    for (release, namespace) in releases {
        let objects = rendered(release, namespace);
        let map = objects.iter().find(|object| object["kind"] == "ConfigMap").unwrap();
        let files = map["data"].as_object().unwrap();
        let [(file, text)] = &files.iter().collect::<Vec<_>>()[..] else { panic!("{files:?}") };
        let dashboard: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
        let text = |field: &str| dashboard[field].as_str().unwrap().to_owned();
        let (title, uid) = (text("title"), text("uid"));
        assert!(title.ends_with(&format!(" {namespace}/{release}")), "{title}");
        assert!(uid.len() <= 40, "the limit of Grafana: {uid}");
        names.extend([format!("file {file}"), title, uid]);
        // It shows the pods of this gateway.
        let pods = &dashboard["templating"]["list"][1];
        let job = format!(r#"job="{namespace}/{release}""#);
        assert!(pods["query"].as_str().unwrap().contains(&job), "{pods}");
        assert_eq!(pods["allValue"], Value::Null, "all are these");
    }
    assert_eq!(names.len(), 3 * releases.len(), "{names:?}");
}

/// Where one gateway is missing, the metrics of another one do not matter.
#[test]
fn each_gateway_is_missed_on_its_own() {
    let objects = rendered("edge", "a");
    let rules = objects.iter().find(|object| object["kind"] == "PrometheusRule").unwrap();
    let alerts = rules["spec"]["groups"][0]["rules"].as_array().unwrap();
    let alert = alerts.iter().find(|alert| alert["alert"] == "IngressNotScraped").unwrap();
    assert_eq!(alert["expr"], r#"absent(ingress_envoy_up{namespace="a", job="a/edge"})"#);
    let plain = std::fs::read_to_string(format!("{CHART}/monitoring/rules.yaml")).unwrap();
    let others = |rules: &Value| {
        let mut rules = rules["groups"][0]["rules"].as_array().unwrap().clone();
        rules.retain(|alert| alert["alert"] != "IngressNotScraped");
        rules
    };
    assert_eq!(others(&rules["spec"]), others(&parsed(&plain)));
}
