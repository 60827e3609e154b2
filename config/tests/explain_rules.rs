//! `explain` on rules: the effect of each rule on a request, in the real module.

mod sandbox;

use std::path::Path;

use ingress_filter::RouteTable;
use ingressctl::explain::{Explainer, Explanation, Request, Share};
use ingressctl::settings::Settings;
use serde_json::{Value, json};

/// The module with a table of one backend, for all requests.
struct Table(Explainer);

impl Table {
    /// A table with these rules.
    fn new(rules: &Value) -> Self {
        let table = json!({
            "version": 1,
            "sanitized_by_envoy": true,
            "backends": [{
                "name": "web",
                "rules": rules,
                "default": {"forward": {"cluster": "default"}}
            }],
            "virtual_hosts": [{
                "hosts": ["a.example", "*.example", "*"],
                "routes": [
                    {"match": {"prefix": "/old"}, "backend": "web", "source": "ns/web#0.0"},
                    {"match": {"prefix": "/"}, "backend": "web"}
                ]
            }]
        });
        let table: RouteTable = serde_json::from_value(table).expect("a table");
        Self(Explainer::new(&table, &Settings::default()).expect("the module accepts the table"))
    }

    /// A table with one rule that always matches, and forwards with these settings.
    fn forwarding(mut forward: Value) -> Self {
        let cluster = forward.get("cluster").cloned().unwrap_or(json!("ruled"));
        forward["cluster"] = cluster;
        Self::new(&json!([{"name": "ns/rule", "action": {"forward": forward}}]))
    }

    fn explain(&self, request: &Request) -> Explanation {
        self.0.explain(request).expect("the module runs")
    }

    fn get(&self, url: &str, headers: &[&str]) -> Explanation {
        self.explain(&request("GET", url, headers))
    }

    fn drawing(&self, random: u64) -> Explanation {
        self.explain(&request("GET", "a.example", &[]).with_random(Some(random)))
    }
}

fn request(method: &str, url: &str, headers: &[&str]) -> Request {
    let headers: Vec<_> = headers.iter().map(ToString::to_string).collect();
    Request::new(method, url, &headers).expect("a request")
}

fn headers(explanation: &Explanation) -> Vec<(&str, &str)> {
    let headers = explanation.request_headers.iter();
    headers.map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

fn response_header<'e>(explanation: &'e Explanation, name: &str) -> Option<&'e str> {
    explanation.response_headers.get(name).map(String::as_str)
}

#[test]
fn timeouts_and_retries_are_told_and_reach_no_upstream() {
    let table = Table::forwarding(json!({
        "timeout": {"ms": 4000, "override_header": "x-timeout"},
        "retries": {"attempts": 3, "per_try_timeout_ms": 500},
        "append_headers": [{"name": "x-added", "value": "1"}]
    }));
    let explanation = table.get("a.example", &["x-added: 0"]);
    assert_eq!(explanation.cluster.as_deref(), Some("ruled"));
    assert_eq!(explanation.route_rule.as_deref(), Some("ns/rule"));
    assert_eq!(
        (explanation.timeout_ms, explanation.per_try_timeout_ms, explanation.retries),
        (Some(4_000), Some(500), Some(3))
    );
    assert_eq!(headers(&explanation), [("x-added", "0,1"), ("x-forwarded-proto", "http")]);
    assert_eq!(table.get("a.example", &["x-timeout: 1.5s"]).timeout_ms, Some(1_500));
}

#[test]
fn weights_are_drawn_by_the_number_given() {
    let table = Table::forwarding(json!({"cluster": [
        {"cluster": "v1", "weight": 75}, {"cluster": "v2", "weight": 20}, {"weight": 5}
    ]}));
    for (random, cluster, status) in [
        (0, Some("v1"), None),
        (74, Some("v1"), None),
        (75, Some("v2"), None),
        (195, None, Some(503)),
    ] {
        let explanation = table.drawing(random);
        assert_eq!((explanation.cluster.as_deref(), explanation.status), (cluster, status));
        let share =
            |cluster: Option<&str>, weight| Share { cluster: cluster.map(Into::into), weight };
        let expected = [share(Some("v1"), 75), share(Some("v2"), 20), share(None, 5)];
        assert_eq!(explanation.split, expected, "{random}");
    }
    assert_eq!(
        table.drawing(99).reason,
        "the rule ns/rule picked a destination that has no cluster"
    );
    // More random numbers than one plugin handles before it is replaced.
    for random in 0..20 {
        assert_eq!(table.drawing(random).cluster.as_deref(), Some("v1"));
    }
}

