//! `explain` on connections: certificates, 421, and paths that are not served
//! without TLS, in the real module.

mod sandbox;

use ingress_filter::RouteTable;
use ingressctl::explain::{Explainer, Explanation, Request};
use ingressctl::settings::Settings;
use serde_json::{Value, json};

/// The module behind an Envoy that trusts this many proxies in front of it.
fn explainer(trusted_hops: u32) -> Explainer {
    let route = |path: &str, rule: u32, plaintext: Option<&str>| {
        json!({"match": {"prefix": path}, "backend": "web", "source": format!("ns/web#{rule}.0"),
               "plaintext": plaintext})
    };
    let table = json!({
        "version": 1,
        "sanitized_by_envoy": true,
        "https_port": 8443,
        "backends": [{
            "name": "web",
            "rules": [{"name": "ns/rule", "action": {"forward": {"cluster": "ruled"}}}],
            "default": {"forward": {"cluster": "default"}}
        }],
        "virtual_hosts": [{"hosts": ["*"], "routes": [
            route("/", 0, None),
            route("/sent", 1, Some("redirect")),
            route("/hidden", 2, Some("refuse"))
        ]}],
        "tls_hosts": [
            {"hosts": ["a.example", "*.a.example"], "certificate": "ns/a"},
            {"hosts": ["b.example"], "certificate": "ns/b"}
        ]
    });
    let table: RouteTable = serde_json::from_value(table).expect("a table");
    let settings = Settings { trusted_hops, ..Settings::default() };
    Explainer::new(&table, &settings).expect("the module accepts the table")
}

fn get(explainer: &Explainer, url: &str, headers: &[&str]) -> Explanation {
    let headers: Vec<_> = headers.iter().map(ToString::to_string).collect();
    let request = Request::new("GET", url, &headers).expect("a request");
    explainer.explain(&request).expect("the module runs")
}

#[test]
fn a_connection_has_the_certificate_of_its_sni() {
    let explainer = explainer(0);
    for (url, headers, certificate, status) in [
        ("https://a.example/", &[][..], Some("ns/a"), None),
        ("https://A.example.:8443/", &[], Some("ns/a"), None),
        ("https://x.a.example/", &[], Some("ns/a"), None),
        ("https://other.example/", &[], Some("default"), None),
        ("https://192.0.2.1/", &[], Some("default"), None),
        ("http://a.example/", &[], None, None),
        ("https://b.example/", &["host: a.example"], Some("ns/b"), Some(421)),
        ("https://other.example/", &["host: a.example"], Some("default"), Some(421)),
        // A client that connects to an IP address sends no server name (SNI).
        ("https://192.0.2.1/", &["host: a.example"], Some("default"), None),
        ("https://a.example/", &["host: other.example"], Some("ns/a"), None),
        ("http://b.example/", &["host: a.example"], None, None),
        // Envoy's own responses also depend on the connection.
        ("https://a.example/%2f", &[], Some("ns/a"), Some(400)),
    ] {
        let explanation = get(&explainer, url, headers);
        let found = (explanation.certificate.as_deref(), explanation.status);
        assert_eq!(found, (certificate, status), "{url} {headers:?}");
    }
}

#[test]
fn a_misdirected_request_is_told_of_both_certificates() {
    let explanation = get(&explainer(0), "https://b.example/sent", &["host: x.a.example:8443"]);
    assert_eq!(
        explanation.reason,
        "the connection has the certificate ns/b, but the host has ns/a; the client should use \
         another connection"
    );
    assert_eq!((explanation.ingress, explanation.rules.len()), (None, 0));
    assert!(explanation.candidates.iter().all(|candidate| !candidate.chosen));
}

/// The verdict on the route with this path.
fn verdict<'e>(explanation: &'e Explanation, path: &str) -> (bool, &'e str) {
    let mut candidates = explanation.candidates.iter();
    let candidate = candidates.find(|candidate| candidate.path == format!("prefix {path}"));
    candidate.map(|candidate| (candidate.chosen, &*candidate.verdict)).expect("a candidate")
}

