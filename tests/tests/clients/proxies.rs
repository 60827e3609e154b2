//! Load balancers and proxies in front, and what upstreams learn about clients.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use ingress_tests::{
    Authority, Edge, Received, Serving, TlsClient, Upstream, envoy, free_port, ingressctl, raw,
};

use crate::Clients;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: web.example\r\nConnection: close\r\n\r\n";

/// The single request that the upstream has received.
fn received(upstream: &Upstream) -> Received {
    let mut all = upstream.take_received();
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn value(request: &Received, name: &str) -> String {
    String::from_utf8_lossy(&request.values(name).join(&b',')).into_owned()
}

fn send(serving: &Serving, headers: &str) {
    let request = format!("GET / HTTP/1.1\r\nHost: Web.Example:8080\r\n{headers}\r\n");
    assert_eq!(raw(serving.http, request.as_bytes()).by(), "web");
}

#[test]
fn upstreams_learn_the_host_and_the_port() {
    let clients = Clients::start(&["--forwarded-host", "--http-port", "80"]);
    let forged = "x-forwarded-host: forged\r\nx-forwarded-port: 1\r\nx-request-id: forged\r\n";
    send(&clients.serving, forged);
    let request = received(&clients.web);
    assert_eq!(value(&request, "x-forwarded-host"), "Web.Example:8080");
    assert_eq!(value(&request, "x-forwarded-port"), "80");
    assert_ne!(value(&request, "x-request-id"), "forged");
}

#[test]
fn under_serve_the_port_is_the_one_it_listens_on() {
    let [web, rest] = ["web", "rest"].map(Upstream::start);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("manifests.yaml");
    std::fs::write(&path, crate::manifests(&web, &rest)).expect("a file");
    let port = free_port();
    let mut command = Command::new(ingressctl());
    command.arg("serve").arg("-f").arg(&path).arg("--envoy").arg(envoy());
    command.args(["--forwarded-host", "--http", &port.to_string(), "--https", "0"]);
    let (_process, edge, _log) = Edge::run(&mut command);
    assert_eq!(edge.get("web.example", "/").by(), "web");
    assert_eq!(value(&received(&web), "x-forwarded-port"), port.to_string());
}

#[test]
fn a_trusted_proxy_is_believed() {
    let clients = Clients::start(&["--forwarded-host", "--trusted-hops", "1"]);
    let headers = "x-forwarded-for: 203.0.113.7\r\nx-forwarded-proto: https\r\n\
                   x-forwarded-host: front.example\r\nx-forwarded-port: 444\r\n\
                   x-request-id: 11111111-2222-3333-4444-555555555555\r\n";
    send(&clients.serving, headers);
    let request = received(&clients.web);
    for (name, expected) in [
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "front.example"),
        ("x-forwarded-port", "444"),
        ("x-request-id", "11111111-2222-3333-4444-555555555555"),
    ] {
        assert_eq!(value(&request, name), expected, "{name}");
    }
    assert!(value(&request, "x-forwarded-for").starts_with("203.0.113.7,"));
    send(&clients.serving, "");
    let request = received(&clients.web);
    assert_eq!(value(&request, "x-forwarded-host"), "Web.Example:8080");
    // The proxy knows the port that the client has used.
    assert_eq!(value(&request, "x-forwarded-port"), "");
}

/// The PROXY protocol, from 203.0.113.7.
const VERSION_1: &[u8] = b"PROXY TCP4 203.0.113.7 198.51.100.1 4711 443\r\n";
const VERSION_2: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x07\xc6\x33\x64\x01\x12\x67\x01\xbb";
/// As health checks of load balancers use it: the connection is its own.
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

fn connect(address: SocketAddr, head: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout is set");
    stream.write_all(head).expect("the start is sent");
    stream
}

