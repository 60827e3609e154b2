//! The protocols of TLS connections.

use ingress_tests::{Serving, TlsClient, raw, refuses_tls_1_1};
use rustls::ProtocolVersion;

use crate::setup::Hosts;

#[test]
fn http_2_and_http_1_1_are_negotiated() {
    let hosts = Hosts::new();
    let serving = Serving::start(&hosts.manifests());
    for (offered, expected) in [
        (&["h2", "http/1.1"][..], Some(&b"h2"[..])),
        (&["http/1.1", "h2"], Some(b"h2")),
        (&["http/1.1"], Some(b"http/1.1")),
        (&[], None),
    ] {
        let client = TlsClient::new(&hosts.authority, offered);
        let connection = client.connect(serving.https(), "one.example").unwrap();
        assert_eq!(connection.protocol(), expected, "{offered:?}");
    }
}

#[test]
fn tls_1_3_and_1_2_are_spoken_and_1_1_is_refused() {
    let hosts = Hosts::new();
    let serving = Serving::start(&hosts.manifests());
    let client = TlsClient::new(&hosts.authority, &[]);
    let connection = client.connect(serving.https(), "one.example").unwrap();
    assert_eq!(connection.version(), Some(ProtocolVersion::TLSv1_3));
    let client = TlsClient::tls_1_2(&hosts.authority);
    let mut connection = client.connect(serving.https(), "one.example").unwrap();
    assert_eq!(connection.version(), Some(ProtocolVersion::TLSv1_2));
    assert_eq!(connection.get("one.example", "/").by(), "a");
    assert!(refuses_tls_1_1(serving.https()));
}

#[test]
fn upstreams_learn_that_the_client_came_by_https() {
    let hosts = Hosts::new();
    let serving = Serving::start(&hosts.manifests());
    let client = TlsClient::new(&hosts.authority, &[]);
    client.get(serving.https(), "one.example", "/").unwrap();
    serving.get("one.example", "/");
    let forged = "GET / HTTP/1.1\r\nhost: one.example\r\nx-forwarded-proto: https\r\n\r\n";
    raw(serving.http, forged.as_bytes());
    let received = hosts.upstream.take_received();
    let schemes: Vec<_> =
        received.iter().map(|request| request.values("x-forwarded-proto").concat()).collect();
    assert_eq!(schemes, [&b"https"[..], b"http", b"http"]);
}
