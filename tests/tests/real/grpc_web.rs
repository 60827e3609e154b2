//! gRPC-Web, with the bytes that clients in browsers send, and a real server of gRPC.
//! <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md>

use std::io::Write;
use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ingress_tests::ingresses::unclassed;
use ingress_tests::{Service, Serving, Upstream, raw};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::grpc::{call, server};
use crate::{curl_host, serve_with};

/// The hosts of ports with the protocols grpc-web, grpc and http.
const WEB: &str = "web.example";
const GRPC: &str = "grpc.example";
const HTTP: &str = "http.example";

const CORS: &str = "
apiVersion: config.istio.io/v1alpha2
kind: RouteRule
metadata: {name: cors}
spec:
  destination: {name: api}
  corsPolicy:
    allowOrigin: ['https://app.example']
    allowMethods: [POST]
    allowHeaders: [content-type, x-grpc-web, x-user-agent]
    exposeHeaders: [grpc-status, grpc-message]
";

fn serve(grpc: SocketAddr, http: &Upstream, flags: &[&str]) -> Serving {
    let rule = |host: &str, service: &str, port: u16| -> Value {
        let backend = json!({"service": {"name": service, "port": {"number": port}}});
        let path = json!({"path": "/", "pathType": "Prefix", "backend": backend});
        json!({"host": host, "http": {"paths": [path]}})
    };
    let rules = [rule(WEB, "api", 80), rule(GRPC, "api", 81), rule(HTTP, "http", 80)];
    let api = Service::with_ports("api", &[("grpc-web", 80), ("grpc", 81)]).at_address(grpc);
    let manifests = [
        api.manifests(),
        Service::new("http").at(http).manifests(),
        unclassed("web", &json!({"rules": rules})),
        CORS.to_owned(),
    ];
    serve_with(&manifests.join("\n---\n"), flags)
}

/// A message in a frame.
fn frame(message: &[u8]) -> Vec<u8> {
    let len = u32::try_from(message.len()).expect("a short message").to_be_bytes();
    [&[0], &len[..], message].concat()
}

/// The messages of a response, and the trailers in its last frame.
fn read_frames(mut body: &[u8]) -> (Vec<Vec<u8>>, String) {
    let (mut messages, mut trailers) = (Vec::new(), String::new());
    while let [kind, a, b, c, d, rest @ ..] = body {
        let len = usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).expect("a length");
        let (content, rest) = rest.split_at(len);
        match kind {
            0 => messages.push(content.to_vec()),
            0x80 => trailers += &String::from_utf8_lossy(content),
            kind => panic!("frame {kind:#x}"),
        }
        body = rest;
    }
    assert!(body.is_empty(), "{body:?} after the last frame");
    (messages, trailers)
}

/// The headers and the body of the response to a request with these bytes.
fn post(
    serving: &Serving,
    (host, method): (&str, &str),
    flags: &[&str],
    body: &[u8],
) -> (String, Vec<u8>) {
    let mut file = NamedTempFile::new().expect("a file");
    file.write_all(body).expect("a body is written");
    let data = format!("@{}", file.path().display());
    let browser = ["--header", "x-grpc-web: 1", "--header", "origin: https://app.example"];
    let flags = [&["--include", "--data-binary", &data], &browser[..], flags].concat();
    let mut curl = curl_host(serving.http, host, &format!("/test.Echo/{method}"), &flags);
    let output = curl.output().expect("curl runs");
    assert!(output.status.success(), "{curl:?}: {}", String::from_utf8_lossy(&output.stderr));
    let end = output.stdout.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("headers");
    let (head, body) = output.stdout.split_at(end + 4);
    (String::from_utf8_lossy(head).into_owned(), body.to_vec())
}

const BINARY: [&str; 2] = ["--header", "content-type: application/grpc-web+proto"];
const TEXT: [&str; 4] = [
    "--header",
    "content-type: application/grpc-web-text",
    "--header",
    "accept: application/grpc-web-text",
];

