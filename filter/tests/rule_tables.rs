//! Tests of the rules in a route table: their effect, and their validation, because a
//! table can be written by hand.

use ingress_filter::{Outcome, Router, Verdict};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A table of one backend with one rule.
fn table(rule: &Value) -> Value {
    json!({
        "version": 1,
        "backends": [{"name": "a", "rules": [rule], "default": {"forward": {"cluster": "a"}}}],
        "virtual_hosts": [{"hosts": ["*"], "routes": [{"match": {"prefix": "/"}, "backend": "a"}]}]
    })
}

fn forward(mut forward: Value) -> Value {
    if forward["cluster"].is_null() {
        forward["cluster"] = json!("b");
    }
    json!({"action": {"forward": forward}})
}

fn load(table: &Value) -> Result<Router, String> {
    Router::load(table.to_string().as_bytes()).map_err(|error| error.to_string())
}

/// Checks the position and the message of an error, without the position of the rule.
#[track_caller]
fn refused(rule: &Value, expected: &str) {
    let error = load(&table(rule)).expect_err("a bad table");
    let place = error.strip_prefix("backends[0].rules[0].").unwrap_or(&error);
    assert!(place.starts_with(expected), "{error}");
}

#[test]
fn what_a_rule_may_not_say_is_refused_with_its_place() {
    let bad = |value: Value, place: &str| {
        refused(&forward(value), &format!("action.forward.{place}"));
    };
    bad(json!({"cluster": ""}), "cluster: \"\" is not a valid cluster name");
    bad(json!({"cluster": []}), "cluster: has no cluster with a weight");
    bad(json!({"cluster": [{"cluster": "b", "weight": 0}]}), "cluster: has no cluster");
    bad(json!({"cluster": [{"weight": 1}, {"cluster": "a b", "weight": 1}]}), "cluster[1].cluster");
    bad(json!({"timeout": {"ms": 0}}), "timeout.ms: is 0");
    bad(json!({"timeout": {"ms": 1, "override_header": "X-Y"}}), "timeout.override_header");
    bad(json!({"retries": {"attempts": 1, "per_try_timeout_ms": 0}}), "retries.per_try_timeout_ms");
    bad(json!({"retries": {"attempts": 1, "override_header": ""}}), "retries.override_header");
    bad(json!({"rewrite": {}}), "rewrite: is empty");
    bad(json!({"rewrite": {"path": "x"}}), "rewrite.path");
    bad(json!({"rewrite": {"path": "/x?y"}}), "rewrite.path: \"/x?y\" has a query");
    bad(json!({"rewrite": {"authority": "a b"}}), "rewrite.authority");
    bad(json!({"mirror": "a\nb"}), "mirror");
    bad(json!({"append_headers": [{"name": "X-Y", "value": "z"}]}), "append_headers[0].name");
    for name in ["", ":path", "host", "content-length", "transfer-encoding", "x-ingress-cluster"] {
        bad(json!({"append_headers": [{"name": name, "value": "z"}]}), "append_headers[0].name");
    }
    for value in ["", "a\r\nb: c", "\u{e9}", " a", "a\0"] {
        bad(json!({"append_headers": [{"name": "x", "value": value}]}), "append_headers[0].value");
    }
    bad(json!({"cors": {"allow_origins": ["a", "b c"]}}), "cors.allow_origins[1]");
    bad(json!({"cors": {"expose_headers": ["a,b"]}}), "cors.expose_headers[0]");
    bad(
        json!({"fault": {"delay": {"per_million": 1_000_001, "ms": 1}}}),
        "fault.delay.per_million",
    );
    bad(json!({"fault": {"delay": {"per_million": 1, "ms": 0}}}), "fault.delay.ms");
    let abort = |status: Value| json!({"fault": {"abort": {"per_million": 1, "status": status}}});
    bad(abort(json!({"http": 199})), "fault.abort.status: 199");
    bad(abort(json!({"grpc": 17})), "fault.abort.status: 17");

    let redirect = |redirect: Value| json!({"action": {"redirect": redirect}});
    refused(&redirect(json!({})), "action.redirect: is empty");
    for path in ["", "x", "//evil.example", "/a b", "/a#b", "/a\r\nb"] {
        refused(&redirect(json!({"path": path})), "action.redirect.path");
    }
    for authority in ["", "a/b", "a@b", ":80", "a\r\nb"] {
        refused(&redirect(json!({"authority": authority})), "action.redirect.authority");
    }

    let matching =
        |matches: Value| json!({"match": matches, "action": {"respond": {"status": 418}}});
    let value = |value: Value| matching(json!({"headers": [{"name": "x", "value": value}]}));
    refused(
        &value(json!({"regex": "(?=a)"})),
        "match.headers[0].value.regex: \"(?=a)\" uses look-around",
    );
    refused(&value(json!({"regex": "(?:a{0,1000}){1000}"})), "match.headers[0].value.regex");
    refused(
        &matching(json!({"source_subnets": ["10.0.0.0/8", "x"]})),
        "match.source_subnets[1]: \"x\"",
    );

    // If the shape is not valid, the error has the line and column.
    for rule in [
        forward(json!({"cluster": 5})),
        forward(json!({"cluster": [{"weight": -1}]})),
        forward(json!({"cluster": [{"weight": 4_294_967_296_u64}]})),
        forward(json!({"timeout": {"ms": 1.5}})),
        forward(json!({"novelty": 1})),
        value(json!({"suffix": "a"})),
    ] {
        let error = load(&table(&rule)).expect_err("a bad table");
        assert!(error.contains("at line 1 column"), "{error}");
    }
}