#[test]
fn the_generator_draws_fairly_and_repeats_itself() {
    let table = Table::forwarding(json!({"cluster": [
        {"cluster": "v1", "weight": 75}, {"cluster": "v2", "weight": 20}, {"weight": 5}
    ]}));
    let request = request("GET", "a.example", &[]);
    let drawn = table.0.draw(&request, 2_000).expect("the module runs");
    for (cluster, expected) in [(Some("v1"), 1_500_u32), (Some("v2"), 400), (None, 100)] {
        let count = drawn[&cluster.map(Into::into)];
        assert!(count.abs_diff(expected) < 80, "{cluster:?}: {count}");
    }
    assert_eq!(table.0.draw(&request, 2_000).expect("the module runs"), drawn);
}

#[test]
fn a_redirect_has_a_location() {
    let rules = json!([{"name": "ns/moved", "action":
        {"redirect": {"path": "/new", "authority": "b.example"}}}]);
    let explanation = Table::new(&rules).get("https://a.example/x?y", &[]);
    assert_eq!((explanation.status, &explanation.cluster), (Some(302), &None));
    assert_eq!(explanation.location.as_deref(), Some("https://b.example/new?y"));
    assert_eq!(explanation.reason, "the rule ns/moved redirects the client");
}

#[test]
fn a_rewrite_shows_what_the_upstream_sees() {
    let table = Table::forwarding(json!({"rewrite": {"path": "/new", "authority": "b.example"}}));
    let explanation = table.get("a.example/old/x?y", &[]);
    assert_eq!((&*explanation.host, &*explanation.path), ("b.example", "/new/x?y"));
    assert_eq!(
        headers(&explanation),
        [("x-envoy-original-path", "/old/x?y"), ("x-forwarded-proto", "http")]
    );
    assert_eq!(explanation.candidates.iter().filter(|candidate| candidate.chosen).count(), 1);
    assert_eq!(explanation.ingress.map(|place| place.to_string()).as_deref(), Some("ns/web#0.0"));
}

#[test]
fn a_copy_goes_to_the_mirror() {
    let explanation = Table::forwarding(json!({"mirror": "shadow"})).get("a.example", &[]);
    assert_eq!(explanation.mirror.as_deref(), Some("shadow"));
    assert_eq!(headers(&explanation), [("x-forwarded-proto", "http")]);
}

#[test]
fn faults_answer_in_envoy_s_place() {
    let table = Table::forwarding(json!({"fault": {
        "delay": {"per_million": 1_000_000, "ms": 20},
        "abort": {"per_million": 100_000, "status": {"http": 418}}
    }}));
    let explanation = table.drawing(0);
    assert_eq!((explanation.status, explanation.delay_ms), (None, Some(20)));
    let explanation = table.drawing(999_999);
    assert_eq!((explanation.status, explanation.delay_ms), (Some(418), Some(20)));
    assert_eq!((&explanation.cluster, explanation.timeout_ms), (&None, None));
    assert_eq!(explanation.reason, "the rule ns/rule injects an abort");

    let table = Table::forwarding(json!({"fault":
        {"abort": {"per_million": 1_000_000, "status": {"grpc": 14}}}}));
    let explanation = table.drawing(0);
    assert_eq!((explanation.status, explanation.grpc_status), (Some(200), Some(14)));
}

#[test]
fn websocket_is_refused_where_no_rule_allows_it() {
    let upgrade = ["connection: Upgrade", "upgrade: websocket"];
    let allowed = Table::forwarding(json!({"websocket": true}));
    let explanation = allowed.get("a.example", &upgrade);
    assert_eq!((explanation.status, explanation.websocket), (None, true));
    assert_eq!(
        headers(&explanation),
        [("connection", "Upgrade"), ("upgrade", "websocket"), ("x-forwarded-proto", "http")]
    );
    assert!(allowed.get("a.example", &[]).websocket);

    let refusing = Table::new(&json!([]));
    let explanation = refusing.get("a.example/old", &upgrade);
    assert_eq!((explanation.status, &explanation.cluster), (Some(403), &None));
    assert_eq!(explanation.reason, "ns/web#0.0 does not allow an upgrade to WebSocket");
    assert!(!refusing.get("a.example", &[]).websocket);
}

#[test]
fn an_allowed_origin_is_answered() {
    let table = Table::forwarding(json!({"cors":
        {"allow_origins": ["https://c.example"], "allow_methods": ["PUT"]}}));
    let explanation = table.get("a.example", &["origin: https://c.example"]);
    assert_eq!(explanation.status, None);
    let allowed = response_header(&explanation, "access-control-allow-origin");
    assert_eq!(allowed, Some("https://c.example"));
    let refused = table.get("a.example", &["origin: https://d.example"]);
    assert_eq!(response_header(&refused, "access-control-allow-origin"), None);
    assert_eq!(response_header(&refused, "vary"), Some("origin"));

    let preflight = ["origin: https://c.example", "access-control-request-method: PUT"];
    let explanation = table.explain(&request("OPTIONS", "a.example", &preflight));
    assert_eq!((explanation.status, &explanation.cluster), (Some(200), &None));
    assert_eq!(response_header(&explanation, "access-control-allow-methods"), Some("PUT"));
    assert_eq!(explanation.reason, "the rule ns/rule answers the CORS preflight");
}