#[test]
fn calls_of_browsers_are_translated() {
    let (grpc, http) = (server("one"), Upstream::start("http"));
    let serving = serve(grpc.address, &http, &["--grpc-web"]);
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let binary = [&[version, "--header", "x-own-text: a b"], &BINARY[..]].concat();
        let (head, body) = post(&serving, (WEB, "Say"), &binary, &frame(b"\0hello"));
        assert!(head.contains(" 200") && head.contains(BINARY[1]), "{head}");
        assert!(head.contains("x-own-text: a b"), "{head}");
        assert!(head.contains("access-control-expose-headers: grpc-status,grpc-message"), "{head}");
        let (messages, trailers) = read_frames(&body);
        assert_eq!(messages, [b"\0hello"]);
        assert!(trailers.contains("grpc-status:0\r\n"), "{trailers}");
        assert!(trailers.contains("trailing-x-own-text:a b\r\n"), "{trailers}");

        let sent = BASE64.encode(frame(b"\0hello"));
        let text = [&[version], &TEXT[..]].concat();
        let (head, body) = post(&serving, (WEB, "Say"), &text, sent.as_bytes());
        assert!(head.contains(TEXT[1]), "{head}");
        let (messages, trailers) = read_frames(&decode(&body));
        assert_eq!(messages, [b"\0hello"]);
        assert!(trailers.contains("grpc-status:0\r\n"), "{trailers}");

        // A stream.
        let (_, body) = post(&serving, (WEB, "Count"), &binary, &frame(b"3"));
        assert_eq!(read_frames(&body).0, [b"0", b"1", b"2"]);

        // A response without messages has its status in the headers.
        let (head, body) = post(&serving, (WEB, "Fail"), &binary, &frame(b"NOT_FOUND"));
        assert!(head.contains(" 200") && head.contains("grpc-status: 5"), "{head}");
        assert!(head.contains("grpc-message: caf%C3%A9 100%25 closed"), "{head}");
        assert_eq!(body, b"");
    }
    // Clients of gRPC are served as before.
    assert_eq!(call(&serving, WEB, "say"), ["b'\\x00\\xff'", "one a b True", "a b True"]);
}

/// Base64 in parts, each of which may have padding.
fn decode(body: &[u8]) -> Vec<u8> {
    let decoded = body.chunks(4).map(|four| BASE64.decode(four).expect("base64"));
    decoded.collect::<Vec<_>>().concat()
}

#[test]
fn requests_for_other_ports_are_not_touched() {
    let (grpc, http) = (server("one"), Upstream::start("http"));
    let serving = serve(grpc.address, &http, &["--grpc-web"]);
    // A client cannot select the cluster.
    let forged = "x-ingress-cluster: grpc-web|api.default.svc.cluster.local|80";
    for header in ["x-a: b", forged] {
        let flags = [&["--header", header], &BINARY[..]].concat();
        let (head, _) = post(&serving, (HTTP, "Say"), &flags, &frame(b"hello"));
        assert!(head.contains("x-upstream: http"), "{head}");
        let [received] = &http.take_received()[..] else { panic!("one request") };
        let kinds: [&[u8]; 1] = [b"application/grpc-web+proto"];
        assert_eq!(received.values("content-type"), kinds);
        assert_eq!(received.body, frame(b"hello"));
        assert!(received.values("x-ingress-cluster").is_empty());

        // The server rejects what is not gRPC.
        let (head, _) = post(&serving, (GRPC, "Say"), &flags, &frame(b"hello"));
        assert!(head.contains(" 503 "), "{head}");
        let (head, body) = post(&serving, ("other.example", "Say"), &flags, &frame(b"hello"));
        assert!(head.contains(" 404 ") && body.is_empty(), "{head}");
    }
}

#[test]
fn without_the_setting_only_grpc_is_served() {
    let (grpc, http) = (server("one"), Upstream::start("http"));
    let serving = serve(grpc.address, &http, &[]);
    let (head, _) = post(&serving, (WEB, "Say"), &BINARY, &frame(b"hello"));
    assert!(head.contains(" 503 "), "{head}");
    assert_eq!(call(&serving, WEB, "say"), ["b'\\x00\\xff'", "one a b True", "a b True"]);
}

#[test]
fn the_preflight_of_a_page_of_another_origin_is_answered() {
    let (grpc, http) = (server("one"), Upstream::start("http"));
    let serving = serve(grpc.address, &http, &["--grpc-web"]);
    let preflight = format!(
        "OPTIONS /test.Echo/Say HTTP/1.1\r\nHost: {WEB}\r\nOrigin: https://app.example\r\n\
         Access-Control-Request-Method: POST\r\n\
         Access-Control-Request-Headers: content-type,x-grpc-web,x-user-agent\r\n\r\n"
    );
    let answer = raw(serving.http, preflight.as_bytes());
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example"));
    assert_eq!(answer.header("access-control-allow-methods"), Some("POST"));
    let allowed = answer.header("access-control-allow-headers");
    assert_eq!(allowed, Some("content-type,x-grpc-web,x-user-agent"));
}
