//! Tests of requests and their connections: the certificate of a connection, and whether
//! it uses TLS.

use std::borrow::Cow;

use ingress_filter::{Outcome, Request, Router, Verdict};
use serde_json::{Value, json};

/// A request on a filter chain. Counts how often the chain is read.
struct Asked {
    headers: Vec<(String, Vec<u8>)>,
    chain: &'static str,
    chain_reads: std::cell::Cell<u32>,
    server_name: Option<&'static str>,
}

impl Request for Asked {
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        self.headers[..].header(name)
    }

    fn first_value(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        self.headers[..].first_value(name)
    }

    fn client(&self) -> Option<Cow<'_, [u8]>> {
        None
    }

    fn filter_chain(&self) -> Option<Cow<'_, [u8]>> {
        self.chain_reads.set(self.chain_reads.get() + 1);
        Some(self.chain.as_bytes().into())
    }

    fn server_name(&self) -> Option<Cow<'_, [u8]>> {
        self.server_name.map(|host| host.as_bytes().into())
    }

    fn random(&self) -> u64 {
        0
    }
}

fn asked(chain: &'static str, headers: &[(&str, &str)]) -> Asked {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), value.as_bytes().to_vec());
    let headers = headers.iter().map(own).collect();
    Asked { headers, chain, chain_reads: 0.into(), server_name: Some("any.example") }
}

fn on_chain(chain: &'static str, authority: &str, path: &str) -> Asked {
    asked(chain, &[(":method", "GET"), (":authority", authority), (":path", path)])
}

/// A table that serves `/` of every host with these further fields.
fn router(fields: &Value) -> Router {
    let mut table = json!({
        "version": 1,
        "backends": [{"name": "a", "default": {"forward": {"cluster": "a"}}}],
        "virtual_hosts": [{"hosts": ["*"], "routes": [{"match": {"exact": "/"}, "backend": "a"}]}]
    });
    for (name, value) in fields.as_object().unwrap() {
        table[name] = value.clone();
    }
    Router::load(table.to_string().as_bytes()).unwrap()
}

/// The cluster, or the status of the filter's own response with its location.
fn verdict(router: &Router, asked: &Asked) -> String {
    let decision = router.decide(asked);
    let location = decision.response_headers.iter().find(|header| header.name == "location");
    match decision.verdict {
        Verdict::Forward(forward) => forward.cluster.to_owned(),
        Verdict::Respond(status) => match location {
            None => status.to_string(),
            Some(location) => format!("{status} {}", String::from_utf8_lossy(&location.value)),
        },
    }
}

#[test]
fn a_host_on_a_connection_with_another_certificate_is_misdirected() {
    let router = router(&json!({"tls_hosts": [
        {"hosts": ["foo.example", "*.foo.example", "[::1]"], "certificate": "ns/foo"},
        {"hosts": ["bar.foo.example", "plain.example"], "certificate": "default"}
    ]}));
    for (chain, authority, path, expected) in [
        ("ns/foo", "foo.example", "/", "a"),
        ("default", "foo.example", "/", "421"),
        ("default", "FOO.example.:8443", "/", "421"),
        ("default", "x.foo.example", "/", "421"),
        ("default", "bar.foo.example", "/", "a"),
        ("ns/foo", "bar.foo.example", "/", "421"),
        ("ns/foo", "plain.example", "/", "421"),
        ("default", "[::1]:443", "/", "421"),
        // Without a route for the path, 421 is still the response on the wrong chain.
        ("default", "foo.example", "/x", "421"),
        ("ns/foo", "foo.example", "/x", "404"),
        // Hosts without a certificate are served with any.
        ("ns/foo", "y.x.foo.example", "/", "a"),
        ("ns/foo", "other.example", "/", "a"),
        ("ns/foo", "", "/", "a"),
        // Without TLS.
        ("", "foo.example", "/", "a"),
        // An invalid authority does not have a certificate.
        ("default", "x@foo.example", "/", "404"),
        ("default", "*.foo.example", "/", "404"),
        ("default", "foo.example", "*", "404"),
    ] {
        let asked = on_chain(chain, authority, path);
        assert_eq!(verdict(&router, &asked), expected, "{chain} {authority} {path}");
    }
    let decision = router.decide(&on_chain("default", "foo.example", "/"));
    assert_eq!(decision.outcome, Outcome::Misdirected);
    assert_eq!((decision.response_headers.len(), decision.source), (0, None));
    // A client without a server name (SNI) does not claim a host.
    let of_nobody = |chain| Asked { server_name: None, ..on_chain(chain, "foo.example", "/") };
    assert_eq!(verdict(&router, &of_nobody("default")), "a");
    assert_eq!(verdict(&router, &of_nobody("ns/bar")), "421");
}

