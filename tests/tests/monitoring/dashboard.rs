//! The dashboard and the alerts on the metrics of a real gateway.

use std::collections::BTreeSet;
use std::fs;

use ingress_tests::{Prometheus, get, promtool, wait_until, workspace};
use regex::Regex;
use serde_json::Value;

use crate::rig::Rig;
use crate::rules::alerts;

/// A panel of the dashboard.
pub(crate) struct Panel {
    pub(crate) title: String,
    /// The query of each line, and the name of the line.
    pub(crate) queries: Vec<(String, String)>,
}

/// All panels, with the variables as Grafana would fill them in.
pub(crate) fn panels() -> Vec<Panel> {
    let file = workspace().join("config/deploy/chart/monitoring/dashboard.json");
    let dashboard: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let query = |target: &Value| {
        let query = text(&target["expr"]).replace("$__rate_interval", "15s");
        let query = query.replace("$instance", ".*").replace("$namespace", ".*");
        (query, text(&target["legendFormat"]))
    };
    panels
        .map(|panel| Panel {
            title: text(&panel["title"]),
            queries: panel["targets"].as_array().unwrap().iter().map(query).collect(),
        })
        .collect()
}

/// The metrics in an expression.
fn metrics_in(expression: &str) -> BTreeSet<String> {
    let metric = Regex::new(r"\bingress(ctl)?_[a-z_]+\b").unwrap();
    let labels = ["ingress_namespace"];
    let found = metric.find_iter(expression).map(|found| found.as_str().to_owned());
    found.filter(|name| !labels.contains(&&**name)).collect()
}

fn has_data(prometheus: &Prometheus, query: &str) -> bool {
    let result = prometheus.query(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    result.iter().any(|series| series["value"][1] != "NaN")
}

#[test]
fn every_panel_and_alert_has_data() {
    let rig = Rig::start("monitoring");
    let prometheus = rig.watch();
    rig.under_traffic(|| {
        for panel in panels() {
            for (query, _) in &panel.queries {
                let what = format!("data for the panel {:?}: {query}", panel.title);
                wait_until(&what, || has_data(&prometheus, query));
            }
        }
        for alert in alerts() {
            let expression = alert["expr"].as_str().unwrap();
            let metrics = metrics_in(expression);
            assert!(!metrics.is_empty(), "{expression}");
            for metric in metrics {
                wait_until(&format!("data for {expression}: {metric}"), || {
                    has_data(&prometheus, &metric)
                });
            }
        }
        wait_until("all alerts are evaluated", || {
            let rules = prometheus.rules();
            rules.len() == alerts().len() && rules.iter().all(|rule| rule["health"] == "ok")
        });
        // Two thirds of the requests for `/dead` and `/empty` fail, and `empty` has no endpoints.
        let is_pending = |name: &str| {
            let rules = prometheus.rules();
            let mut alerts = rules.iter().filter(|rule| rule["name"] == name);
            alerts.any(|rule| rule["state"] == "pending")
        };
        for alert in ["IngressErrors", "IngressRouteErrors", "IngressNoEndpoints"] {
            wait_until(&format!("{alert} is pending"), || is_pending(alert));
        }
    });
    for accept in ["text/plain", "application/openmetrics-text"] {
        let request = format!(
            "GET /metrics HTTP/1.1\r\nhost: x\r\naccept: {accept}\r\nconnection: close\r\n\r\n"
        );
        let metrics = ingress_tests::raw(rig.gateway.health_address(), request.as_bytes()).body;
        let types = metrics.lines().filter(|line| line.starts_with("# TYPE "));
        let names: Vec<_> = types.map(|line| line.split(' ').nth(2).unwrap()).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    }
    let metrics = get(rig.gateway.health_address(), "x", "/metrics").body;
    assert_eq!(promtool(&["check", "metrics"], &metrics), Ok(String::new()));
}

/// The metrics of the controller outlive Envoy.
#[test]
fn without_envoy_the_controller_still_reports() {
    let mut rig = Rig::start("monitoring-outage");
    let metrics = |rig: &Rig| get(rig.gateway.health_address(), "x", "/metrics").body;
    assert!(metrics(&rig).contains("\ningress_envoy_up 1\n"));
    rig.gateway.kill_envoy();
    wait_until("Envoy is reported as down", || metrics(&rig).contains("\ningress_envoy_up 0\n"));
    let metrics = metrics(&rig);
    assert!(metrics.contains("\ningressctl_leader "), "{metrics}");
    assert!(!metrics.contains("\ningress_responses_total"), "{metrics}");
}
