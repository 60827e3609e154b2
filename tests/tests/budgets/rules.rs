//! The cost of rules: a host call for each header that they read or set, and a few
//! instructions for each rule that does not match.

use std::time::{Duration, Instant};

use ingress_filter::{FlatTable, RouteTable};
use ingress_tests::Offline;
use proxy_wasm_test::{Module, Optimization, Plugin};
use serde_json::{Value, json};

/// A table with one backend, which has these rules.
fn table(rules: &[Value]) -> RouteTable {
    let table = json!({
        "version": 1,
        "sanitized_by_envoy": true,
        "fixed_random": 0,
        "backends": [{"name": "web", "rules": rules, "default": {"forward": {"cluster": "web"}}},
                     {"name": "plain", "default": {"forward": {"cluster": "plain"}}}],
        "virtual_hosts": [{"hosts": ["*"], "routes": [
            {"match": {"prefix": "/"}, "backend": "web"},
            {"match": {"prefix": "/plain"}, "backend": "plain"}]}]
    });
    serde_json::from_value(table).unwrap()
}

fn rule(headers: &Value, forward: &Value) -> Value {
    let mut forward = forward.clone();
    forward["cluster"] = json!("rule");
    json!({"match": {"headers": headers}, "action": {"forward": forward}})
}

fn header(name: &str, value: &str) -> Value {
    json!({"name": name, "value": {"exact": value}})
}

const REQUEST: [(&str, &[u8]); 8] = [
    (":authority", b"shop.example.com"),
    (":path", b"/path?x=y"),
    (":method", b"GET"),
    ("x-one", b"1"),
    ("x-two", b"2"),
    ("x-two", b"3"),
    ("origin", b"https://a.example"),
    ("x-patience", b"5s"),
];

/// The host calls of a request in addition to the three of a plain one.
fn further_calls(rules: &[Value]) -> Vec<String> {
    let record = Offline::of_table(&table(rules)).request(&REQUEST);
    let cluster = record.request.headers.get("x-ingress-cluster");
    assert!(cluster.is_some(), "{:?}", record.activity);
    let calls = record.activity.host_calls.iter().map(|call| {
        let name = call.name.trim_start_matches("proxy_").replace("_header_map_value", "");
        format!("{name} {}", String::from_utf8_lossy(&call.key).replace('\0', "."))
    });
    let plain = ["get :path", "get :authority", "replace x-ingress-cluster"];
    calls.filter(|call| !plain.contains(&call.as_str())).collect()
}

#[test]
fn a_backend_without_rules_costs_what_it_did() {
    let offline = Offline::of_table(&table(&[rule(&json!([header("x-one", "1")]), &json!({}))]));
    let record = offline.request(&[(":authority", b"h"), (":path", b"/plain/x")]);
    assert_eq!(record.activity.host_calls.len(), 3);
}

#[test]
fn a_header_is_read_once_however_many_rules_ask_for_it() {
    let conditions = json!([header("x-one", "1"), header("x-two", "2,3")]);
    assert_eq!(
        further_calls(&[rule(&conditions, &json!({}))]),
        ["get_property request.headers.x-one", "get_property request.headers.x-two"]
    );
    let other = |value: &str| rule(&json!([header("x-one", value)]), &json!({}));
    let many: Vec<_> = ["a", "b", "c", "1"].map(other).into();
    assert_eq!(further_calls(&many), ["get_property request.headers.x-one"]);
    // Rules that the path excludes cost no further calls.
    let elsewhere = json!([header("x-one", "1"), header(":path", "/elsewhere")]);
    assert_eq!(further_calls(&[rule(&elsewhere, &json!({}))]), [""; 0]);
}

#[test]
fn any_number_of_headers_costs_nine_host_calls() {
    let other = |index: usize| rule(&json!([header(&format!("x-{index}"), "1")]), &json!({}));
    let mut rules: Vec<_> = (0..1_000).map(other).collect();
    rules.push(rule(&json!([header("x-two", "2,3")]), &json!({})));
    let calls = further_calls(&rules);
    assert_eq!(calls.len(), 9, "{calls:?}");
    assert_eq!(calls[8], "get_header_map_pairs ");
}

