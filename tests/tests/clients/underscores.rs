//! Headers with underscores in their names.

use ingress_tests::{h2_request, raw};

use crate::Clients;

/// The status over HTTP/1.1 and HTTP/2, and how many of the upstream's requests had the
/// header.
fn outcome(flags: &[&str]) -> ([Option<u16>; 2], usize) {
    let clients = Clients::start(flags);
    let request = b"GET / HTTP/1.1\r\nHost: web.example\r\nx_user: me\r\n\r\n";
    let fields: [(&[u8], &[u8]); 5] = [
        (b":method", b"GET"),
        (b":scheme", b"http"),
        (b":authority", b"web.example"),
        (b":path", b"/"),
        (b"x_user", b"me"),
    ];
    let one = raw(clients.serving.http, request).status;
    let two = h2_request(clients.serving.http, &fields);
    let received = clients.web.take_received();
    let count = received.iter().filter(|request| !request.values("x_user").is_empty()).count();
    ([Some(one), two], count)
}

#[test]
fn a_setting_decides_what_becomes_of_them() {
    assert_eq!(outcome(&[]), ([Some(200); 2], 0));
    assert_eq!(outcome(&["--headers-with-underscores", "drop"]), ([Some(200); 2], 0));
    assert_eq!(outcome(&["--headers-with-underscores", "allow"]), ([Some(200); 2], 2));
    // Envoy resets the stream of HTTP/2.
    let ([one, two], count) = outcome(&["--headers-with-underscores", "reject"]);
    assert_eq!((one, count), (Some(400), 0));
    assert!(matches!(two, None | Some(400)), "{two:?}");
}
