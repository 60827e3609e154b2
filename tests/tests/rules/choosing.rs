//! Which rule applies.

use crate::setup::{Ruled, Seen, rule, rule_of};
use ingressctl::settings::Settings;

/// A rule that identifies itself: it adds `x-rule: NAME`.
fn marked(name: &str, rest: &str) -> String {
    rule(name, &format!("appendHeaders: {{x-rule: {name}}}{rest}"))
}

/// The rule that applied.
fn chosen(edge: &Ruled, method: &str, path: &str, headers: &[&str]) -> String {
    marked_by(&edge.ask(method, path, headers))
}

fn marked_by(seen: &Seen) -> String {
    seen.request_headers.get("x-rule").cloned().unwrap_or_else(|| "none".into())
}

fn request(name: &str, conditions: &str) -> String {
    marked(name, &format!(", match: {{request: {{headers: {{{conditions}}}}}}}"))
}

#[test]
fn each_kind_of_condition_holds_for_what_it_says() {
    let edge = Ruled::start(&[
        request("a-uri-exact", "uri: {exact: /exact}"),
        request("b-uri-prefix", "uri: {prefix: /prefix/}"),
        request("c-uri-regex", "uri: {regex: '/regex/[0-9]+'}"),
        request("d-bare", "x-bare: some value"),
        request("e-exact", "x-exact: {exact: Value}"),
        request("f-prefix", "x-prefix: {prefix: Val}"),
        request("g-regex", "cookie: {regex: '^(.*?;)?(user=jason)(;.*)?$'}"),
        request("h-method", "method: {exact: DELETE}"),
        request("i-authority", "authority: {prefix: shop.}, x-authority: {exact: 'yes'}"),
        request("j-scheme", "scheme: {exact: http}, x-by-scheme: {exact: 'yes'}"),
        request("k-https", "scheme: {exact: https}, x-https: {exact: 'yes'}"),
        request("l-two", "x-one: {exact: '1'}, x-two: {exact: '2'}"),
        request("m-empty", "x-empty: {exact: ''}"),
        request("n-any", "x-any: {regex: '.*'}"),
    ]);
    for (method, path, headers, expected) in [
        ("GET", "/exact", &[][..], "a-uri-exact"),
        ("GET", "/exact?query=1", &[], "a-uri-exact"),
        ("GET", "/exact/", &[], "none"),
        ("GET", "/prefix/x", &[], "b-uri-prefix"),
        ("GET", "/prefix", &[], "none"),
        ("GET", "/regex/12?x", &[], "c-uri-regex"),
        ("GET", "/regex/12/3", &[], "none"),
        ("GET", "/x/regex/12", &[], "none"),
        ("GET", "/?uri=/exact", &["uri: /exact"], "none"),
        ("GET", "/", &["x-bare: some value"], "d-bare"),
        ("GET", "/", &["x-bare: some"], "none"),
        ("GET", "/", &["X-Exact: Value"], "e-exact"),
        ("GET", "/", &["x-exact: value"], "none"),
        ("GET", "/", &["x-exact: Value2"], "none"),
        ("GET", "/", &["x-exact: Value", "x-exact: Value"], "none"),
        ("GET", "/", &["x-prefix: Value"], "f-prefix"),
        ("GET", "/", &["x-prefix: xVal"], "none"),
        // Repeated headers are matched as one joined value.
        ("GET", "/", &["x-prefix: Val", "x-prefix: other"], "f-prefix"),
        ("GET", "/", &["x-prefix: other", "x-prefix: Val"], "none"),
        ("GET", "/", &["cookie: a=b;user=jason;c=d"], "g-regex"),
        ("GET", "/", &["cookie: a=b;user=jasonx"], "none"),
        ("DELETE", "/", &[], "h-method"),
        ("GET", "/", &["method: DELETE"], "none"),
        ("GET", "/", &["x-authority: yes"], "i-authority"),
        ("GET", "/", &["x-by-scheme: yes"], "j-scheme"),
        ("GET", "/", &["x-https: yes", "x-forwarded-proto: https"], "none"),
        ("GET", "/", &["x-one: 1", "x-two: 2"], "l-two"),
        ("GET", "/", &["x-one: 1"], "none"),
        ("GET", "/", &["x-empty:"], "m-empty"),
        ("GET", "/", &["x-empty: x"], "none"),
        ("GET", "/", &["x-any:"], "n-any"),
        ("GET", "/", &["x-any: x"], "n-any"),
        ("GET", "/", &[], "none"),
    ] {
        assert_eq!(chosen(&edge, method, path, headers), expected, "{method} {path} {headers:?}");
    }
}

