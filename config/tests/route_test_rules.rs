//! Route tests on rules, in the real module: each of this project's own fields,
//! with a table that affects it.

use ingress_filter::RouteTable;
use ingressctl::explain::Explainer;
use ingressctl::route_test::{Report, read_text, run};
use ingressctl::settings::Settings;
use serde_json::json;

fn explainer() -> Explainer {
    let header = |value: &str| json!({"headers": [{"name": "x-rule", "value": {"exact": value}}]});
    let forward = |value: &str, mut forward: serde_json::Value| {
        forward["cluster"] = forward.get("cluster").cloned().unwrap_or(json!("web"));
        let name = format!("ns/{value}");
        json!({"name": name, "match": header(value), "action": {"forward": forward}})
    };
    let table: RouteTable = serde_json::from_value(json!({
        "version": 1,
        "sanitized_by_envoy": true,
        "backends": [{
            "name": "web",
            "default": {"forward": {"cluster": "web"}},
            "rules": [
                forward("slow", json!({
                    "timeout": {"ms": 4000},
                    "retries": {"attempts": 3, "per_try_timeout_ms": 1500},
                    "mirror": "shadow",
                    "append_headers": [{"name": "x-added", "value": "yes"}]
                })),
                forward("fault", json!({"fault": {
                    "delay": {"per_million": 1_000_000, "ms": 20},
                    "abort": {"per_million": 100_000, "status": {"grpc": 14}}
                }})),
                forward("rewrite", json!({"rewrite": {"path": "/new", "authority": "b.example"}})),
                forward("split", json!({"cluster": [
                    {"cluster": "v1", "weight": 75}, {"cluster": "v2", "weight": 25}
                ]})),
                forward("cors", json!({"cors": {"allow_origins": ["https://c.example"]}})),
                forward("socket", json!({"websocket": true})),
                {"name": "ns/moved", "match": header("moved"),
                 "action": {"redirect": {"authority": "b.example"}}},
                {"name": "ns/net", "match": {"source_subnets": ["10.0.0.0/8"]},
                 "action": {"respond": {"status": 503}}}
            ]
        }],
        "virtual_hosts": [{"hosts": ["*"], "routes": [
            {"match": {"prefix": "/"}, "backend": "web", "source": "ns/web#0.0"}
        ]}]
    }))
    .expect("a table");
    Explainer::new(&table, &Settings::default()).expect("the module accepts the table")
}

/// The report of tests, each in the form `rule | more of input | validate`.
fn report(tests: &[(&str, &str, &str)]) -> Report {
    let mut file = "tests:\n".to_owned();
    for (rule, input, validate) in tests {
        let headers = format!("additional_request_headers: [{{key: x-rule, value: {rule}}}]");
        let input = format!("{{authority: a.example, path: '/x?y', {headers}, {input}}}");
        let item = format!("- {{test_name: {rule}, input: {input}, validate: {validate}}}\n");
        file.push_str(&item);
    }
    let cases = read_text("cases", &file);
    let findings: Vec<_> = cases.findings.iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "{findings:?}");
    run(&cases, &explainer()).expect("the module runs")
}

/// The expected and the actual value of the only failed test.
fn differences(report: &Report) -> Vec<(&str, &str, &str)> {
    let failures = report.tests.iter().flat_map(|test| &test.failures);
    failures
        .map(|failure| {
            let field = failure.field.trim_start_matches("validate.");
            (field, failure.expected.as_str(), failure.got.as_str())
        })
        .collect()
}

#[test]
fn each_field_holds_where_it_is_so() {
    let report = report(&[
        (
            "slow",
            "",
            "{cluster_name: web, timeout: 4s, request_header_matches: [{name: x-added, exact_match: 'yes'}, \
             {name: x-ingress-mirror, present_match: false}], ingress: {timeout: 4s, \
             per_try_timeout: 1500, retries: 3, mirror: shadow, rule: ns/slow, status: '', \
             ingress: ns/web#0.0, delay: 0, location: ''}}",
        ),
        ("fault", "", "{cluster_name: web, ingress: {delay: 0.02s, status: '', grpc_status: ''}}"),
        (
            "fault",
            "random_value: 999999",
            "{cluster_name: '', ingress: {delay: 20, status: 200, grpc_status: 14}}",
        ),
        (
            "rewrite",
            "",
            "{host_rewrite: b.example, path_rewrite: '/new/x?y', request_header_fields: \
             [{key: ':path', value: '/new/x?y'}, {key: x-envoy-original-path, value: '/x?y'}]}",
        ),
        ("split", "random_value: 74", "{cluster_name: v1}"),
        ("split", "random_value: 75", "{cluster_name: v2}"),
        ("split", "", "{ingress: {distribution: {requests: 2000, clusters: {v1: 75, v2: 25}}}}"),
        (
            "cors",
            "additional_headers: [{key: origin, value: 'https://c.example'}]",
            "{response_header_matches: [{name: access-control-allow-origin, \
             string_match: {exact: 'https://c.example'}}]}",
        ),
        ("socket", "", "{ingress: {websocket: true}}"),
        (
            "moved",
            "ssl: true",
            "{path_redirect: 'https://b.example/x?y', code_redirect: 302, cluster_name: '', \
             path_rewrite: '', ingress: {location: 'https://b.example/x?y', status: 302}}",
        ),
        ("none", "", "{timeout: 0s, ingress: {rule: '', websocket: false}}"),
        ("none", "ingress: {client: 10.1.2.3}", "{ingress: {rule: ns/net, status: 503}}"),
    ]);
    assert!(report.failed == 0 && report.passed == 12, "{:?}", differences(&report));
    assert!(report.coverage.rules.unreached.is_empty(), "{:?}", report.coverage);
}

#[test]
fn each_field_fails_where_it_is_not_so() {
    let report = report(&[(
        "slow",
        "",
        "{ingress: {timeout: '', per_try_timeout: 2s, retries: 0, mirror: '', rule: '', \
         status: 404, delay: 5, websocket: true, ingress: ns/web#0.1, location: /}}",
    )]);
    assert_eq!(
        differences(&report),
        [
            ("ingress.timeout", "(none)", "4000 ms"),
            ("ingress.per_try_timeout", "2000 ms", "1500 ms"),
            ("ingress.retries", "(none)", "3"),
            ("ingress.mirror", "(none)", "shadow"),
            ("ingress.rule", "(none)", "ns/slow"),
            ("ingress.status", "404", "(none)"),
            ("ingress.delay", "5 ms", "(none)"),
            ("ingress.websocket", "true", "false"),
            ("ingress.ingress", "ns/web#0.1", "ns/web#0.0"),
            ("ingress.location", "/", "(none)"),
        ]
    );
    assert_eq!((report.coverage.rules.reached, report.coverage.rules.total), (1, 8));
}

#[test]
fn a_share_that_is_off_fails() {
    let report = report(&[(
        "split",
        "",
        "{ingress: {distribution: {requests: 2000, tolerance: 5, clusters: {v1: 50, v2: 50}}}}",
    )]);
    let differences = differences(&report);
    assert_eq!(differences.len(), 2, "{differences:?}");
    let (field, expected, got) = differences[0];
    assert_eq!((field, expected), ("ingress.distribution", "50 % (± 5.00) to v1"));
    assert!(got.starts_with('7') && got.ends_with(" % to v1"), "{got}");
}
