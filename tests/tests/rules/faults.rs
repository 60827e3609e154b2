//! Injected faults.

use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::setup::{Ruled, rule};

fn at(name: &str, fault: &str) -> String {
    rule(
        name,
        &format!(
            "match: {{request: {{headers: {{uri: {{prefix: /{name}}}}}}}}}, httpFault: {fault}"
        ),
    )
}

#[test]
fn delays_and_aborts_are_what_the_rule_says() {
    let edge = Ruled::start(&[
        at("delayed", "{delay: {percent: 100, fixedDelay: 1s}}"),
        at("aborted", "{abort: {percent: 100, httpStatus: 418}}"),
        at(
            "both",
            "{delay: {percent: 100, fixedDelay: 1s}, abort: {percent: 100, httpStatus: 555}}",
        ),
        at("never", "{delay: {percent: 0, fixedDelay: 9s}, abort: {percent: 0, httpStatus: 418}}"),
        at(
            "client",
            "{delay: {percent: 100, fixedDelay: 1s, overrideHeaderName: x-wait}, abort: {percent: 100, httpStatus: 418, overrideHeaderName: x-status}}",
        ),
        at("grpc", "{abort: {percent: 100, grpcStatus: UNAVAILABLE}}"),
    ]);
    let timed = |path: &str, headers: &[&str]| {
        let start = Instant::now();
        let outcome = edge.get_with(path, headers).outcome();
        (
            outcome
                .chars()
                .next()
                .map_or("", |c| if c == 'v' { "upstream" } else { &outcome })
                .to_owned(),
            start.elapsed(),
        )
    };
    for (path, headers, outcome, ms) in [
        ("/delayed", &[][..], "upstream", 1_000_u64),
        ("/aborted", &[], "418", 0),
        ("/both", &[], "555", 1_000),
        ("/never", &[], "upstream", 0),
        ("/client", &[], "418", 1_000),
        ("/client", &["x-wait: 1", "x-status: 599"], "599", 0),
        ("/client", &["x-wait: 0.5s", "x-status: 600"], "418", 500),
        ("/client", &["x-wait: x", "x-status: 99"], "418", 1_000),
        ("/none", &[], "upstream", 0),
    ] {
        let (seen, took) = timed(path, headers);
        assert_eq!(seen, outcome, "{path} {headers:?}");
        let expected =
            Duration::from_millis(ms.saturating_sub(20))..Duration::from_millis(ms + 450);
        assert!(expected.contains(&took), "{path} {headers:?}: {took:?}, not {ms} ms");
    }
    assert_eq!(edge.explain("/delayed", &[]).delay_ms, Some(1_000));
    let grpc = ingress_tests::raw(
        edge.serving.http,
        b"POST /grpc HTTP/1.1\r\nhost: h\r\ncontent-type: application/grpc\r\ncontent-length: 0\r\n\r\n",
    );
    assert_eq!((grpc.status, grpc.header("grpc-status")), (200, Some("14")));
    assert_eq!(edge.explain("/grpc", &["content-type: application/grpc"]).grpc_status, Some(14));
    let log = edge.serving.access_log();
    for (path, fault) in [
        ("/delayed", json!("delay=1000ms")),
        ("/aborted", json!("abort=418")),
        ("/both", json!("delay=1000ms,abort=555")),
        ("/never", json!(null)),
        ("/grpc", json!("abort=grpc-14")),
        ("/none", json!(null)),
    ] {
        assert_eq!(log.line(path)["fault"], fault, "{path}");
    }
}

#[test]
fn no_client_can_ask_for_a_fault() {
    let edge = Ruled::start(&[at("aborted", "{abort: {percent: 50, httpStatus: 418}}")]);
    for header in [
        "x-envoy-fault-abort-request: 418",
        "x-envoy-fault-delay-request: 5000",
        "x-envoy-fault-abort-grpc-request: 14",
    ] {
        let start = Instant::now();
        let seen = edge.get_with("/", &[header, "x-envoy-fault-abort-request-percentage: 100"]);
        assert_eq!(seen.status, 200, "{header}");
        assert!(start.elapsed() < Duration::from_secs(2), "{header}");
    }
    // The upstream does not see the fault headers either.
    let delayed = Ruled::start(&[at("delayed", "{delay: {percent: 100, fixedDelay: 1ms}}")]);
    ingress_tests::get(delayed.serving.http, "shop.example", "/delayed");
    let received = ["v1", "v2"].iter().find_map(|name| delayed.received(name).pop());
    let received = received.expect("a request");
    let is_fault = |name: &&str| name.starts_with("x-envoy-fault-");
    assert!(!received.header_names().iter().any(is_fault), "{received:?}");
}