#[test]
fn each_feature_costs_what_it_uses() {
    let of = |forward: Value| further_calls(&[rule(&json!([]), &forward)]);
    assert_eq!(of(json!({})), [""; 0]);
    assert_eq!(of(json!({"timeout": {"ms": 4_000}})), ["replace x-envoy-upstream-rq-timeout-ms"]);
    assert_eq!(
        of(json!({"timeout": {"ms": 1, "override_header": "x-patience"}})),
        ["get x-patience", "replace x-envoy-upstream-rq-timeout-ms"]
    );
    assert_eq!(
        of(json!({"retries": {"attempts": 2}})),
        ["replace x-envoy-retry-on", "replace x-envoy-max-retries"]
    );
    assert_eq!(of(json!({"mirror": "copy"})), ["replace x-ingress-mirror"]);
    assert_eq!(of(json!({"websocket": true})), ["replace x-ingress-websocket"]);
    assert_eq!(of(json!({"append_headers": [{"name": "x-a", "value": "b"}]})), ["add x-a"]);
    assert_eq!(
        of(json!({"rewrite": {"path": "/new", "authority": "h"}})),
        ["replace x-envoy-original-path", "replace :path", "replace :authority"]
    );
    assert_eq!(of(json!({"cors": {"allow_origins": ["*"]}})), ["get origin", "get :method"]);
    assert_eq!(of(json!({"cors": {"allow_origins": ["https://b.example"]}})), ["get origin"]);
    assert_eq!(
        of(json!({"fault": {"delay": {"per_million": 1_000_000, "ms": 5}}})),
        ["get_current_time_nanoseconds ", "set_tick_period_milliseconds "]
    );
    assert_eq!(of(json!({"fault": {"delay": {"per_million": 999_999, "ms": 5}}})), [""; 0]);
}

#[test]
fn a_weight_costs_no_host_call() {
    let split = json!({"match": {}, "action": {"forward": {"cluster": [
        {"cluster": "a", "weight": 75}, {"cluster": "b", "weight": 25}]}}});
    assert_eq!(further_calls(&[split]), [""; 0]);
}

/// This many rules; only the last one matches.
fn many(count: usize, condition: impl Fn(usize) -> Value) -> Vec<Value> {
    (0..count).map(|index| rule(&json!([condition(count - 1 - index)]), &json!({}))).collect()
}

/// The instructions of a request, and its time in the module, the minimum of many
/// runs.
fn cost(rules: &[Value]) -> (u64, Duration) {
    let module = Module::with_optimization(ingressctl::MODULE, Optimization::Speed).unwrap();
    let plugin = Plugin::new(&module).unwrap();
    assert!(plugin.configure(FlatTable::encode(&table(rules)).unwrap().bytes()).unwrap());
    let request = || {
        let mut exchange = plugin.exchange().unwrap();
        let start = Instant::now();
        exchange.request_headers(REQUEST, true).unwrap();
        let took = start.elapsed();
        let record = exchange.finish().unwrap();
        assert_eq!(record.request.headers.get("x-ingress-cluster"), Some(&b"rule"[..]));
        (record.activity.fuel_of("proxy_on_request_headers"), took)
    };
    // The first request warms up the states of regular expressions.
    request();
    let costs: Vec<_> = (0..500).map(|_| request()).collect();
    let fuel = costs.iter().map(|(fuel, _)| *fuel).min().unwrap();
    (fuel, costs.into_iter().map(|(_, took)| took).min().unwrap())
}

#[test]
fn a_thousand_rules_cost_little() {
    let exact = |index: usize| header("x-one", &(index + 1).to_string());
    let prefix = |index: usize| {
        let path = if index == 0 { "/path".into() } else { format!("/path-{index}") };
        json!({"name": ":path", "value": {"prefix": path}})
    };
    let regex = |index: usize| {
        let path = if index == 0 { "/pa.*".into() } else { format!("/item-{index}/[0-9]+") };
        json!({"name": ":path", "value": {"regex": path}})
    };
    let mut reports = Vec::new();
    for (kind, condition, most_per_rule) in [
        ("exact on a header", &exact as &dyn Fn(usize) -> Value, 160),
        ("prefix of the path", &prefix, 170),
        ("regex on the path", &regex, 280),
    ] {
        let (few, base) = cost(&many(10, condition));
        let (fuel, took) = cost(&many(1_000, condition));
        let per_rule = (fuel - few) / 990;
        // Both include the cost of the host calls, because the test host is not
        // optimised.
        let took = took.saturating_sub(base);
        reports.push(format!(
            "1,000 rules, {kind}, the last matches: {fuel} instructions, {per_rule} a rule; {} ns more than with 10",
            took.as_nanos()
        ));
        // A single allocation would cost more.
        assert!(per_rule <= most_per_rule, "{reports:?}");
        assert!(took < Duration::from_micros(50), "{reports:?}");
    }
    println!("{}", reports.join("\n"));
}