fn request(headers: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    let base = [(":method", "GET"), (":authority", "host"), (":path", "/")];
    let all = base.iter().chain(headers);
    all.map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
}

#[test]
fn shares_are_drawn_in_their_order_and_those_without_a_cluster_answer_503() {
    let split = json!([
        {"cluster": "one", "weight": 3},
        {"cluster": "never", "weight": 0},
        {"weight": 2},
        {"cluster": "two", "weight": 1}
    ]);
    let mut table = table(&forward(json!({"cluster": split})));
    let drawn: Vec<_> = (0..12)
        .map(|random| {
            table["fixed_random"] = json!(random);
            let router = load(&table).expect("a table");
            match router.decide(&request(&[])[..]).verdict {
                Verdict::Forward(forwarding) => forwarding.cluster.to_owned(),
                Verdict::Respond(status) => status.to_string(),
            }
        })
        .collect();
    let once = ["one", "one", "one", "503", "503", "two"];
    assert_eq!(drawn, [once, once].concat());
}

#[test]
fn an_upgrade_needs_a_rule_also_where_envoy_does_not_see_to_it() {
    let websocket = forward(json!({"websocket": true}));
    let upgrade = request(&[("upgrade", "websocket"), ("connection", "upgrade")]);
    for (rule, sanitized, expected) in [
        (&websocket, false, "b"),
        (&websocket, true, "b"),
        (&forward(json!({})), false, "403"),
        // Envoy's routes reject it, because the filter has not allowed it.
        (&forward(json!({})), true, "b without WebSocket"),
        (&json!({"action": {"redirect": {"path": "/x"}}}), true, "403"),
    ] {
        let mut table = table(rule);
        table["sanitized_by_envoy"] = json!(sanitized);
        let router = load(&table).expect("a table");
        let decision = router.decide(&upgrade[..]);
        let outcome = match &decision.verdict {
            Verdict::Respond(status) => status.to_string(),
            Verdict::Forward(forwarding) if forwarding.websocket => forwarding.cluster.to_owned(),
            Verdict::Forward(forwarding) => format!("{} without WebSocket", forwarding.cluster),
        };
        assert_eq!(outcome, expected, "{rule}");
        assert_eq!(decision.outcome == Outcome::Refused, expected == "403");
    }
}

