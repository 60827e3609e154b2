//! Headers that modules read, add and replace.

use super::{Map, REQUEST, RESPONSE, attribute};
use crate::probe::{Call, Probe};
use crate::scenario::Scenario;

/// Headers of the standards and of Envoy.
const WELL_KNOWN: &str = "
    accept accept-charset accept-encoding accept-language accept-ranges access-control-allow-
    credentials access-control-allow-headers access-control-allow-methods access-control-
    allow-origin access-control-allow-private-network access-control-expose-headers access-
    control-max-age access-control-request-headers access-control-request-method access-
    control-request-private-network age allow alt-svc authentication authorization cache-
    control cache-status cdn-loop connection content-disposition content-encoding content-
    language content-length content-location content-range content-security-policy content-
    type cookie date dnt dpop etag expect expires forwarded from grpc-accept-encoding grpc-
    encoding grpc-message grpc-status grpc-status-details-bin grpc-timeout if-match if-
    modified-since if-none-match if-range if-unmodified-since keep-alive last-modified link
    location max-forwards origin pragma priority proxy-authenticate proxy-authorization proxy-
    connection proxy-status range referer refresh retry-after sec-websocket-key sec-websocket-
    protocol server set-cookie strict-transport-security te trailer traceparent tracestate
    transfer-encoding upgrade user-agent vary via warning www-authenticate x-b3-traceid
    x-client-trace-id x-content-type-options x-envoy-attempt-count x-envoy-decorator-operation
    x-envoy-degraded x-envoy-downstream-service-cluster x-envoy-downstream-service-node
    x-envoy-expected-rq-timeout-ms x-envoy-external-address x-envoy-force-trace x-envoy-hedge-
    on-per-try-timeout x-envoy-immediate-health-check-fail x-envoy-internal x-envoy-ip-tags
    x-envoy-is-timeout-retry x-envoy-local-overloaded x-envoy-max-retries x-envoy-original-
    dst-host x-envoy-original-method x-envoy-original-path x-envoy-overloaded x-envoy-
    ratelimited x-envoy-retriable-header-names x-envoy-retriable-status-codes x-envoy-retry-
    grpc-on x-envoy-retry-on x-envoy-upstream-alt-stat-name x-envoy-upstream-canary x-envoy-
    upstream-healthchecked-cluster x-envoy-upstream-rq-per-try-timeout-ms x-envoy-upstream-rq-
    timeout-alt-response x-envoy-upstream-rq-timeout-ms x-envoy-upstream-service-time x-envoy-
    upstream-stream-duration-ms x-forwarded-client-cert x-forwarded-for x-forwarded-host
    x-forwarded-port x-forwarded-proto x-frame-options x-real-ip x-request-id x-requested-with
    x-other";

pub(super) fn scenarios() -> Vec<Scenario> {
    [host(), values(), all_set(), responses(), repeated(), joined()].concat()
}

/// A scenario with these calls, and then all headers, in the callback for the request's headers.
fn request(name: &str, calls: &[Call]) -> Scenario {
    let calls = [calls, &[REQUEST.pairs()]].concat();
    Scenario::new(format!("request-{name}"), Probe::new().calls("request_headers", &calls))
}

fn response(name: &str, calls: &[Call]) -> Scenario {
    let calls = [calls, &[RESPONSE.pairs()]].concat();
    Scenario::new(format!("response-{name}"), Probe::new().calls("response_headers", &calls))
}

/// `host` is `:authority`.
fn host() -> Vec<Scenario> {
    let authority = REQUEST.get(":authority");
    let replaced = REQUEST.replace("host", "other");
    let back = REQUEST.replace(":authority", "back");
    vec![
        request("host", &[REQUEST.get("host"), REQUEST.get("HOST"), replaced, authority.clone()]),
        request("host-added", &[REQUEST.add("host", "other"), REQUEST.get("host")]),
        request("host-removed", &[REQUEST.remove("host"), authority, back]),
    ]
}

