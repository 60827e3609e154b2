//! Timeouts and retries.

use std::time::{Duration, Instant};

use crate::setup::{Ruled, rule};
use ingressctl::settings::Settings;

/// Asserts the status, and that the response took about that long.
#[track_caller]
fn takes(edge: &Ruled, path: &str, headers: &[&str], status: u16, ms: u64) {
    let start = Instant::now();
    let seen = edge.ask_envoy("GET", path, headers);
    let took = start.elapsed();
    assert_eq!(seen.status, status, "{path} {headers:?} after {took:?}");
    let expected = Duration::from_millis(ms.saturating_sub(50))..Duration::from_millis(ms + 900);
    assert!(expected.contains(&took), "{path} {headers:?}: {took:?}, not {ms} ms");
}

#[test]
fn a_timeout_ends_the_whole_request() {
    let edge = Ruled::start(&[
        rule(
            "a",
            "match: {request: {headers: {uri: /plain}}}, httpReqTimeout: {simpleTimeout: {timeout: 0.3s}}",
        ),
        rule(
            "b",
            "match: {request: {headers: {uri: /override}}}, httpReqTimeout: {simpleTimeout: {timeout: 300ms, overrideHeaderName: x-patience}}",
        ),
    ]);
    takes(&edge, "/plain", &["x-delay-ms: 1500"], 504, 300);
    takes(&edge, "/plain", &["x-delay-ms: 10"], 200, 0);
    takes(&edge, "/none", &["x-delay-ms: 1500"], 200, 1500);
    assert_eq!(edge.explain("/plain", &[]).timeout_ms, Some(300));
    assert_eq!(edge.explain("/none", &[]).timeout_ms, None);

    let slow = "x-delay-ms: 1500";
    for (patience, status, ms, decided) in [
        ("", 504, 300, 300),
        ("x-patience: 100", 504, 100, 100),
        ("x-patience: 3s", 200, 1500, 3_000),
        ("x-patience: 1m", 200, 1500, 60_000),
        ("x-patience: soon", 504, 300, 300),
        ("x-patience: 0", 504, 300, 300),
        ("x-patience: -1", 504, 300, 300),
        ("x-patience: 99999999999999999999", 504, 300, 300),
        // As much as clients may ask for, and more.
        ("x-patience: 5m", 200, 1500, 300_000),
        ("x-patience: 300001", 504, 300, 300),
        ("x-patience: 49d", 504, 300, 300),
        ("x-patience: 1000h", 504, 300, 300),
    ] {
        let headers: Vec<_> = [slow, patience].into_iter().filter(|h| !h.is_empty()).collect();
        takes(&edge, "/override", &headers, status, ms);
        assert_eq!(edge.explain("/override", &headers).timeout_ms, Some(decided), "{patience}");
    }
}

#[test]
fn a_setting_gives_the_timeout_where_no_rule_does() {
    let settings: Settings =
        serde_json::from_value(serde_json::json!({"defaultTimeout": "300ms"})).expect("settings");
    let edge = Ruled::start_with(
        &[
            rule(
                "a",
                "match: {request: {headers: {uri: /longer}}}, httpReqTimeout: {simpleTimeout: {timeout: 10s}}",
            ),
            rule("b", "match: {request: {headers: {uri: /without}}}, appendHeaders: {x-a: b}"),
        ],
        &settings,
    );
    takes(&edge, "/default", &["x-delay-ms: 1000"], 504, 300);
    takes(&edge, "/without", &["x-delay-ms: 1000"], 504, 300);
    takes(&edge, "/longer", &["x-delay-ms: 1000"], 200, 1000);
}

/// Each request holds its resources for as long as a client asks.
#[test]
fn settings_limit_what_a_client_may_ask_for() {
    let settings = serde_json::json!({"clientTimeLimit": "1s", "clientRetryLimit": 2});
    let settings: Settings = serde_json::from_value(settings).expect("settings");
    let edge = Ruled::start_with(
        &[
            rule(
                "short",
                "route: [{labels: {version: v1}}], match: {request: {headers: {uri: /short}}}, \
                 httpReqTimeout: {simpleTimeout: {timeout: 300ms, overrideHeaderName: x-time}}, \
                 httpReqRetries: {simpleRetry: {attempts: 1, overrideHeaderName: x-tries}}",
            ),
            rule(
                "long",
                "match: {request: {headers: {uri: /long}}}, \
                 httpReqTimeout: {simpleTimeout: {timeout: 10s, overrideHeaderName: x-time}}, \
                 httpReqRetries: {simpleRetry: {attempts: 5, overrideHeaderName: x-tries}}",
            ),
            rule(
                "delayed",
                "match: {request: {headers: {uri: /delayed}}}, \
                 httpFault: {delay: {percent: 100, fixedDelay: 100ms, overrideHeaderName: x-time}}",
            ),
        ],
        &settings,
    );
    for (path, asked, timeout_ms, retries) in [
        ("/short", ["x-time: 1s", "x-tries: 2"], 1_000, 2),
        ("/short", ["x-time: 1001", "x-tries: 3"], 300, 1),
        // A value below the rule's own is always allowed.
        ("/long", ["x-time: 9s", "x-tries: 4"], 9_000, 4),
        ("/long", ["x-time: 11s", "x-tries: 6"], 10_000, 5),
    ] {
        let decided = edge.explain(path, &asked);
        let limits = (decided.timeout_ms, decided.retries);
        assert_eq!(limits, (Some(timeout_ms), Some(retries)), "{path} {asked:?}");
    }
    let slow = "x-delay-ms: 1500";
    takes(&edge, "/short", &[slow, "x-time: 1s", "x-tries: 0"], 504, 1_000);
    takes(&edge, "/short", &[slow, "x-time: 1001", "x-tries: 0"], 504, 300);
    takes(&edge, "/delayed", &["x-time: 1s"], 200, 1_000);
    takes(&edge, "/delayed", &["x-time: 1001"], 200, 100);
}