#[test]
fn the_filter_chain_is_asked_for_once_and_only_for_hosts_with_a_certificate() {
    let router = router(&json!({"tls_hosts": [
        {"hosts": ["foo.example"], "certificate": "ns/foo"}
    ]}));
    for (authority, reads) in [("foo.example", 1), ("FOO.example:443", 1), ("bar.example", 0)] {
        for chain in ["ns/foo", "default", ""] {
            let asked = on_chain(chain, authority, "/");
            router.decide(&asked);
            assert_eq!(asked.chain_reads.get(), reads, "{chain} {authority}");
        }
    }
}

#[test]
fn trace_and_upgrades_are_refused_on_any_connection() {
    let router = router(&json!({"sanitized_by_envoy": true, "tls_hosts": [
        {"hosts": ["foo.example"], "certificate": "ns/foo"}
    ]}));
    let base = [(":authority", "foo.example"), (":path", "/")];
    for (header, expected) in [((":method", "TRACE"), "405"), (("upgrade", "websocket"), "403")] {
        let headers = [&base[..], &[header]].concat();
        assert_eq!(verdict(&router, &asked("default", &headers)), expected);
    }
}

/// Checks the outcome of a request for this table's only route.
#[track_caller]
fn plaintext(router: &Router, headers: &[(&str, &str)], expected: &str) {
    assert_eq!(verdict(router, &asked("", headers)), expected, "{headers:?}");
}

fn routes(plaintext: &str) -> Value {
    json!([{"hosts": ["*"], "routes": [
        {"match": {"prefix": "/"}, "backend": "a", "source": "ns/i#0.0", "plaintext": plaintext}
    ]}])
}

#[test]
fn a_client_without_tls_is_sent_to_the_same_url_with_it() {
    for (https_port, suffix) in [(443, ""), (8443, ":8443")] {
        let router =
            router(&json!({"virtual_hosts": routes("redirect"), "https_port": https_port}));
        for (authority, path, host) in [
            ("foo.example", "/x?y=/z", "foo.example"),
            ("foo.example:8080", "/", "foo.example"),
            ("FOO.example.:80", "/", "foo.example"),
            ("[2001:DB8::1]:80", "/", "[2001:db8::1]"),
            ("192.0.2.1:80", "//evil.example/x", "192.0.2.1"),
            ("foo.example", "/?", "foo.example"),
        ] {
            let headers = [(":authority", authority), (":path", path)];
            let expected = format!("308 https://{host}{suffix}{path}");
            plaintext(&router, &headers, &expected);
        }
    }
}

#[test]
fn a_location_holds_no_byte_that_is_none_of_a_url() {
    let router = router(&json!({"virtual_hosts": routes("redirect")}));
    let headers = [(":authority", "foo.example"), (":path", "/a\r\nx: y?\u{e9} \0")];
    plaintext(&router, &headers, "308 https://foo.example/a%0D%0Ax:%20y?%C3%A9%20%00");
}

#[test]
fn a_client_that_names_no_host_can_be_sent_nowhere() {
    let router = router(&json!({"virtual_hosts": routes("redirect")}));
    plaintext(&router, &[(":authority", ""), (":path", "/")], "404");
    plaintext(&router, &[(":path", "/")], "404");
    plaintext(&router, &[(":authority", "a@foo.example"), (":path", "/")], "404");
}

#[test]
fn what_is_served_over_https_only_is_as_if_it_were_not_there() {
    let router = router(&json!({"virtual_hosts": routes("refuse")}));
    let headers = [(":method", "GET"), (":authority", "foo.example"), (":path", "/")];
    let asked = asked("", &headers);
    let decision = router.decide(&asked);
    assert_eq!((decision.verdict, decision.outcome), (Verdict::Respond(404), Outcome::NoRoute));
    assert_eq!((decision.source, decision.response_headers.len()), (Some("ns/i#0.0"), 0));
}

#[test]
fn only_envoys_word_tells_https_from_http() {
    for (kind, without) in [("redirect", "308 https://foo.example/"), ("refuse", "404")] {
        let router = router(&json!({"virtual_hosts": routes(kind)}));
        let base = [(":authority", "foo.example"), (":path", "/"), (":scheme", "https")];
        for (proto, expected) in [
            (Some("https"), "a"),
            (Some("HTTPS"), "a"),
            (Some("http"), without),
            (Some("https,http"), without),
            (Some(" https"), without),
            (Some(""), without),
            (None, without),
        ] {
            let proto = proto.map(|proto| ("x-forwarded-proto", proto));
            let headers: Vec<_> = base.into_iter().chain(proto).collect();
            plaintext(&router, &headers, expected);
        }
    }
}