/// What the gateway sends until it closes the connection.
fn exchange(serving: &Serving, head: &[u8]) -> String {
    let mut stream = connect(serving.http, &[head, REQUEST].concat());
    let mut answer = Vec::new();
    // A rejected connection may be reset.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn the_proxy_protocol_tells_the_client() {
    let clients =
        Clients::start(&["--proxy-protocol", "--trusted-proxies", "10.0.0.0/8,127.0.0.0/8"]);
    for (head, is_told) in [(VERSION_1, true), (VERSION_2, true), (LOCAL, false)] {
        let answer = exchange(&clients.serving, head);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let client = value(&received(&clients.web), "x-forwarded-for");
        assert_eq!(client == "203.0.113.7", is_told, "{client}");
    }
    for head in [&b""[..], b"PROXY nonsense\r\n", b"PROXY TCP4 x y 1 2\r\n"] {
        assert_eq!(exchange(&clients.serving, head), "", "{}", head.escape_ascii());
    }
    assert_eq!(clients.web.take_received().len(), 0);
}

#[test]
fn the_proxy_protocol_of_strangers_is_rejected() {
    let clients = Clients::start(&["--proxy-protocol=true", "--trusted-proxies", "10.0.0.0/8"]);
    for head in [VERSION_1, VERSION_2, LOCAL, b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n", b""] {
        assert_eq!(exchange(&clients.serving, head), "", "{}", head.escape_ascii());
    }
    assert_eq!(clients.web.take_received().len(), 0);
}

#[test]
fn without_the_setting_it_is_not_http() {
    let clients = Clients::start(&[]);
    let answer = exchange(&clients.serving, VERSION_1);
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}

#[test]
fn the_proxy_protocol_needs_the_networks_of_the_proxies() {
    for (flags, error) in [
        (&["--proxy-protocol"][..], "proxyProtocol needs trustedProxies; name the networks"),
        (
            &["--trusted-proxies", "10.0.0.0/8"],
            "trustedProxies has no effect without proxyProtocol",
        ),
    ] {
        let mut command = Command::new(ingressctl());
        let output = command.args(["check", "-f", "-"]).args(flags).output().expect("it runs");
        assert_eq!(output.status.code(), Some(3));
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains(error), "{told}");
    }
}

fn with_certificate(flags: &[&str]) -> (Authority, Upstream, Serving) {
    let authority = Authority::new();
    let [web, rest] = ["web", "rest"].map(Upstream::start);
    let secret = authority.issue(&["web.example"]).secret("istio-system", "istio-ingress-certs");
    let manifests = format!("{}\n---\n{secret}\n", crate::manifests(&web, &rest));
    let serving = Serving::start_with(&manifests, flags);
    (authority, web, serving)
}

#[test]
fn the_proxy_protocol_precedes_the_tls_handshake() {
    let flags = [
        "--proxy-protocol",
        "--trusted-proxies",
        "127.0.0.1/32",
        "--https-port",
        "443",
        "--forwarded-host",
    ];
    let (authority, web, serving) = with_certificate(&flags);
    let client = TlsClient::new(&authority, &[]);
    for head in [VERSION_1, VERSION_2] {
        let stream = connect(serving.https(), head);
        let mut connection = client.handshake(stream, "web.example").expect("a handshake");
        assert_eq!(connection.get("web.example", "/").by(), "web");
        let request = received(&web);
        assert_eq!(value(&request, "x-forwarded-for"), "203.0.113.7");
        assert_eq!(value(&request, "x-forwarded-port"), "443");
    }
    client.connect(serving.https(), "web.example").map(drop).expect_err("no protocol");
}

#[test]
fn a_setting_rejects_tls_1_2() {
    let (authority, _web, serving) = with_certificate(&["--tls-minimum-version", "TLSv1.3"]);
    let current = TlsClient::new(&authority, &[]).get(serving.https(), "web.example", "/");
    assert_eq!(current.expect("a response").by(), "web");
    let older = TlsClient::tls_1_2(&authority).connect(serving.https(), "web.example");
    older.map(drop).expect_err("TLS 1.2");
}
