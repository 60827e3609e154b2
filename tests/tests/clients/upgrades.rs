//! Offers to upgrade, which a server may ignore (RFC 9110 section 7.8).

use ingress_tests::raw;

use crate::Clients;

#[test]
fn offers_of_other_protocols_than_websocket_are_ignored() {
    let clients = Clients::start(&[]);
    for headers in [
        // As Apache HttpClient 5 sends it.
        "Upgrade: TLS/1.2\r\nConnection: Upgrade\r\n",
        "Upgrade: h2,h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n",
        "upgrade: foo\r\nconnection: keep-alive, upgrade\r\n",
        "upgrade: websockets\r\nconnection: upgrade\r\n",
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: web.example\r\n{headers}\r\n");
        assert_eq!(raw(clients.serving.http, request.as_bytes()).by(), "web", "{headers}");
        let [received] = &clients.web.take_received()[..] else { panic!("one request") };
        for name in ["upgrade", "connection", "http2-settings"] {
            assert_eq!(received.values(name).len(), 0, "{name}: {headers}");
        }
    }
}