#[test]
fn the_default_backend_may_want_tls_too() {
    let router = router(&json!({
        "default_backend": {"backend": "a", "plaintext": "redirect"}
    }));
    plaintext(
        &router,
        &[(":authority", "foo.example"), (":path", "/x")],
        "308 https://foo.example/x",
    );
    plaintext(&router, &[(":authority", "foo.example"), (":path", "/")], "a");
}

#[test]
fn tls_comes_before_all_that_rules_say() {
    let backends = json!([{"name": "a", "default": {"forward": {"cluster": "a"}}, "rules": [
        {"match": {"headers": [{"name": "x-gone", "value": {"prefix": ""}}]},
         "action": {"respond": {"status": 418}}},
        {"action": {"forward": {"cluster": "a", "websocket": true,
                                "cors": {"allow_origins": ["*"], "allow_methods": ["GET"]}}}}
    ]}]);
    let router = router(&json!({"virtual_hosts": routes("redirect"), "backends": backends}));
    let base = [(":authority", "foo.example"), (":path", "/")];
    let preflight = [
        (":method", "OPTIONS"),
        ("origin", "http://foo.example"),
        ("access-control-request-method", "GET"),
    ];
    let location = "308 https://foo.example/";
    for (extra, without, with) in [
        (&preflight[..], location, "200"),
        (&[("x-gone", "1")], location, "418"),
        (&[("upgrade", "websocket")], "403", "a"),
        (&[(":method", "TRACE")], "405", "405"),
    ] {
        let headers = [&base[..], extra].concat();
        plaintext(&router, &headers, without);
        plaintext(&router, &[&headers[..], &[("x-forwarded-proto", "https")]].concat(), with);
    }
}

#[test]
fn a_bad_table_is_refused_with_its_place() {
    let tls_hosts = |tls_hosts: Value| json!({"version": 1, "tls_hosts": tls_hosts});
    let host = |host: &str| tls_hosts(json!([{"hosts": [host], "certificate": "c"}]));
    for (table, expected) in [
        (
            tls_hosts(json!([
                {"hosts": ["a", "b"], "certificate": "c"}, {"hosts": ["b"], "certificate": "d"}
            ])),
            "tls_hosts[1].hosts[0]: \"b\" is also in tls_hosts[0]; merge the two",
        ),
        (host("*"), "tls_hosts[0].hosts: contains \"*\"; remove it"),
        (host("Foo.example"), "tls_hosts[0].hosts[0]: \"Foo.example\" is not a valid host"),
        (host("foo.example:443"), "tls_hosts[0].hosts[0]"),
        (tls_hosts(json!([{"hosts": [], "certificate": "c"}])), "tls_hosts[0].hosts: is empty"),
        (
            tls_hosts(json!([{"hosts": ["a"], "certificate": ""}])),
            "tls_hosts[0].certificate: is empty",
        ),
        (tls_hosts(json!([{"hosts": ["a"]}])), "missing field `certificate`"),
        (
            tls_hosts(json!([{"hosts": ["a"], "certificate": "c", "sni": "a"}])),
            "unknown field `sni`",
        ),
        (json!({"version": 1, "https_port": 0}), "https_port: is 0, which is not a valid port"),
        (json!({"version": 1, "https_port": 65536}), "invalid value"),
        (
            json!({"version": 1, "default_backend": {"backend": "a", "plaintext": "serve"}}),
            "unknown variant `serve`",
        ),
    ] {
        let error = Router::load(table.to_string().as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{table}: {error}");
    }
}

#[test]
fn only_what_is_not_the_default_is_written() {
    let table: ingress_filter::RouteTable =
        serde_json::from_value(json!({"version": 1, "https_port": 443})).unwrap();
    assert_eq!(table, ingress_filter::RouteTable::empty());
    assert_eq!(serde_json::to_value(&table).unwrap(), json!({"version": 1}));
    let full = json!({
        "version": 1,
        "default_backend": {"backend": "a", "plaintext": "refuse"},
        "tls_hosts": [{"hosts": ["*.a"], "certificate": "c"}],
        "https_port": 8443
    });
    let table: ingress_filter::RouteTable = serde_json::from_value(full.clone()).unwrap();
    assert_eq!(serde_json::to_value(&table).unwrap(), full);
}