fn values() -> Vec<Scenario> {
    let twice = |name: &str| [REQUEST.add(name, "1"), REQUEST.add(name, "2"), REQUEST.get(name)];
    let added = [&twice("x-a")[..], &[attribute("request.headers.x-a")]].concat();
    let replaced = [&twice("x-a")[..], &[REQUEST.replace("x-a", "3"), REQUEST.get("x-a")]].concat();
    let cookies = [&twice("cookie")[..], &[attribute("request.headers.cookie")]].concat();
    let back = [REQUEST.replace(":path", "/back"), REQUEST.replace(":method", "GET")];
    let pseudo = [&twice(":path")[..], &twice(":method"), &back].concat();
    let path = ["request.path", "request.url_path", "request.query"].map(attribute);
    let path = [&[REQUEST.replace(":path", "/new?x=1")][..], &path].concat();
    let upper = [REQUEST.add("X-Upper", "1"), REQUEST.get("x-upper"), REQUEST.get("X-UPPER")];
    let upper = [&upper[..], &[REQUEST.remove("X-Request")]].concat();
    let value = |name: &str, value: &str| {
        [REQUEST.add(name, value), REQUEST.get(name), attribute(&format!("request.headers.{name}"))]
    };
    vec![
        request("added-twice", &added),
        request("replaced-several", &replaced),
        request("cookies", &cookies),
        request("pseudo-added", &pseudo),
        request("path-replaced", &path),
        request("upper-case", &upper),
        request("empty-value", &value("x-empty", "")),
        request("bytes", &value("x-bytes", "\\80\\ff")),
    ]
}

/// All headers replaced at once.
fn all_set() -> Vec<Scenario> {
    let all = |host: &'static str, more: &[(&'static str, &'static str)]| {
        let value = if host == "host" { "other" } else { "example.com" };
        let pseudo = [(host, value), (":path", "/set"), (":method", "GET"), (":scheme", "http")];
        REQUEST.set(&[&pseudo[..], more].concat())
    };
    let proto = ("x-forwarded-proto", "http");
    let repeated = [proto, ("x-set", "one"), ("X-Set", "two"), ("accept", "a"), ("accept", "b")];
    vec![
        request("all-set", &[all(":authority", &repeated), REQUEST.get("x-set")]),
        request("all-set-without-proto", &[all(":authority", &[])]),
        request("all-set-host", &[all("host", &[proto]), REQUEST.get("host")]),
    ]
}

fn responses() -> Vec<Scenario> {
    let status = RESPONSE.get(":status");
    let replaced = RESPONSE.replace(":status", "404");
    let added =
        [RESPONSE.add(":status", "404"), status.clone(), RESPONSE.replace(":status", "200")];
    let cookies = [RESPONSE.add("set-cookie", "a=1"), RESPONSE.add("set-cookie", "b=2")];
    let read = [RESPONSE.get("set-cookie"), attribute("response.headers.set-cookie")];
    let set = RESPONSE.set(&[(":status", "201"), ("x-set", "one")]);
    let mut changed = response("status-replaced", &[replaced, status, attribute("response.code")]);
    changed.module = changed.module.calls("log", &[attribute("response.code")]);
    vec![
        changed,
        response("status-added", &added),
        response("set-cookies", &[cookies, read].concat()),
        response("all-set", &[set, RESPONSE.get("x-response")]),
    ]
}

/// Headers that come more than once.
fn repeated() -> Vec<Scenario> {
    let several = |name: &'static str, cookie: &'static str| {
        [(name, "a"), (name, "b"), ("x-a", "1"), ("x-a", "2"), (cookie, "a"), (cookie, "b")]
    };
    let read = [attribute("request.headers.accept"), attribute("request.headers.x-a")];
    vec![
        request("repeated", &read).request("GET /", &several("accept", "cookie"), &[]),
        response("repeated", &[]).response("200", &several("vary", "set-cookie"), &["body"]),
    ]
}

/// Headers of which Envoy may keep one value only, added twice.
fn joined() -> Vec<Scenario> {
    let twice = |map: &Map| -> Vec<Call> {
        let calls = |name| {
            let added = [map.remove(name), map.add(name, "a"), map.add(name, "b")];
            [&added[..], &[map.get(name), map.remove(name)]].concat()
        };
        WELL_KNOWN.split_whitespace().flat_map(calls).collect()
    };
    // Without it, Envoy finds no route.
    let last = REQUEST.replace("x-forwarded-proto", "http");
    let trailers =
        |callback: &str, map: &Map| Probe::new().calls_if(callback, "(local.get $c)", &twice(map));
    vec![
        request("joined", &[twice(&REQUEST), vec![last]].concat()),
        response("joined", &twice(&RESPONSE)),
        Scenario::new("request-trailers-joined", trailers("request_body", &Map(1))).request(
            "POST /",
            &[],
            &["first"],
        ),
        Scenario::new("response-trailers-joined", trailers("response_body", &Map(3))),
    ]
}