#[test]
fn a_location_holds_no_host_but_the_rules_or_the_requests() {
    let router = load(&table(&json!({"action": {"redirect": {"authority": "r.example"}}})));
    let by_path = load(&table(&json!({"action": {"redirect": {"path": "/new"}}})));
    let location = |router: &Result<Router, String>, authority: &str, path: &[u8]| {
        let headers =
            [(":path".to_owned(), path.to_vec()), (":authority".into(), authority.into())];
        let decision = router.as_ref().expect("a table").decide(&headers[..]);
        let edits: Vec<_> =
            decision.response_headers.iter().map(|edit| edit.value.to_vec()).collect();
        String::from_utf8(edits.concat()).expect("ASCII")
    };
    for (authority, path, expected) in [
        ("host", &b"//evil.example"[..], "http://r.example//evil.example"),
        ("", b"/x", "http://r.example/x"),
        ("host", b"/a\r\nset-cookie: b\xff?\n", "http://r.example/a%0D%0Aset-cookie:%20b%FF?%0A"),
    ] {
        assert_eq!(location(&router, authority, path), expected);
    }
    assert_eq!(location(&by_path, "HOST.:80", b"/x?y"), "http://HOST.:80/new?y");
    // HTTP/1.0: without a host, the location is only the path, which is the rule's.
    assert_eq!(location(&by_path, "", b"//evil.example?y"), "/new?y");
}

/// A table that uses every field.
fn rich() -> Value {
    let header = |name: &str, kind: &str, text: &str| json!({"name": name, "value": {kind: text}});
    json!({
        "version": 1,
        "fixed_random": 999_999,
        "backends": [{"name": "a", "rules": [
            {"name": "one", "match": {"source_subnets": ["10.0.0.0/8"], "headers": [
                header("x", "regex", "(a|b)*c"), header(":path", "prefix", "/a"), header(":method", "exact", "GET")]},
             "action": {"forward": {
                "cluster": [{"cluster": "b", "weight": 1}, {"weight": 2}],
                "timeout": {"ms": 4_000, "override_header": "x-t"},
                "retries": {"attempts": 3, "per_try_timeout_ms": 10, "override_header": "x-r"},
                "rewrite": {"path": "/x/", "authority": "h:80"}, "websocket": true, "mirror": "m",
                "append_headers": [{"name": "x-a", "value": "b c"}],
                "cors": {"allow_origins": ["*"], "allow_methods": ["GET"], "allow_headers": ["x"],
                         "expose_headers": ["y"], "max_age_seconds": 5, "allow_credentials": true},
                "fault": {"delay": {"per_million": 500_000, "ms": 1, "override_header": "x-d"},
                          "abort": {"per_million": 500_000, "status": {"http": 418}, "override_header": "x-s"}}}}},
            {"name": "two", "match": {"headers": [header("x", "prefix", "a")]},
             "action": {"redirect": {"path": "/new", "authority": "r", "cors": {"allow_origins": ["o"]}}}}
        ], "default": {"forward": {"cluster": "a", "fault": {"abort": {"per_million": 1, "status": {"grpc": 14}}}}}}],
        "virtual_hosts": [{"hosts": ["*"], "routes": [
            {"match": {"prefix": "/"}, "backend": "a"}, {"match": {"exact": "/e"}, "backend": "a"}]}]
    })
}

const NAMES: [&str; 12] = [
    ":method",
    ":path",
    ":authority",
    "x",
    "x-t",
    "x-r",
    "x-d",
    "x-s",
    "origin",
    "upgrade",
    "access-control-request-method",
    "x-forwarded-proto",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any bytes of a client lead to a decision, never to a panic.
    #[test]
    fn any_bytes_are_decided(
        headers in prop::collection::vec((prop::sample::select(&NAMES[..]), prop_oneof![
            "[/a-c.;?#]{0,6}".prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 0..20),
            "[0-9]{1,30}(s|ms|h)?".prop_map(String::into_bytes),
        ]), 0..10),
        path in "/[a./;?]{0,8}",
    ) {
        let router = load(&rich()).expect("a table");
        let mut headers: Vec<_> = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        headers.push((":path".into(), path.into_bytes()));
        router.decide(&headers[..]);
    }

    /// Any bytes are loaded as a table or rejected, and never cause a panic.
    #[test]
    fn any_table_is_loaded_or_refused(at in any::<prop::sample::Index>(), bytes in prop::collection::vec(any::<u8>(), 0..4), cut in 0..4_usize) {
        let mut json = serde_json::to_vec(&rich()).expect("JSON");
        let at = at.index(json.len());
        let end = (at + cut).min(json.len());
        json.splice(at..end, bytes);
        if let Ok(router) = Router::load(&json) {
            router.decide(&request(&[("x", "abc"), ("origin", "o")])[..]);
        }
    }
}