/// Otherwise a rule that closes a host would not close `HOST`, `host:80` and
/// `host.`
#[test]
fn a_host_is_the_same_however_the_client_writes_it() {
    let edge = Ruled::start(&[
        request("exact", "authority: {exact: 'Exact.Example:80'}"),
        request("bare", "host: bare.example."),
        request("prefix", "authority: {prefix: Prefix.}"),
        request("regex", "authority: {regex: '(a|b)\\.example'}"),
    ]);
    for (host, expected) in [
        ("exact.example", "exact"),
        ("bare.example", "bare"),
        ("prefix.example", "prefix"),
        ("b.example", "regex"),
        ("notexact.example", "none"),
    ] {
        let upper = host.to_uppercase();
        let written = ["", ".", ":80", ".:8443"].map(|end| format!("{host}{end}"));
        for host in written.iter().chain([&upper]) {
            assert_eq!(marked_by(&edge.ask_at(host, "GET", "/", &[])), expected, "{host}");
        }
    }
}

#[test]
fn the_highest_precedence_that_matches_wins_then_the_name() {
    let with = |name: &str, precedence: &str| {
        marked(
            name,
            &format!(
                ", precedence: {precedence}, match: {{request: {{headers: {{x-{name}: 'yes'}}}}}}"
            ),
        )
    };
    let edge = Ruled::start(&[
        with("low", "-2147483648"),
        with("a", "0"),
        with("b", "0"),
        with("high", "2147483647"),
        marked("zz-rest", ", precedence: -2147483648"),
    ]);
    let all = ["x-low: yes", "x-a: yes", "x-b: yes", "x-high: yes"];
    for (headers, expected) in [
        (&all[..], "high"),
        (&all[..3], "a"),
        (&[all[0], all[2]], "b"),
        (&all[..1], "low"),
        (&[], "zz-rest"),
    ] {
        assert_eq!(chosen(&edge, "GET", "/", headers), expected, "{headers:?}");
    }
}

#[test]
fn a_service_with_rules_keeps_its_default_route() {
    let edge = Ruled::start(&[request("delay", "uri: {prefix: /delay/}")]);
    assert_eq!(chosen(&edge, "GET", "/delay/2", &[]), "delay");
    let status = edge.get("/status/200");
    assert_eq!((status.status, status.request_headers.get("x-rule")), (200, None));
}

#[test]
fn a_rule_of_one_service_never_affects_the_paths_of_another() {
    let edge = Ruled::start(&[
        rule("web-all", "appendHeaders: {x-rule: web-all}"),
        rule_of(
            "other",
            "other-some",
            "appendHeaders: {x-rule: other-some}, match: {request: {headers: {uri: {prefix: /}, x-user: me}}}",
        ),
        rule_of(
            "other",
            "web-paths",
            "appendHeaders: {x-rule: web-paths}, match: {request: {headers: {uri: {prefix: /shop/}}}}",
        ),
    ]);
    for (path, headers, by, expected) in [
        ("/shop/", &["x-user: me"][..], "v", "web-all"),
        ("/other/", &["x-user: me"], "other", "other-some"),
        ("/other/", &[], "other", "none"),
        ("/other/shop/", &[], "other", "none"),
        ("/", &["x-user: me"], "v", "web-all"),
    ] {
        assert_eq!(chosen(&edge, "GET", path, headers), expected, "{path} {headers:?}");
        assert!(edge.get_with(path, headers).by.starts_with(by), "{path}");
    }
}

#[test]
fn a_source_is_the_gateway_or_the_rule_is_for_others() {
    let from = |name: &str, source: &str| {
        marked(
            name,
            &format!(", match: {{source: {source}, request: {{headers: {{x-from: {name}}}}}}}"),
        )
    };
    let rules = [
        from("gateway", "{name: istio-ingress, labels: {istio: ingress}}"),
        from("namespace", "{name: istio-ingress, namespace: istio-system}"),
        from("elsewhere", "{name: istio-ingress, namespace: default}"),
        from("labels", "{name: istio-ingress, labels: {istio: pilot}}"),
        from("service", "{name: web}"),
        from("edge", "{name: edge, labels: {a: b}}"),
    ];
    let edge = Ruled::start(&rules);
    for (name, expected) in [
        ("gateway", "gateway"),
        ("namespace", "namespace"),
        ("elsewhere", "none"),
        ("labels", "none"),
        ("service", "none"),
        ("edge", "none"),
    ] {
        assert_eq!(chosen(&edge, "GET", "/", &[&format!("x-from: {name}")]), expected, "{name}");
    }
    let mut settings = Settings::default();
    settings.gateway.name = "edge".into();
    settings.gateway.labels = [("a", "b"), ("c", "d")].map(|(k, v)| (k.into(), v.into())).into();
    let edge = Ruled::start_with(&rules, &settings);
    assert_eq!(chosen(&edge, "GET", "/", &["x-from: edge"]), "edge");
    assert_eq!(chosen(&edge, "GET", "/", &["x-from: gateway"]), "none");
}

