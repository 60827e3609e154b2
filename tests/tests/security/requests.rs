//! Requests with misleading paths, hosts, methods or framing.

use ingress_tests::{Edge, h2_request, raw};
use ingressctl::compile::compile;
use ingressctl::manifest::read_text;
use ingressctl::settings::Settings;
use serde_json::json;

use crate::setup::{assert_unharmed, get_with, request, start};

/// The service for a target and the path that it receives; or the status of a
/// rejection.
pub(crate) type Outcome<'a> = Result<(&'a str, &'a str), u16>;

/// Targets of requests to a host where `/admin` is another service.
pub(crate) const TARGETS: &[(&[u8], Outcome<'static>)] = &[
    (b"/admin", Ok(("admin", "/admin"))),
    (b"//admin", Ok(("admin", "/admin"))),
    (b"///admin", Ok(("admin", "/admin"))),
    (b"/./admin", Ok(("admin", "/admin"))),
    (b"/x/../admin", Ok(("admin", "/admin"))),
    (b"/../admin", Ok(("admin", "/admin"))),
    (b"/%61dmin", Ok(("admin", "/admin"))),
    (b"/%2e%2e/admin", Ok(("admin", "/admin"))),
    (b"/x\\..\\admin", Ok(("admin", "/admin"))),
    (b"\\admin", Err(400)),
    (b"http://paths.example/admin", Ok(("admin", "/admin"))),
    (b"/admin?x=/../y", Ok(("admin", "/admin?x=/../y"))),
    (b"/admin/..", Ok(("open", "/"))),
    (b"/admin/%2e%2e/x", Ok(("open", "/x"))),
    (b"/x%2f..%2fadmin", Err(400)),
    (b"/x%5c..%5cadmin", Err(400)),
    (b"/admin%2f", Err(400)),
    (b"/admin%2F", Err(400)),
    (b"/admin%00", Err(400)),
    // Never decoded a second time.
    (b"/%2561dmin", Ok(("open", "/%2561dmin"))),
    (b"/x/%252e%252e/admin", Ok(("open", "/x/%252e%252e/admin"))),
    (b"/admin%23f", Ok(("open", "/admin%23f"))),
    (b"/admin%3fx", Ok(("open", "/admin%3fx"))),
    (b"/admin%20", Ok(("open", "/admin%20"))),
    (b"/admin%c0%af", Ok(("open", "/admin%c0%af"))),
    (b"/%zz", Ok(("open", "/%zz"))),
    (b"/%", Ok(("open", "/%"))),
    (b"/admin;x=1", Ok(("open", "/admin;x=1"))),
    (b"/ADMIN", Ok(("open", "/ADMIN"))),
    // The query does not affect routing.
    (b"/x?y=/admin", Ok(("open", "/x?y=/admin"))),
    (b"/x?/../admin", Ok(("open", "/x?/../admin"))),
    (b"/?/admin", Ok(("open", "/?/admin"))),
    (b"/admin\x01", Err(400)),
    (b"/admin\tx", Err(400)),
    (b"/admin\x7f", Err(400)),
    (b"/admin\x80", Err(400)),
    (b"/admin\xff", Err(400)),
    (b"/admin#f", Err(400)),
    (b"/x?#/admin", Err(400)),
    (b"admin", Err(400)),
    (b"", Err(400)),
    // Envoy merges the slashes of every path except this one.
    (b"//", Ok(("open", "//"))),
];

/// Hosts, and the service or status of each.
pub(crate) const HOSTS: &[(&[u8], &str)] = &[
    (b"foo.example.com", "open"),
    (b"FOO.Example.COM", "open"),
    (b"foo.example.com:8443", "open"),
    (b"foo.example.com.", "open"),
    (b"foo.example.com..", "404"),
    (b"foo.example.com:abc", "404"),
    (b"foo.example.com:80:80", "404"),
    (b":abc", "404"),
    (b":", "404"),
    (b"", "404"),
    (b"a b", "400"),
    (b"x@foo.example.com", "404"),
    (b"foo.example.com, victim.example", "400"),
    (b"foo.example.com,victim.example", "404"),
    (b"foo.example.com\r\nhost: victim.example", "404"),
    (b"victim.example\r\nhost: foo.example.com", "404"),
    (b"foo%2eexample.com", "404"),
    (b"foo.example.com/", "400"),
    (b"foo.example.com#", "400"),
    (b"foo.example.com\x80", "400"),
    (b"foo.example.com\x00", "400"),
    (b"[::1", "404"),
    (b"a.wild.example", "open"),
    (b"a.b.wild.example", "404"),
    (b".wild.example", "404"),
    (b"..wild.example", "404"),
    (b"*.wild.example", "404"),
    (b"wild.example", "404"),
];

/// Headers that make the end of a message ambiguous.
pub(crate) const FRAMINGS: &[&[u8]] = &[
    b"content-length: 5\r\ntransfer-encoding: chunked\r\n",
    b"content-length: 5\r\ncontent-length: 6\r\n",
    b"content-length: +5\r\n",
    b"content-length: 5, 5\r\n",
    b"transfer-encoding: xchunked\r\n",
    b"transfer-encoding: chunked, identity\r\n",
    b"transfer-encoding : chunked\r\n",
    b"no colon\r\n",
    b": no name\r\n",
    b"a: b\x00\r\n",
];

#[test]
fn what_decides_is_the_path_that_the_upstream_gets() {
    let (upstreams, serving) = start();
    for (target, expected) in TARGETS {
        let answer = raw(serving.http, &request("GET", target, b"paths.example", b""));
        let received = upstreams.take_received();
        let outcome = match &received[..] {
            [] => Err(answer.status),
            [one] => Ok((answer.by(), one.path.clone())),
            several => panic!("{several:?}"),
        };
        let expected = expected.map(|(by, path)| (by.to_owned(), path.to_owned()));
        assert_eq!(outcome, expected, "{}", target.escape_ascii());
    }
    assert_unharmed(&serving);
}

#[test]
fn a_malformed_host_is_nobodys() {
    let (upstreams, serving) = start();
    for (host, expected) in HOSTS {
        let answer = raw(serving.http, &request("GET", b"/", host, b""));
        assert_eq!(answer.by(), *expected, "{}", host.escape_ascii());
        assert_eq!(upstreams.victim.take_received().len(), 0, "{}", host.escape_ascii());
    }
    // The host of an absolute target counts, whatever the header contains.
    let absolute = request("GET", b"http://victim.example/", b"foo.example.com", b"");
    assert_eq!(raw(serving.http, &absolute).by(), "victim");
    assert_unharmed(&serving);
}

#[test]
fn what_is_no_request_for_a_path_is_refused() {
    let (upstreams, serving) = start();
    let long = [b"/".to_vec(), vec![b'a'; 70_000]].concat();
    let many = b"a: b\r\n".repeat(101);
    let large = [&b"a: "[..], &vec![b'b'; 61 * 1024], b"\r\n"].concat();
    let cases: &[(&str, &[u8], &[u8], u16)] = &[
        ("TRACE", b"/", b"", 405),
        ("TRACE", b"/admin", b"", 405),
        ("trace", b"/", b"", 400),
        ("OPTIONS", b"*", b"", 404),
        ("GET", b"*", b"", 400),
        ("CONNECT", b"paths.example:80", b"", 404),
        ("CONNECT", b"/", b"", 400),
        ("CONNECT", b"127.0.0.1:9901", b"", 404),
        ("PRI", b"*", b"", 400),
        ("GET", &long, b"", 431),
        ("GET", b"/", &many, 431),
        ("GET", b"/", &large, 431),
    ];
    for (method, target, headers, status) in cases {
        let answer = raw(serving.http, &request(method, target, b"paths.example", headers));
        let what = format!("{method} {}", target[..target.len().min(20)].escape_ascii());
        assert_eq!(answer.status, *status, "{what}");
        assert_eq!(upstreams.take_received().len(), 0, "{what}");
    }
    assert_unharmed(&serving);
}

#[test]
fn a_message_whose_end_is_ambiguous_is_refused() {
    let (upstreams, serving) = start();
    for headers in FRAMINGS {
        let smuggled = b"0\r\n\r\nGET /admin HTTP/1.1\r\nhost: paths.example\r\n\r\n";
        let first = request("POST", b"/", b"paths.example", headers);
        let status = raw(serving.http, &[&first, &smuggled[..]].concat()).status;
        assert!(matches!(status, 400 | 501), "{}: {status}", headers.escape_ascii());
        let received = upstreams.take_received();
        assert_eq!(received.len(), 0, "{}", headers.escape_ascii());
    }
    assert_unharmed(&serving);
}

#[test]
fn header_values_are_bytes_and_pass_unchanged() {
    let (upstreams, serving) = start();
    let high: Vec<u8> = (0x80..=0xff).collect();
    let large = vec![b'b'; 59 * 1024];
    for values in [&[&high[..]][..], &[b""], &[&large], &[b"a", b"", &high, b"a"]] {
        let headers: Vec<u8> =
            values.iter().flat_map(|value| [b"x-bytes: ", *value, b"\r\n"].concat()).collect();
        let answer = get_with(&serving, "paths.example", "/", &headers);
        assert_eq!(answer.by(), "open");
        let [received] = &upstreams.take_received()[..] else { panic!("one request") };
        assert_eq!(received.values("x-bytes"), values);
    }
    assert_unharmed(&serving);
}

#[test]
fn a_header_name_that_is_none_is_refused_before_the_filter() {
    let (upstreams, serving) = start();
    let names: [&[u8]; 6] = [b"x\x80", b"x\xc3\xa9", b"\xff", b"x-ingress-\xff", b"x y", b"x\x00"];
    for name in names {
        let status = get_with(&serving, "paths.example", "/", &[name, b": 1\r\n"].concat()).status;
        assert_eq!(status, 400, "{}", name.escape_ascii());

        let status = h2_get(&serving, "paths.example", &[(name, b"1")]);
        assert!(matches!(status, None | Some(400)), "{}: {status:?}", name.escape_ascii());
        assert_eq!(upstreams.take_received().len(), 0, "{}", name.escape_ascii());
    }
    assert_eq!(h2_get(&serving, "paths.example", &[(b"x-good", b"\x80\xff")]), Some(200));
    assert_unharmed(&serving);
}

fn h2_get(edge: &Edge, host: &str, headers: &[(&[u8], &[u8])]) -> Option<u16> {
    let pseudo: [(&[u8], &[u8]); 4] = [
        (b":method", b"GET"),
        (b":scheme", b"http"),
        (b":authority", host.as_bytes()),
        (b":path", b"/"),
    ];
    h2_request(edge.http, &[&pseudo, headers].concat())
}

#[test]
fn nothing_is_tunnelled_where_no_rule_allows_it() {
    let (upstreams, serving) = start();
    for (headers, status) in [
        ("connection: upgrade\r\nupgrade: websocket", 403),
        ("Connection: Upgrade\r\nUpgrade: WebSocket", 403),
        ("connection: upgrade\r\nupgrade: h2c, websocket", 403),
        ("connection: upgrade\r\nupgrade: websocket, h2c", 403),
        ("connection: upgrade\r\nupgrade: TLS/1.2", 200),
        ("connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk", 200),
        ("upgrade: websocket", 200),
    ] {
        let answer = get_with(&serving, "paths.example", "/", format!("{headers}\r\n").as_bytes());
        assert_eq!(answer.status, status, "{headers}");
        let received = upstreams.take_received();
        assert_eq!(received.len(), usize::from(status == 200), "{headers}");
        for received in received {
            for name in ["upgrade", "connection", "http2-settings"] {
                assert_eq!(received.values(name).len(), 0, "{name} of {headers}");
            }
        }
    }
    for path in ["/missing", "/unmatched"] {
        let headers = b"connection: upgrade\r\nupgrade: websocket\r\n";
        let status = get_with(&serving, "states.example", path, headers).status;
        assert_eq!(status, 403, "{path}");
        assert_eq!(upstreams.take_received().len(), 0, "{path}");
    }
    for protocol in ["websocket", "connect-udp"] {
        let fields: [(&[u8], &[u8]); 5] = [
            (b":method", b"CONNECT"),
            (b":protocol", protocol.as_bytes()),
            (b":scheme", b"http"),
            (b":authority", b"paths.example"),
            (b":path", b"/"),
        ];
        assert_ne!(h2_request(serving.http, &fields), Some(200), "{protocol}");
        assert_eq!(upstreams.take_received().len(), 0, "{protocol}");
    }
    // Envoy counts an upgrade before a route rejects it; none is active now.
    assert_eq!(serving.stat("http.ingress_http.downstream_cx_upgrades_active"), 0);
    assert_unharmed(&serving);
}

#[test]
fn the_scheme_is_what_the_listener_says() {
    let (upstreams, serving) = start();
    for scheme in ["javascript", "https", "http"] {
        let fields: [(&[u8], &[u8]); 4] = [
            (b":method", b"GET"),
            (b":scheme", scheme.as_bytes()),
            (b":authority", b"paths.example"),
            (b":path", b"/"),
        ];
        h2_request(serving.http, &fields);
        for received in upstreams.take_received() {
            assert_eq!(received.values("x-forwarded-proto"), [b"http"], "{scheme}");
        }
    }
    assert_unharmed(&serving);
}

#[test]
fn the_compiler_refuses_just_the_characters_that_never_arrive_literally() {
    let (upstreams, serving) = start();
    let printable = (b' '..=b'~').map(|byte| char::from(byte).to_string());
    let escapes = (0..=u8::MAX).flat_map(|byte| [format!("%{byte:02x}"), format!("%{byte:02X}")]);
    let mut wrong = Vec::new();
    for text in printable.chain(escapes) {
        let path = format!("/a{text}b");
        raw(serving.http, &request("GET", path.as_bytes(), b"paths.example", b""));
        let received = upstreams.take_received();
        // The path without the query.
        let arrives = received.iter().any(|one| one.path.split('?').next() == Some(&path));
        if arrives != is_compiled(&path) {
            wrong.push((text, received.into_iter().map(|one| one.path).collect::<Vec<_>>()));
        }
    }
    assert!(
        wrong.is_empty(),
        "rejected although it arrives unchanged, or accepted although it does not: {wrong:?}"
    );
}

/// Whether an Ingress may have this path, with type `Exact`.
fn is_compiled(path: &str) -> bool {
    let ingress = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "path", "annotations": {"kubernetes.io/ingress.class": "istio"}},
        "spec": {"rules": [{"http": {"paths": [{
            "path": path,
            "pathType": "Exact",
            "backend": {"service": {"name": "missing", "port": {"number": 80}}}
        }]}}]}
    });
    let manifests = read_text("path.json", &ingress.to_string());
    let table = compile(&manifests, &Settings::default()).gateway.table;
    table.virtual_hosts.iter().any(|host| !host.routes.is_empty())
}
