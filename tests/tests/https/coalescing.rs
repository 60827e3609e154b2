//! Connections that clients share among hosts (RFC 9113 section 9.1.1).

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::Request;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use ingress_tests::{Authority, Serving, TlsClient, Upstream};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;

use crate::setup::{DEFAULT, Hosts, ingress, manifests};

/// An HTTP/2 connection with `host` as its server name (SNI).
async fn connect(client: &TlsClient, address: SocketAddr, host: &str) -> SendRequest<Empty<Bytes>> {
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let stream = TlsConnector::from(client.config()).connect(name, stream).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn status(sender: &mut SendRequest<Empty<Bytes>>, host: &str, path: &str) -> u16 {
    let uri = format!("https://{host}{path}");
    let request = Request::get(uri).body(Empty::new()).unwrap();
    sender.send_request(request).await.unwrap().status().as_u16()
}

/// One certificate is valid for all hosts, so a client may use one connection for
/// all of them; but one host has its own Secret.
#[test]
fn a_request_for_a_host_of_another_certificate_is_misdirected() {
    let (authority, upstream) = (Authority::new(), Upstream::start("a"));
    let all = authority.issue(&["a.example", "b.example", "own.example", "*.any.example"]);
    let own = authority.issue(&["own.example"]);
    let hosts = [
        ("a.example", "all"),
        ("b.example", "all"),
        ("*.any.example", "all"),
        ("own.example", "own"),
    ];
    let mut plain = ingress("plain", "a", &[("none.example", "")]);
    plain["spec"].as_object_mut().unwrap().remove("tls");
    let objects = [
        ingress("web", "a", &hosts),
        plain,
        all.secret("default", "all"),
        own.secret("default", "own"),
        all.secret(DEFAULT.0, DEFAULT.1),
    ];
    let serving = Serving::start(&manifests(&upstream, &objects));
    let client = TlsClient::new(&authority, &["h2"]);
    let runtime = Runtime::new().unwrap();
    let mut sender = runtime.block_on(connect(&client, serving.https(), "a.example"));
    for (host, path, expected) in [
        ("a.example", "/", 200),
        ("b.example", "/", 200),
        ("B.EXAMPLE.:8443", "/", 200),
        ("x.any.example", "/", 200),
        ("own.example", "/", 421),
        ("OWN.example:8443", "/x?y", 421),
        // A host without a TLS entry needs no certificate.
        ("none.example", "/", 200),
        ("x.y.any.example", "/", 404),
        ("a.example", "/", 200),
    ] {
        assert_eq!(runtime.block_on(status(&mut sender, host, path)), expected, "{host}");
    }
    // The client then opens a new connection.
    let mut sender = runtime.block_on(connect(&client, serving.https(), "own.example"));
    assert_eq!(runtime.block_on(status(&mut sender, "own.example", "/")), 200);
    // Plain HTTP needs no certificate.
    let own_host = serving.get("own.example", "/");
    assert_eq!(own_host.by(), "a");
    let reached = upstream.take_received().len();
    assert_eq!(reached, 8, "misdirected requests are not forwarded");
}

#[test]
fn a_client_that_names_no_host_when_it_connects_is_served() {
    let hosts = Hosts::new();
    let serving = Serving::start(&hosts.manifests());
    let client = TlsClient::new(&hosts.authority, &[]).without_sni();
    let mut connection = client.connect(serving.https(), "default.example").unwrap();
    assert_eq!(connection.get("one.example", "/").by(), "a");
    assert_eq!(connection.get("any.wild.example", "/").by(), "a");
    // A client that sends another server name is limited to its certificate.
    let client = TlsClient::new(&hosts.authority, &[]);
    let mut connection = client.connect(serving.https(), "unknown.example").unwrap();
    assert_eq!(connection.get("one.example", "/").status, 421);
}
