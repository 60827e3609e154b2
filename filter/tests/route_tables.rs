//! Tests of the routes that a table serves, and of the errors of invalid tables.

use ingress_filter::{Outcome, Router, Verdict};
use serde_json::{Value, json};

fn router(virtual_hosts: &Value) -> Router {
    let table = json!({
        "version": 1,
        "backends": [
            {"name": "a", "default": {"forward": {"cluster": "a"}}},
            {"name": "b", "default": {"forward": {"cluster": "b"}}},
            {"name": "gone", "default": {"respond": {"status": 503}}},
            {"name": "ruled", "default": {"forward": {"cluster": "stable"}}, "rules": [
                {"name": "canary", "match": {"headers": [
                    {"name": "x-user", "value": {"exact": "one,two"}},
                    {"name": ":method", "value": {"prefix": "P"}}
                ]}, "action": {"forward": {"cluster": "canary"}}},
                {"name": "teapot", "match": {"headers": [{"name": "x-tea", "value": {"prefix": ""}}]},
                 "action": {"respond": {"status": 418}}}
            ]}
        ],
        "virtual_hosts": virtual_hosts
    });
    Router::load(table.to_string().as_bytes()).unwrap()
}

fn request(method: &str, authority: &str, target: &str) -> Vec<(String, Vec<u8>)> {
    [(":method", method), (":authority", authority), (":path", target)]
        .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()))
        .to_vec()
}

/// The cluster, or the status of the filter's own response.
fn verdict(router: &Router, headers: &[(String, Vec<u8>)]) -> String {
    match router.decide(headers).verdict {
        Verdict::Forward(forward) => forward.cluster.to_owned(),
        Verdict::Respond(status) => status.to_string(),
    }
}

#[track_caller]
fn serves(virtual_hosts: &Value, expected: &[(&str, &str, &str)]) {
    let router = router(virtual_hosts);
    for (authority, target, cluster) in expected {
        assert_eq!(
            verdict(&router, &request("GET", authority, target)),
            *cluster,
            "{authority} {target}"
        );
    }
}

#[test]
fn the_most_specific_host_serves_and_nothing_falls_through() {
    let route = |backend| json!([{"match": {"prefix": "/"}, "backend": backend}]);
    serves(
        &json!([
            {"hosts": ["foo.com"], "routes": [{"match": {"exact": "/only"}, "backend": "a"}]},
            {"hosts": ["*.foo.com"], "routes": route("b")},
            {"hosts": ["*"], "routes": route("a")},
            {"hosts": ["[::1]"], "routes": route("b")},
        ]),
        &[
            ("foo.com", "/only", "a"),
            ("foo.com", "/other", "404"),
            ("bar.foo.com", "/", "b"),
            ("BAR.foo.com.:443", "/", "b"),
            ("baz.bar.foo.com", "/", "a"),
            ("[::1]:80", "/", "b"),
            ("", "/", "a"),
            ("*.foo.com", "/", "404"),
            ("a@bar.foo.com", "/", "404"),
        ],
    );
}

#[test]
fn a_query_and_a_fragment_take_no_part() {
    let routes =
        json!([{"hosts": ["*"], "routes": [{"match": {"exact": "/foo"}, "backend": "a"}]}]);
    serves(
        &routes,
        &[
            ("x", "/foo?/bar", "a"),
            ("x", "/foo#?", "a"),
            ("x", "/x?y=/foo", "404"),
            ("x", "/foo?", "a"),
        ],
    );
}

#[test]
fn equal_paths_go_to_the_first_of_the_most_specific_kind() {
    let route =
        |kind: &str, path: &str, backend: &str| json!({"match": {kind: path}, "backend": backend});
    let of = |routes: Value| json!([{"hosts": ["*"], "routes": routes}]);
    serves(&of(json!([route("exact", "/x", "a"), route("exact", "/x", "b")])), &[("h", "/x", "a")]);
    serves(
        &of(json!([route("prefix", "/x", "a"), route("prefix", "/x/", "b")])),
        &[("h", "/x", "b")],
    );
    serves(
        &of(json!([route("prefix", "/x/", "a"), route("prefix", "/x", "b")])),
        &[("h", "/x/y", "a")],
    );
    serves(
        &of(json!([route("string_prefix", "/x/", "a"), route("prefix", "/x/", "b")])),
        &[("h", "/x/", "b")],
    );
    serves(
        &of(json!([route("string_prefix", "/x", "a"), route("prefix", "/x", "b")])),
        &[("h", "/xy", "a"), ("h", "/x/y", "b"), ("h", "/x", "b")],
    );
}

#[test]
fn trace_is_refused_and_what_is_no_path_is_not_found() {
    let router =
        router(&json!([{"hosts": ["*"], "routes": [{"match": {"prefix": "/"}, "backend": "a"}]}]));
    for (method, target, expected) in [
        ("TRACE", "/", "405"),
        ("OPTIONS", "*", "404"),
        ("CONNECT", "host:80", "404"),
        ("GET", "", "404"),
        ("trace", "/", "a"),
    ] {
        assert_eq!(
            verdict(&router, &request(method, "host", target)),
            expected,
            "{method} {target}"
        );
    }
    assert_eq!(verdict(&router, &[]), "404");
    assert_eq!(router.decide(&request("TRACE", "host", "/")[..]).outcome, Outcome::Refused);
}

