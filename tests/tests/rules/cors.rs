//! Cross-origin requests.

use std::collections::BTreeMap;

use crate::setup::{Ruled, Seen, rule};

const PREFLIGHT: &str = "access-control-request-method: PUT";

fn start() -> Ruled {
    let at = |name: &str, cors: &str| {
        rule(
            name,
            &format!(
                "match: {{request: {{headers: {{uri: {{prefix: /{name}}}}}}}}}, corsPolicy: {cors}"
            ),
        )
    };
    Ruled::start(&[
        at(
            "listed",
            "{allowOrigin: ['https://a.example', 'https://b.example:8443'], allowMethods: [GET, PUT], \
             allowHeaders: [x-one, x-two], exposeHeaders: [x-three, x-four], maxAge: 24h}",
        ),
        at("any", "{allowOrigin: ['*'], allowMethods: [GET]}"),
        at("credentials", "{allowOrigin: ['https://a.example'], allowCredentials: true}"),
        at("open", "{allowOrigin: ['*'], allowCredentials: true, exposeHeaders: [x-three]}"),
        rule(
            "redirect",
            "match: {request: {headers: {uri: {prefix: /redirect}}}}, redirect: {uri: /new}, \
             corsPolicy: {allowOrigin: ['https://a.example']}",
        ),
        rule(
            "timeout",
            "match: {request: {headers: {uri: {prefix: /timeout}}}}, corsPolicy: {allowOrigin: ['*']}, \
             httpReqTimeout: {simpleTimeout: {timeout: 100ms}}",
        ),
    ])
}

#[track_caller]
fn assert_headers(seen: &Seen, expected: &[(&str, &str)]) {
    let expected: BTreeMap<_, _> =
        expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    assert_eq!(seen.response_headers, expected);
}

const ORIGIN: &str = "access-control-allow-origin";
const CREDENTIALS: (&str, &str) = ("access-control-allow-credentials", "true");
const VARY: (&str, &str) = ("vary", "origin");

#[test]
fn a_preflight_is_answered_where_the_origin_is_allowed() {
    let edge = start();
    let preflight = |path: &str, origin: &str| {
        edge.ask("OPTIONS", path, &[&format!("origin: {origin}"), PREFLIGHT])
    };
    let listed = preflight("/listed", "https://b.example:8443");
    assert_eq!((listed.status, listed.by.as_str()), (200, ""));
    assert_headers(
        &listed,
        &[
            (ORIGIN, "https://b.example:8443"),
            ("access-control-allow-methods", "GET,PUT"),
            ("access-control-allow-headers", "x-one,x-two"),
            ("access-control-max-age", "86400"),
            VARY,
        ],
    );
    assert_headers(
        &preflight("/any", "https://c.example"),
        &[(ORIGIN, "*"), ("access-control-allow-methods", "GET")],
    );
    let own = (ORIGIN, "https://a.example");
    assert_headers(&preflight("/credentials", own.1), &[own, CREDENTIALS, VARY]);
    assert_headers(&preflight("/open", own.1), &[own, CREDENTIALS, VARY]);
    assert_headers(&preflight("/redirect", own.1), &[own, VARY]);

    // Not allowed: the request passes, without CORS headers in the response.
    for origin in ["https://a.example.evil", "https://A.example", "http://a.example", "null", "*"] {
        let passed = preflight("/listed", origin);
        assert_eq!(passed.status, 200, "{origin}");
        assert!(passed.by.starts_with('v'), "{origin}");
        assert_headers(&passed, &[VARY]);
    }
    // An OPTIONS request that is not a preflight.
    let options = edge.ask("OPTIONS", "/any", &["origin: https://a.example"]);
    assert!(options.by.starts_with('v'));
    assert!(edge.ask("OPTIONS", "/any", &[PREFLIGHT]).by.starts_with('v'));
}

#[test]
fn an_answer_tells_an_allowed_origin() {
    let edge = start();
    let simple = |path: &str, headers: &[&str]| edge.get_with(path, headers);
    let own = (ORIGIN, "https://a.example");
    let from_own = "origin: https://a.example";
    let exposed = ("access-control-expose-headers", "x-three,x-four");
    let listed = simple("/listed", &[from_own]);
    assert!(listed.by.starts_with('v'));
    assert_headers(&listed, &[own, exposed, VARY]);
    assert_headers(&simple("/any", &[from_own]), &[(ORIGIN, "*")]);
    assert_headers(&simple("/credentials", &[from_own]), &[own, CREDENTIALS, VARY]);
    let one = ("access-control-expose-headers", "x-three");
    assert_headers(&simple("/open", &[from_own]), &[own, CREDENTIALS, one, VARY]);
    // Not origins: with credentials, a literal * would allow every origin.
    for origin in ["*", "https://*", "https://a.example,*", "https://a.example, *", "a.example"] {
        assert_headers(&simple("/open", &[&format!("origin: {origin}")]), &[VARY]);
    }
    let sandboxed = (ORIGIN, "null");
    assert_headers(&simple("/open", &["origin: null"]), &[sandboxed, CREDENTIALS, one, VARY]);
    // A cache must not return such a response to an allowed origin, nor a response
    // without CORS headers to any origin.
    for headers in [&[][..], &["origin: https://evil.example"]] {
        assert_headers(&simple("/listed", headers), &[VARY]);
        assert_headers(&simple("/credentials", headers), &[VARY]);
        assert_headers(&simple("/any", headers), &[(ORIGIN, "*")]);
    }
    assert_headers(&simple("/", &[from_own]), &[]);
    // Redirects and Envoy's own responses have the headers, too.
    let redirect = simple("/redirect", &[from_own]);
    assert_headers(&redirect, &[own, ("location", "http://shop.example/new"), VARY]);
    let late = edge.ask_envoy("GET", "/timeout", &[from_own, "x-delay-ms: 1000"]);
    assert_eq!(late.status, 504);
    assert_headers(&late, &[(ORIGIN, "*")]);
}

#[test]
fn the_rule_counts_not_what_the_upstream_says() {
    let edge = start();
    let headers = [
        "origin: https://a.example",
        "x-answer-access-control-allow-origin: *",
        "x-answer-vary: accept-encoding",
    ];
    let seen = edge.ask_envoy("GET", "/listed", &headers);
    assert_eq!(seen.response_headers[ORIGIN], "https://a.example");
    assert_eq!(seen.response_headers["vary"], "accept-encoding,origin");
}
