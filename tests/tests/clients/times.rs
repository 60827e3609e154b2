//! How long requests may take and streams may be idle.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use ingress_tests::{Answer, EchoServer, Service, Serving, Upstream, raw, upgrade};

use crate::serve_web;

/// The service `web` with this rule.
fn serve(web: &Service, rule: &str, flags: &[&str]) -> Serving {
    let rule = format!(
        "{{apiVersion: config.istio.io/v1alpha2, kind: RouteRule, metadata: {{name: web}}, \
         spec: {{destination: {{name: web}}, {rule}}}}}"
    );
    serve_web(web, &rule, flags)
}

fn silent_for(serving: &Serving, ms: u32, headers: &str) -> (Answer, Duration) {
    let start = Instant::now();
    let request =
        format!("GET / HTTP/1.1\r\nHost: web.example\r\nx-delay-ms: {ms}\r\n{headers}\r\n");
    (raw(serving.http, request.as_bytes()), start.elapsed())
}

/// A little less than a second: Envoy's clock stands still while it handles events.
const SECOND: Duration = Duration::from_millis(950);

#[test]
fn a_timeout_beyond_the_idle_one_holds() {
    let upstream = Upstream::start("web");
    let web = Service::new("web").at_address(upstream.address);
    let idle = ["--stream-idle-timeout", "1s"];
    let timeout =
        |timeout: &str| format!("httpReqTimeout: {{simpleTimeout: {{timeout: {timeout}}}}}");

    let serving = serve(&web, &timeout("4s"), &idle);
    assert_eq!(silent_for(&serving, 2_500, "").0.by(), "web");
    let (answer, after) = silent_for(&serving, 60_000, "");
    assert_eq!((answer.status, &*answer.body), (504, "upstream request timeout"));
    assert!(after >= 4 * SECOND, "{after:?}");

    // Without such a timeout the idle one ends the request.
    let serving = serve(&web, &timeout("500ms"), &idle);
    assert_eq!(silent_for(&serving, 60_000, "").0.body, "upstream request timeout");
    let serving = serve(&web, "precedence: 1", &idle);
    let (answer, after) = silent_for(&serving, 60_000, "");
    assert_eq!((answer.status, &*answer.body), (504, "stream timeout"));
    assert!(after >= SECOND, "{after:?}");
}

#[test]
fn an_idle_websocket_lives_as_long_as_the_setting_says() {
    let server = EchoServer::start();
    let web = Service::new("web").at_address(server.address);
    let lifetime = |idle: &str| {
        let serving = serve(&web, "websocketUpgrade: true", &["--stream-idle-timeout", idle]);
        let mut socket = upgrade(serving.http, "web.example", "/").expect("an upgrade");
        let start = Instant::now();
        socket.read().expect_err("nothing is sent");
        start.elapsed()
    };
    let [short, long] = ["1s", "3s"].map(lifetime);
    assert!((SECOND..3 * SECOND).contains(&short), "{short:?}");
    assert!((3 * SECOND..10 * SECOND).contains(&long), "{long:?}");
}

#[test]
fn a_slow_upload_has_a_bound_of_its_own() {
    let upstream = Upstream::start("web");
    let web = Service::new("web").at_address(upstream.address);
    let serving = serve(&web, "precedence: 1", &["--request-timeout", "1s"]);
    let mut client = TcpStream::connect(serving.http).expect("a connection");
    client.set_read_timeout(Some(30 * SECOND)).expect("a timeout is set");
    let head = b"POST / HTTP/1.1\r\nHost: web.example\r\nContent-Length: 1000000\r\n\r\n";
    client.write_all(head).expect("a request begins");
    let start = Instant::now();
    let mut drip = client.try_clone().expect("a handle");
    // It never is idle.
    std::thread::spawn(move || {
        while drip.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let mut answer = [0; 12];
    client.read_exact(&mut answer).expect("a response");
    assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 408");
    assert!(start.elapsed() >= SECOND, "{:?}", start.elapsed());

    // The bound is one of the upload.
    assert_eq!(silent_for(&serving, 2_000, "").0.by(), "web");
}

#[test]
fn grpc_calls_end_with_deadline_exceeded() {
    const DEADLINE_EXCEEDED: Option<&str> = Some("4");
    let upstream = Upstream::start("web");
    let web = Service::new("web").at_address(upstream.address);
    let serving = serve(&web, "httpReqTimeout: {simpleTimeout: {timeout: 3s}}", &[]);
    let call = |deadline: &str| {
        let headers = format!("content-type: application/grpc\r\nte: trailers\r\n{deadline}");
        silent_for(&serving, 20_000, &headers)
    };
    let (by_rule, after) = call("");
    assert_eq!(by_rule.header("grpc-status"), DEADLINE_EXCEEDED, "{by_rule:?}");
    assert!(after >= 3 * SECOND, "{after:?}");
    let (within_the_rules, after) = call("grpc-timeout: 15S\r\n");
    assert_eq!(within_the_rules.header("grpc-status"), DEADLINE_EXCEEDED);
    assert!((3 * SECOND..15 * SECOND).contains(&after), "{after:?}");
}