#[test]
fn a_route_that_wants_tls_says_what_it_does_without() {
    let explainer = explainer(0);
    let sent = get(&explainer, "http://a.example/sent/x?y", &[]);
    assert_eq!(sent.status, Some(308));
    assert_eq!(sent.location.as_deref(), Some("https://a.example:8443/sent/x?y"));
    assert_eq!(sent.reason, "ns/web#1.0 redirects to HTTPS");
    assert_eq!(sent.ingress.as_ref().map(ToString::to_string).as_deref(), Some("ns/web#1.0"));
    assert_eq!(verdict(&sent, "/sent"), (true, "redirects to HTTPS"));
    assert_eq!((sent.route_rule.as_deref(), sent.rules.len(), sent.cluster), (None, 0, None));

    let hidden = get(&explainer, "http://a.example/hidden", &[]);
    assert_eq!((hidden.status, &hidden.location), (Some(404), &None));
    assert_eq!(hidden.reason, "ns/web#2.0 is served over HTTPS only");
    assert_eq!(verdict(&hidden, "/hidden"), (false, "serves the request only over HTTPS"));
    assert_eq!((hidden.ingress, hidden.virtual_host, hidden.rules.len()), (None, None, 0));

    for path in ["/sent", "/hidden"] {
        let explanation = get(&explainer, &format!("https://a.example{path}"), &[]);
        assert_eq!(explanation.cluster.as_deref(), Some("ruled"));
        assert_eq!(verdict(&explanation, path), (true, "serves the request"));
    }
}

#[test]
fn no_client_talks_itself_past_a_redirect() {
    for (trusted_hops, headers, expected) in [
        (0, &["x-forwarded-proto: https"][..], Some(308)),
        (0, &["x-forwarded-proto: https", "x-forwarded-proto: https"], Some(308)),
        (0, &["x-forwarded-scheme: https", "forwarded: proto=https"], Some(308)),
        (0, &["connection: x-forwarded-proto"], Some(400)),
        (1, &["x-forwarded-proto: https"], None),
        (1, &["x-forwarded-proto: HTTPS"], None),
        (1, &["x-forwarded-proto: http,https"], Some(308)),
    ] {
        let explanation = get(&explainer(trusted_hops), "http://a.example/sent", headers);
        assert_eq!(explanation.status, expected, "{trusted_hops} {headers:?}");
    }
    // A path with TLS does not fall back to it either.
    let explanation = get(&explainer(0), "https://a.example/sent", &["x-forwarded-proto: http"]);
    assert_eq!(explanation.status, None);
}

const MANIFESTS: &str = "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, annotations: {kubernetes.io/ingress.class: istio}}
spec:
  tls: [{}]
  rules:
  - http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{name: http, port: 80}]}
";

const CASES: &str = "
tests:
- test_name: plain HTTP is sent to HTTPS
  input: {authority: 'a.example:8080', path: /x?y}
  validate:
    path_redirect: https://a.example:8443/x?y
    code_redirect: 308
    ingress: {ingress: default/web#0.0, status: 308}
- test_name: HTTPS is served
  input: {authority: a.example, path: /x?y, ssl: true, ingress: {sni: ''}}
  validate: {cluster_name: web.default.svc.cluster.local|80}
";

/// The settings as flags, for both commands that run the module.
#[test]
fn the_settings_and_the_connection_are_flags() {
    let folder = tempfile::tempdir().unwrap();
    let (manifests, cases) = (folder.path().join("in.yaml"), folder.path().join("cases"));
    std::fs::write(&manifests, MANIFESTS).unwrap();
    std::fs::write(&cases, CASES).unwrap();
    let run = |command: &str, args: &[&str]| {
        let output = sandbox::ingressctl()
            .args([command, "--https-port", "8443", "-f"])
            .arg(&manifests)
            .args(args)
            .output()
            .expect("ingressctl runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        (output.status.success(), text(output.stdout), text(output.stderr))
    };
    let cases = cases.to_str().expect("a path");
    let (passed, out, err) = run("test", &["--http-for-tls", "redirect", cases]);
    assert!(passed, "{out}{err}");
    let (passed, out, _) = run("test", &["--http-for-tls", "refuse", cases]);
    assert!(!passed && out.contains("default/web#0.0 is served over HTTPS only"), "{out}");

    let (_, out, _) = run("explain", &["--sni", "b.example", "https://a.example/"]);
    assert!(out.contains("\n  certificate of the connection: default\n"), "{out}");
    let (_, out, _) = run("explain", &["-o", "json", "http://a.example/"]);
    let explanation: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(explanation["certificate"], Value::Null);
    for (args, problem) in [
        (
            &["--sni", "a.example", "a.example"][..],
            "--sni: a server name (SNI) is only sent over TLS",
        ),
        (&["--sni", "192.0.2.1", "https://a.example"], "is not a host name"),
        (&["--http-for-tls", "maybe", "a.example"], "invalid value 'maybe'"),
    ] {
        let (passed, _, err) = run("explain", args);
        assert!(!passed && err.contains(problem), "{args:?}: {err}");
    }
}
