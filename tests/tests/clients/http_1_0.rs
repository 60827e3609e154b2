//! HTTP/1.0, as load balancers' health checks, `ab` and old libraries send it.

use std::process::Command;

use ingress_filter::names::NO_HOST;
use ingress_tests::{KeepAlive, Serving, raw, tool};

use crate::Clients;

#[test]
fn a_request_with_a_host_is_served_by_it() {
    let clients = Clients::start(&[]);
    let request = b"GET /x HTTP/1.0\r\nHost: web.example\r\n\r\n";
    assert_eq!(raw(clients.serving.http, request).by(), "web");
    let [received] = &clients.web.take_received()[..] else { panic!("one request") };
    assert_eq!((&*received.path, &received.values("host")[..]), ("/x", &[&b"web.example"[..]][..]));

    let output = Command::new(tool("curl"))
        .args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "30", "--http1.0"])
        .args(["--include", "--header", "host: web.example"])
        .arg(format!("http://{}/", clients.serving.http))
        .output()
        .expect("curl runs");
    let answer = String::from_utf8_lossy(&output.stdout);
    assert!(answer.contains(" 200 OK") && answer.contains("x-upstream: web"), "{answer}");
}

#[test]
fn a_request_without_a_host_gets_the_default_backend() {
    let clients = Clients::start(&[]);
    for host in ["", "Host:\r\n"] {
        let request = format!("GET / HTTP/1.0\r\n{host}\r\n");
        assert_eq!(raw(clients.serving.http, request.as_bytes()).by(), "rest", "{host:?}");
    }
    let received = clients.rest.take_received();
    assert_eq!(received[0].values("host"), [NO_HOST.as_bytes()]);
    // HTTP/1.1 requires it (RFC 9112 section 3.2).
    assert_eq!(raw(clients.serving.http, b"GET / HTTP/1.1\r\n\r\n").status, 400);
}

/// Otherwise an Ingress with that host would get these requests, and clients would be
/// redirected to it.
#[test]
fn the_name_that_upstreams_see_is_not_a_host_of_the_table() {
    const ROUTES: &str = "---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: taken, annotations: {kubernetes.io/ingress.class: istio}}
spec:
  rules:
  - host: no-host.invalid
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
apiVersion: config.istio.io/v1alpha2
kind: RouteRule
metadata: {name: moved}
spec: {destination: {name: rest}, match: {request: {headers: {uri: /old}}}, redirect: {uri: /new}}
";
    let clients = Clients::start(&[]);
    let serving = Serving::start(&(clients.manifests() + ROUTES));
    assert_eq!(raw(serving.http, b"GET / HTTP/1.0\r\n\r\n").by(), "rest");
    let moved = raw(serving.http, b"GET /old HTTP/1.0\r\n\r\n");
    assert_eq!((moved.status, moved.header("location")), (302, Some("/new")));
}

#[test]
fn the_connection_lasts_if_the_client_wants_it() {
    let clients = Clients::start(&[]);
    let mut connection = KeepAlive::connect(clients.serving.http);
    let request = b"GET / HTTP/1.0\r\nHost: web.example\r\nConnection: keep-alive\r\n\r\n";
    for _ in 0..2 {
        let answer = connection.send(request);
        assert_eq!(answer.by(), "web");
        assert_eq!(answer.header("connection"), Some("keep-alive"));
        assert_eq!(answer.header("transfer-encoding"), None);
    }
    let closing = raw(clients.serving.http, b"GET / HTTP/1.0\r\nHost: web.example\r\n\r\n");
    assert_eq!(closing.header("connection"), Some("close"));
}