#[test]
fn a_source_subnet_is_the_clients() {
    let from = |name: &str, subnets: &str| {
        marked(
            name,
            &format!(
                ", match: {{tcp: {{sourceSubnet: [{subnets}]}}, request: {{headers: {{x-from: {name}}}}}}}"
            ),
        )
    };
    let edge = Ruled::start(&[
        from("loopback", "10.0.0.0/8, 127.0.0.0/8"),
        from("other", "10.0.0.0/8, '::/0'"),
        from("this", "127.0.0.1"),
    ]);
    for (name, expected) in [("loopback", "loopback"), ("other", "none"), ("this", "this")] {
        assert_eq!(chosen(&edge, "GET", "/", &[&format!("x-from: {name}")]), expected, "{name}");
    }
    // A forwarded client address counts only behind a trusted proxy.
    let claim = ["x-from: other", "x-forwarded-for: 10.0.0.1"];
    assert_eq!(chosen(&edge, "GET", "/", &claim), "none");
    let behind = Settings { trusted_hops: 1, ..Settings::default() };
    let edge = Ruled::start_with(&[from("other", "10.0.0.0/8")], &behind);
    let seen = edge.ask_envoy("GET", "/", &claim);
    assert_eq!(seen.request_headers.get("x-rule").map(String::as_str), Some("other"));
}

#[test]
fn hostile_values_are_compared_as_bytes() {
    let edge = Ruled::start(&[
        request("a-regex", "x-bytes: {regex: 'a.+b'}"),
        request("b-prefix", "x-bytes: {prefix: a}"),
        request("c-slow", "x-slow: {regex: '(a+)+$'}"),
    ]);
    let ask = |header: &[u8]| {
        let request = [b"GET / HTTP/1.1\r\nhost: shop.example\r\n", header, b"\r\n\r\n"].concat();
        let answer = ingress_tests::raw(edge.serving.http, &request);
        let by = answer.header("x-upstream").unwrap_or_default().to_owned();
        let received = edge.received(&by).pop().expect("a request");
        String::from_utf8(received.values("x-rule").concat()).expect("text")
    };
    assert_eq!(ask(b"x-bytes: a\xff\xfeb"), "a-regex");
    assert_eq!(ask(b"x-bytes: a\x80\r\nx-bytes: b"), "a-regex");
    assert_eq!(ask(b"x-bytes: a\xff"), "b-prefix");
    let long = [b"x-slow: ".to_vec(), vec![b'a'; 50_000], b"b".to_vec()].concat();
    let start = std::time::Instant::now();
    assert_eq!(ask(&long), "");
    assert!(start.elapsed() < std::time::Duration::from_secs(2), "{:?}", start.elapsed());
}

#[test]
fn a_destination_is_named_in_each_of_its_forms() {
    let of = |name: &str, destination: &str| {
        format!(
            "---\napiVersion: config.istio.io/v1alpha2\nkind: RouteRule\nmetadata: {{name: {name}}}\n\
             spec: {{destination: {destination}, appendHeaders: {{x-rule: {name}}}, match: {{request: {{headers: {{x-form: {name}}}}}}}}}\n"
        )
    };
    let edge = Ruled::start(&[
        of("name", "{name: web}"),
        of("namespace", "{name: web, namespace: default}"),
        of("domain", "{name: web, domain: svc.cluster.local}"),
        of("service", "{service: web.default.svc.cluster.local}"),
        of("other", "{service: other.default.svc.cluster.local}"),
    ]);
    for name in ["name", "namespace", "domain", "service"] {
        assert_eq!(chosen(&edge, "GET", "/", &[&format!("x-form: {name}")]), name);
    }
    assert_eq!(chosen(&edge, "GET", "/", &["x-form: other"]), "none");
    assert_eq!(chosen(&edge, "GET", "/other/", &["x-form: other"]), "other");
}