#[test]
fn retries_are_as_many_as_the_rule_or_the_client_says() {
    let edge = Ruled::start(&[
        rule(
            "a",
            "route: [{labels: {version: v1}}], match: {request: {headers: {uri: /two}}}, httpReqRetries: {simpleRetry: {attempts: 2}}",
        ),
        rule(
            "b",
            "route: [{labels: {version: v1}}], match: {request: {headers: {uri: /zero}}}, httpReqRetries: {simpleRetry: {attempts: 0}}",
        ),
        rule(
            "c",
            "route: [{labels: {version: v1}}], match: {request: {headers: {uri: /override}}}, httpReqRetries: {simpleRetry: {attempts: 1, overrideHeaderName: x-tries}}",
        ),
        rule("d", "route: [{labels: {version: v1}}]"),
    ]);
    let attempts = |path: &str, headers: &[&str]| {
        for name in ["v1", "v2"] {
            edge.received(name);
        }
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: shop.example\r\n{}\r\n",
            headers.iter().flat_map(|header| [header, "\r\n"]).collect::<String>()
        );
        let answer = ingress_tests::raw(edge.serving.http, request.as_bytes());
        (answer.status, edge.received("v1").len())
    };
    for (path, headers, expected) in [
        ("/two", &["x-fail-first: 1"][..], (200, 2)),
        ("/two", &["x-fail-first: 2"], (200, 3)),
        ("/two", &["x-fail-first: 9"], (503, 3)),
        ("/two", &[], (200, 1)),
        ("/zero", &["x-fail-first: 1"], (503, 1)),
        ("/none", &["x-fail-first: 1"], (503, 1)),
        ("/override", &["x-fail-first: 9"], (503, 2)),
        ("/override", &["x-fail-first: 9", "x-tries: 4"], (503, 5)),
        ("/override", &["x-fail-first: 9", "x-tries: 0"], (503, 1)),
        ("/override", &["x-fail-first: 9", "x-tries: 26"], (503, 2)),
        ("/override", &["x-fail-first: 9", "x-tries: many"], (503, 2)),
    ] {
        assert_eq!(attempts(path, headers), expected, "{path} {headers:?}");
    }
    assert_eq!(edge.explain("/two", &[]).retries, Some(2));
    assert_eq!(edge.explain("/zero", &[]).retries, None);
    assert_eq!(edge.explain("/override", &["x-tries: 4"]).retries, Some(4));
}

#[test]
fn a_try_has_a_timeout_of_its_own() {
    let edge = Ruled::start(&[rule(
        "a",
        "route: [{labels: {version: v1}}], httpReqTimeout: {simpleTimeout: {timeout: 10s}}, \
         httpReqRetries: {simpleRetry: {attempts: 2, perTryTimeout: 200ms}}",
    )]);
    let start = Instant::now();
    assert_eq!(edge.ask_envoy("GET", "/", &["x-delay-ms: 5000"]).status, 504);
    let took = start.elapsed();
    assert!((Duration::from_millis(550)..Duration::from_secs(3)).contains(&took), "{took:?}");
    let explanation = edge.explain("/", &[]);
    assert_eq!((explanation.per_try_timeout_ms, explanation.retries), (Some(200), Some(2)));
}

#[test]
fn the_whole_timeout_includes_the_retries() {
    let edge = Ruled::start(&[rule(
        "a",
        "route: [{labels: {version: v1}}], httpReqTimeout: {simpleTimeout: {timeout: 500ms}}, \
         httpReqRetries: {simpleRetry: {attempts: 9, perTryTimeout: 200ms}}",
    )]);
    takes(&edge, "/", &["x-delay-ms: 5000"], 504, 500);
}

#[test]
fn a_long_body_is_mirrored_but_not_tried_again() {
    let edge = Ruled::start(&[rule(
        "a",
        "route: [{labels: {version: v1}}], mirror: {name: other}, httpReqRetries: {simpleRetry: {attempts: 1}}",
    )]);
    let post = |len: usize| {
        let head = format!(
            "POST / HTTP/1.1\r\nhost: shop.example\r\nx-fail-first: 1\r\ncontent-length: {len}\r\n\r\n"
        );
        let answer =
            ingress_tests::raw(edge.serving.http, &[head.into_bytes(), vec![b'x'; len]].concat());
        let tries = edge.received("v1");
        assert!(tries.iter().all(|received| received.body.len() == len), "{len}");
        (answer.status, tries.len())
    };
    assert_eq!(post(10_000), (200, 2));
    assert_eq!(post(1_000_000), (503, 1));
    let copied = |received: &ingress_tests::Received| received.body.len() == 1_000_000;
    ingress_tests::wait_until("a copy", || edge.received("other").iter().any(copied));
}