#[test]
fn each_rule_says_why_it_does_not_apply() {
    let respond = json!({"respond": {"status": 503}});
    let rules = json!([
        {"name": "ns/net", "match": {"source_subnets": ["10.0.0.0/8"]}, "action": respond},
        {"name": "ns/user", "match": {"headers": [
            {"name": "x-user", "value": {"exact": "jason"}}]}, "action": respond},
        {"name": "ns/path", "match": {"headers": [
            {"name": ":path", "value": {"prefix": "/status/"}}]}, "action": respond},
        {"match": {"headers": [
            {"name": ":method", "value": {"exact": "POST"}}]}, "action": respond},
    ]);
    let table = Table::new(&rules);
    let verdicts = |explanation: &Explanation| -> Vec<(bool, String)> {
        explanation.rules.iter().map(|rule| (rule.chosen, rule.verdict.clone())).collect()
    };
    let no = |verdict: &str| (false, verdict.to_owned());
    let explanation = table.get("a.example/delay/x?/status/", &[]);
    assert_eq!(explanation.cluster.as_deref(), Some("default"));
    assert_eq!(explanation.route_rule, None);
    assert_eq!(
        verdicts(&explanation),
        [
            no("client address 127.0.0.1 is not in 10.0.0.0/8"),
            no("header x-user is absent"),
            no("/delay/x does not start with /status/"),
            no("method GET is not POST"),
        ]
    );
    let explanation = table.get("a.example/", &["x-user: jason"]);
    assert_eq!(explanation.route_rule.as_deref(), Some("ns/user"));
    let applies = (true, "applies".to_owned());
    let earlier = no("an earlier rule applies");
    assert_eq!(verdicts(&explanation)[1..], [applies.clone(), earlier.clone(), earlier.clone()]);
    let client = "10.1.2.3".parse().expect("an address");
    let explanation = table.explain(&request("GET", "a.example", &[]).from_client(client));
    assert_eq!(verdicts(&explanation)[..2], [applies.clone(), earlier]);
    // A rule without a name.
    let explanation = table.explain(&request("POST", "a.example", &[]));
    assert_eq!((explanation.route_rule, explanation.rules[3].chosen), (None, true));
}

#[test]
fn the_host_is_named_as_the_table_has_it() {
    let table = Table::new(&json!([]));
    for (authority, expected) in [
        ("A.example:80", Some("a.example")),
        ("b.example", Some("*.example")),
        ("c.b.example", Some("*")),
        ("a..b", None),
    ] {
        assert_eq!(table.get(authority, &[]).virtual_host.as_deref(), expected, "{authority}");
    }
}

#[test]
fn its_json_has_the_promised_names() {
    let table =
        Table::forwarding(json!({"cluster": [{"cluster": "v1", "weight": 1}, {"weight": 0}]}));
    let json = serde_json::to_value(table.get("a.example/old", &[])).expect("JSON");
    assert_eq!(
        json,
        json!({
            "status": null, "grpc_status": null, "cluster": "v1",
            "split": [{"cluster": "v1", "weight": 1}, {"cluster": null, "weight": 0}],
            "mirror": null, "host": "a.example", "path": "/old", "location": null,
            "timeout_ms": null, "per_try_timeout_ms": null, "retries": null, "delay_ms": null,
            "websocket": false, "request_headers": {"x-forwarded-proto": "http"},
            "response_headers": {}, "certificate": null, "virtual_host": "a.example",
            "ingress": {"name": "ns/web", "rule": 0, "path": 0}, "route_rule": "ns/rule",
            "hints": [],
            "reason": "served by ns/web#0.0",
            "candidates": [
                {"host": "a.example, *.example, *", "path": "prefix /old", "backend": "web",
                 "ingress": {"name": "ns/web", "rule": 0, "path": 0}, "chosen": true,
                 "verdict": "serves the request"},
                {"host": "a.example, *.example, *", "path": "prefix /", "backend": "web",
                 "ingress": null, "chosen": false, "verdict": "matches, but another route is more specific"}
            ],
            "rules": [{"name": "ns/rule", "chosen": true, "verdict": "applies"}]
        })
    );
}

#[test]
fn the_command_takes_a_client_and_a_number() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/simple-ingress");
    let run = |flags: &[&str]| {
        let mut command = sandbox::ingressctl();
        command.args(["explain", "-f"]).arg(&sample).args(flags).arg("a.example/status/200");
        command.output().expect("ingressctl runs").status.code()
    };
    assert_eq!(run(&["--client", "2001:db8::1", "--random", "18446744073709551615"]), Some(0));
    assert_eq!(run(&["--client", "localhost"]), Some(2));
    assert_eq!(run(&["--random", "-1"]), Some(2));
}