#[test]
fn a_share_of_the_requests_has_the_fault() {
    let edge = Ruled::start(&[
        at("half", "{abort: {percent: 50, httpStatus: 418}}"),
        at("fraction", "{abort: {percent: 0.5, httpStatus: 418}}"),
        at(
            "each",
            "{delay: {percent: 50, fixedDelay: 1ms}, abort: {percent: 50, httpStatus: 418}}",
        ),
    ]);
    let aborted = |path: &str, count: usize| {
        let mut client = ingress_tests::KeepAlive::connect(edge.serving.http);
        (0..count).filter(|_| client.get("shop.example", path).status == 418).count()
    };
    // Six standard deviations in each direction.
    let half = aborted("/half", 4_000);
    assert!((1_810..=2_190).contains(&half), "{half}");
    let fraction = aborted("/fraction", 10_000);
    assert!((8..=92).contains(&fraction), "{fraction}");
    let each = aborted("/each", 4_000);
    assert!((1_810..=2_190).contains(&each), "{each}");
}

/// Each request has its own delay; all delays of a worker use one timer.
#[test]
fn ten_thousand_requests_wait_and_go_on() {
    const CONNECTIONS: usize = 100;
    const STREAMS: usize = 100;
    let edge = Ruled::start(&[at("delayed", "{delay: {percent: 100, fixedDelay: 3s}}")]);
    let start = Instant::now();
    let output = std::process::Command::new(ingress_tests::tool("h2load"))
        .args(["-n", &(CONNECTIONS * STREAMS).to_string(), "-c", &CONNECTIONS.to_string()])
        .args(["-m", &STREAMS.to_string()])
        .args(["-H", ":authority: shop.example"])
        .arg(format!("http://{}/delayed", edge.serving.http))
        .output()
        .unwrap();
    let took = start.elapsed();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("10000 succeeded, 0 failed, 0 errored"), "{said}");
    assert!(said.contains("status codes: 10000 2xx"), "{said}");
    // One after another on each connection, it would take minutes.
    assert!((Duration::from_secs(3)..Duration::from_secs(20)).contains(&took), "{took:?}");
    println!("10,000 requests that wait 3 s each took {took:?}");
}

#[test]
fn who_waits_goes_on_by_the_rules_that_were_there() {
    let mut edge = Ruled::start(&[at("delayed", "{delay: {percent: 100, fixedDelay: 2s}}")]);
    let http = edge.serving.http;
    let start = Instant::now();
    let waiting =
        std::thread::spawn(move || ingress_tests::get(http, "shop.example", "/delayed").status);
    ingress_tests::wait_until("the request is delayed", || {
        edge.serving.stat("http.ingress_http.downstream_rq_active") == 1
    });
    // The table changes meanwhile.
    for round in 0..3 {
        edge.replace(&[at(
            "aborted",
            &format!("{{abort: {{percent: 100, httpStatus: {}}}}}", 500 + round),
        )]);
    }
    assert_eq!(waiting.join().unwrap(), 200);
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
}

#[test]
fn a_body_waits_with_its_request_and_who_leaves_is_forgotten() {
    let edge = Ruled::start(&[
        at("delayed", "{delay: {percent: 100, fixedDelay: 1s}}"),
        at("long", "{delay: {percent: 100, fixedDelay: 60s}}"),
    ]);
    let start = Instant::now();
    let request = b"POST /delayed HTTP/1.1\r\nhost: shop.example\r\ncontent-length: 5\r\n\r\nhello";
    let answer = ingress_tests::raw(edge.serving.http, request);
    assert_eq!(answer.status, 200);
    assert!(start.elapsed() >= Duration::from_millis(980), "{:?}", start.elapsed());
    for _ in 0..50 {
        let mut left = std::net::TcpStream::connect(edge.serving.http).unwrap();
        left.write_all(b"GET /long HTTP/1.1\r\nhost: shop.example\r\n\r\n").unwrap();
    }
    let active = || edge.serving.stat("http.ingress_http.downstream_rq_active");
    ingress_tests::wait_until("no request is active", || active() == 0);
    assert_eq!(edge.get("/delayed").status, 200, "other requests are delayed as before");
}