#[test]
fn behind_a_sanitising_envoy_trace_is_refused_wherever_the_filter_answers() {
    let table = json!({
        "version": 1,
        "sanitized_by_envoy": true,
        "backends": [
            {"name": "a", "default": {"forward": {"cluster": "a"}}},
            {"name": "gone", "default": {"respond": {"status": 503}}}
        ],
        "virtual_hosts": [{"hosts": ["host"], "routes": [
            {"match": {"exact": "/a"}, "backend": "a"},
            {"match": {"exact": "/gone"}, "backend": "gone"}
        ]}]
    });
    let router = Router::load(table.to_string().as_bytes()).unwrap();
    for (authority, target, expected) in [
        ("host", "/a", "a"),
        ("host", "/gone", "405"),
        ("host", "/x", "405"),
        ("a@b", "/a", "405"),
        ("host", "*", "405"),
    ] {
        assert_eq!(verdict(&router, &request("TRACE", authority, target)), expected, "{target}");
    }
    assert_eq!(verdict(&router, &request("GET", "host", "/gone")), "503");
}

#[test]
fn the_first_rule_that_holds_decides_and_the_default_is_never_lost() {
    let router = router(
        &json!([{"hosts": ["*"], "routes": [{"match": {"prefix": "/"}, "backend": "ruled"}]}]),
    );
    let with = |method: &str, extra: &[(&str, &str)]| {
        let mut headers = request(method, "host", "/");
        headers.extend(
            extra.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())),
        );
        let decision = router.decide(&headers[..]);
        (verdict(&router, &headers), decision.rule.map(str::to_owned))
    };
    assert_eq!(
        with("POST", &[("x-user", "one"), ("x-user", "two")]),
        ("canary".into(), Some("canary".into()))
    );
    assert_eq!(with("GET", &[("x-user", "one,two")]), ("stable".into(), None));
    assert_eq!(with("GET", &[("x-tea", "")]), ("418".into(), Some("teapot".into())));
}

#[test]
fn a_backend_that_is_gone_answers_503_and_counts_as_routed() {
    let router = router(
        &json!([{"hosts": ["*"], "routes": [{"match": {"prefix": "/"}, "backend": "gone", "source": "ns/i#0.0"}]}]),
    );
    let headers = request("GET", "host", "/");
    let decision = router.decide(&headers[..]);
    assert_eq!((decision.verdict, decision.outcome), (Verdict::Respond(503), Outcome::Routed));
    assert_eq!(decision.source, Some("ns/i#0.0"));
}

#[track_caller]
fn refused(table: &Value, expected: &str) {
    let error = Router::load(table.to_string().as_bytes()).unwrap_err().to_string();
    assert!(error.starts_with(expected), "{error}");
}

#[test]
fn a_bad_table_is_refused_with_its_place() {
    let backend = json!([{"name": "a", "default": {"forward": {"cluster": "a"}}}]);
    let path = |path: Value| json!({"version": 1, "backends": backend, "virtual_hosts": [{"hosts": ["*"], "routes": [{"match": path, "backend": "a"}]}]});
    let hosts = |hosts: Value| json!({"version": 1, "virtual_hosts": hosts});
    let default =
        |action: Value| json!({"version": 1, "backends": [{"name": "a", "default": action}]});

    refused(
        &json!({"version": 2, "novelty": true}),
        "version: is 2, but this module supports version 1",
    );
    refused(&json!({"version": 1, "novelty": true}), "unknown field `novelty`");
    refused(&json!({}), "missing field `version`");
    refused(&json!([]), "invalid length 0");
    refused(
        &path(json!({"prefix": "foo"})),
        "virtual_hosts[0].routes[0].match: \"foo\" does not start with /; add it",
    );
    refused(
        &path(json!({"exact": "/a b"})),
        "virtual_hosts[0].routes[0].match: \"/a b\" contains the byte 0x20",
    );
    refused(&path(json!({"exact": "/a?b"})), "virtual_hosts[0].routes[0].match");
    refused(
        &path(json!({"regex": "/(a"})),
        "virtual_hosts[0].routes[0].match: \"/(a\" is not a valid regular expression",
    );
    refused(&path(json!({"glob": "/a"})), "unknown variant `glob`");
    refused(&hosts(json!([{"hosts": []}])), "virtual_hosts[0].hosts: is empty");
    refused(
        &hosts(json!([{"hosts": ["a", "a"]}])),
        "virtual_hosts[0].hosts[1]: \"a\" is also in virtual_hosts[0]",
    );
    for host in ["Foo.com", "foo.com:80", "*.*.com", "*foo.com", "", "*.", "a..b"] {
        refused(&hosts(json!([{"hosts": [host]}])), "virtual_hosts[0].hosts[0]");
    }
    refused(
        &json!({"version": 1, "virtual_hosts": [{"hosts": ["*"], "routes": [{"match": {"prefix": "/"}, "backend": "b"}]}]}),
        "virtual_hosts[0].routes[0].backend: no backend is named \"b\"",
    );
    refused(
        &json!({"version": 1, "default_backend": {"backend": "b"}}),
        "default_backend.backend: no backend is named",
    );
    refused(
        &json!({"version": 1, "backends": [backend[0], backend[0]]}),
        "backends[1].name: \"a\" is also the name",
    );
    refused(
        &default(json!({"forward": {"cluster": "a\r\nx: y"}})),
        "backends[0].default.forward.cluster",
    );
    refused(
        &default(json!({"respond": {"status": 100}})),
        "backends[0].default.respond.status: 100",
    );
    refused(&default(json!({"respond": {"status": 70000}})), "invalid value");
    refused(
        &json!({"version": 1, "backends": [{"name": "a", "default": {"respond": {"status": 503}}, "rules": [
            {"match": {"headers": [{"name": "X-User", "value": {"exact": ""}}]}, "action": {"respond": {"status": 503}}}]}]}),
        "backends[0].rules[0].match.headers[0].name: \"X-User\"",
    );
}
