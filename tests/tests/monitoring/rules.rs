//! The alerts.

use std::collections::BTreeMap;
use std::fs;

use ingress_tests::{promtool, workspace};
use serde_json::{Value, json};

const RULES: &str = "config/deploy/chart/monitoring/rules.yaml";
const TESTS: &str = "tests/tests/monitoring/rules-test.yaml";
/// As in a cluster, rendered from the chart.
const RENDERED: &str = "config/deploy/monitoring/monitoring.yaml";
const PAGE: &str = "docs/monitoring.md";

fn read(file: &str) -> String {
    fs::read_to_string(workspace().join(file)).unwrap()
}

fn yaml(file: &str) -> Value {
    serde_saphyr::from_str(&read(file)).unwrap()
}

/// All alerts.
pub(crate) fn alerts() -> Vec<Value> {
    let rules = yaml(RULES);
    let groups = rules["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

#[test]
fn promtool_accepts_the_rules_and_their_tests_pass() {
    let path = |file: &str| workspace().join(file).display().to_string();
    promtool(&["check", "rules", &path(RULES)], "").unwrap();
    promtool(&["test", "rules", &path(TESTS)], "").unwrap();
}

/// In a cluster. Another gateway does not hide it, although it is scraped.
#[test]
fn the_loss_of_one_of_two_gateways_is_noticed() {
    let rendered = read(RENDERED);
    let mut objects =
        rendered.split("\n---\n").map(|text| serde_saphyr::from_str::<Value>(text).unwrap());
    let rules = objects.find(|object| object["kind"] == "PrometheusRule").unwrap();
    let scraped = |gateway: &str| {
        let (namespace, _) = gateway.split_once('/').unwrap();
        let labels = format!(r#"namespace="{namespace}", job="{gateway}", instance="{gateway}""#);
        json!({"series": format!("ingress_envoy_up{{{labels}}}"), "values": "1x30"})
    };
    let missed = json!([{
        "exp_labels": {
            "severity": "critical", "namespace": "istio-system", "job": "istio-system/istio-ingress"
        },
        "exp_annotations": {
            "summary": "No pod of the gateway istio-system/istio-ingress is scraped",
            "description": "Prometheus has had none of its metrics for 5 minutes. \
                            There are no pods, or the controllers do not respond.",
            "runbook": "docs/monitoring.md#ingressnotscraped",
        },
    }]);
    let case = |gateways: &[&str], expected: Value| {
        json!({
            "interval": "1m",
            "input_series": gateways.iter().map(|gateway| scraped(gateway)).collect::<Vec<_>>(),
            "alert_rule_test": [
                {"eval_time": "5m", "alertname": "IngressNotScraped", "exp_alerts": expected}
            ],
        })
    };
    let cases = json!({
        "rule_files": ["rules.yaml"],
        "tests": [
            case(&["internal/internal"], missed),
            case(&["internal/internal", "istio-system/istio-ingress"], json!([])),
        ],
    });
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("rules.yaml"), rules["spec"].to_string()).unwrap();
    let tests = folder.path().join("tests.yaml");
    fs::write(&tests, cases.to_string()).unwrap();
    promtool(&["test", "rules", tests.to_str().unwrap()], "").unwrap();
}

#[test]
fn each_alert_is_tested_to_fire_and_not_to() {
    let mut tested = BTreeMap::<String, (bool, bool)>::new();
    for test in yaml(TESTS)["tests"].as_array().unwrap() {
        for case in test["alert_rule_test"].as_array().unwrap() {
            let (fires, rests) =
                tested.entry(case["alertname"].as_str().unwrap().into()).or_default();
            match case["exp_alerts"].as_array() {
                Some(expected) if !expected.is_empty() => *fires = true,
                _ => *rests = true,
            }
        }
    }
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap();
        assert_eq!(tested.get(name), Some(&(true, true)), "{name} in {TESTS}: fires, and does not");
    }
}

#[test]
fn each_alert_has_texts_and_a_section_on_the_page() {
    let page = read(PAGE);
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap();
        for annotation in ["summary", "description"] {
            assert!(alert["annotations"][annotation].is_string(), "{name}: {annotation}");
        }
        assert!(alert["labels"]["severity"].is_string(), "{name}: severity");
        let runbook = format!("{PAGE}#{}", name.to_lowercase());
        assert_eq!(alert["annotations"]["runbook"], *runbook);
        assert!(page.contains(&format!("\n### {name}\n")), "{name} is missing in {PAGE}");
    }
}
