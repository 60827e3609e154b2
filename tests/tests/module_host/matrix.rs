//! All host calls in all phases.

use crate::calls;
use crate::facts::grpc;
use crate::grpc::Method;
use crate::probe::{Call, Gives, Probe};
use crate::scenario::Scenario;

/// The phases of an HTTP stream and of its plugin, with the callback and the condition that make
/// the phase.
const PHASES: &[(&str, &str, &str)] = &[
    ("root-context-create", "context_create", "(i32.eqz (local.get $b))"),
    ("vm-start", "vm_start", "(i32.const 1)"),
    ("configure", "configure", "(i32.const 1)"),
    ("stream-context-create", "context_create", "(local.get $b)"),
    ("request-headers", "request_headers", "(i32.const 1)"),
    ("request-body-first", "request_body", "(i32.eq (local.get $b) (i32.const 5))"),
    ("request-body-last", "request_body", "(local.get $c)"),
    ("request-trailers", "request_trailers", "(i32.const 1)"),
    ("response-headers", "response_headers", "(i32.const 1)"),
    ("response-body-first", "response_body", "(i32.eq (local.get $b) (i32.const 5))"),
    ("response-body-last", "response_body", "(local.get $c)"),
    ("response-trailers", "response_trailers", "(i32.const 1)"),
    ("stream-done", "done", "(i32.ne (local.get $a) (i32.const 1))"),
    ("stream-log", "log", "(i32.ne (local.get $a) (i32.const 1))"),
    ("stream-delete", "delete", "(i32.ne (local.get $a) (i32.const 1))"),
    ("root-done", "done", "(i32.eq (local.get $a) (i32.const 1))"),
    ("root-delete", "delete", "(i32.eq (local.get $a) (i32.const 1))"),
];

const TCP_PHASES: &[(&str, &str)] = &[
    ("new-connection", "new_connection"),
    ("downstream-data", "downstream_data"),
    ("upstream-data", "upstream_data"),
    ("downstream-close", "downstream_connection_close"),
    ("upstream-close", "upstream_connection_close"),
    ("tcp-done", "done"),
    ("tcp-log", "log"),
];

/// Continues the request of the first stream.
pub(crate) const RESUME: &str = "(drop (call $proxy_set_effective_context (i32.const 2)))
    (drop (call $proxy_continue_stream (i32.const 0)))";

/// The phases of a gRPC stream, with their callbacks.
const GRPC_PHASES: &[(&str, &str)] = &[
    ("grpc-initial-metadata", "grpc_receive_initial_metadata"),
    ("grpc-receive", "grpc_receive"),
    ("grpc-trailing-metadata", "grpc_receive_trailing_metadata"),
    ("grpc-close", "grpc_close"),
];

/// The phases in which all calls are made.
pub(crate) fn phases() -> Vec<&'static str> {
    let http = PHASES.iter().map(|(phase, ..)| *phase);
    let tcp = TCP_PHASES.iter().map(|(phase, _)| *phase);
    let grpc = GRPC_PHASES.iter().map(|(phase, _)| *phase);
    http.chain(["tick", "queue-ready", "http-call-response"]).chain(grpc).chain(tcp).collect()
}

pub(crate) fn scenarios() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for (phase, callback, condition) in PHASES {
        let calls = calls::all(phase);
        let module = Probe::new().more(calls::GLOBALS).calls_if(callback, condition, &calls);
        let ends_with_body = phase.ends_with("body-last");
        let scenario = if ends_with_body {
            Scenario::new(*phase, module)
                .request("POST /path?query=1", &[("x-request", "one")], &["first", "second"])
                .response("200", &[("x-response", "one")], &["third", "fourth"])
        } else {
            Scenario::whole(*phase, module)
        };
        scenarios.push(scenario.waits_for_upstream());
    }
    for (phase, callback) in TCP_PHASES {
        let condition = match *callback {
            "done" | "log" => "(i32.ne (local.get $a) (i32.const 1))",
            "upstream_data" | "downstream_data" => "(local.get $b)",
            _ => "(i32.const 1)",
        };
        let calls = calls::all(phase);
        let module = Probe::new().more(calls::GLOBALS).calls_if(callback, condition, &calls);
        scenarios.push(Scenario::new(*phase, module).tcp("hello", "world"));
    }
    for (phase, callback) in GRPC_PHASES {
        let module = Probe::new()
            .more(calls::GLOBALS)
            .calls("request_headers", &[grpc::stream(Method::Echo), grpc::send("hello", true)])
            .returns("request_headers", "(i32.const 1)")
            .calls(callback, &calls::all(phase))
            .code("grpc_close", RESUME);
        scenarios.push(Scenario::new(*phase, module));
    }
    let tick = Probe::new()
        .more(calls::GLOBALS)
        .calls(
            "configure",
            &[Call::new(
                "set_tick_period_milliseconds(1)",
                "(call $proxy_set_tick_period_milliseconds (i32.const 1))",
                Gives::Nothing,
            )],
        )
        .calls("tick", &tick_calls())
        .code("tick", "(call $put 'end of calls') (call $flush)");
    scenarios.push(Scenario::new("tick", tick).idle_until("end of calls"));
    let queue = Probe::new()
        .more(calls::GLOBALS)
        .code(
            "request_headers",
            "(drop (call $proxy_register_shared_queue 'q' (i32.const 0)))
             (drop (call $proxy_enqueue_shared_queue (i32.load (i32.const 0)) 'item'))",
        )
        .returns("request_headers", "(i32.const 1)")
        .calls("queue_ready", &calls::all("queue-ready"))
        .calls(
            "queue_ready",
            &[Call::new(
                "dequeue the item",
                "(call $proxy_dequeue_shared_queue (local.get $b) (i32.const 0) (i32.const 4))",
                Gives::Bytes,
            )],
        )
        .code("queue_ready", RESUME);
    scenarios.push(Scenario::new("queue-ready", queue));
    let callout = Probe::new()
        .more(calls::GLOBALS)
        .calls(
            "request_headers",
            &[Call::new("http_call", callout("http-call-response"), Gives::Nothing)],
        )
        .returns("request_headers", "(i32.const 1)")
        .calls("http_call_response", &calls::all("http-call-response"))
        .code("http_call_response", RESUME);
    scenarios.push(Scenario::new("http-call-response", callout));
    let wasi = Probe::new().calls("request_headers", &calls::wasi());
    scenarios.push(Scenario::new("wasi", wasi));
    scenarios
}

/// All calls, except those whose result depends on how many threads have ticked before.
fn tick_calls() -> Vec<Call> {
    let mut calls = calls::all("tick");
    calls.retain(|call| {
        !call.label.starts_with("get_metric: counter")
            && !call.label.starts_with("set_shared_data(absent")
    });
    calls
}

/// A call to a cluster.
pub(crate) fn callout(cluster: &str) -> String {
    let headers =
        calls::pairs(&[(":method", "GET"), (":path", "/callout"), (":authority", "callout")]);
    format!(
        "(call $proxy_http_call '{cluster}' '{headers}' (i32.const 0) (i32.const 0)
             (i32.const 0) (i32.const 0) (i32.const 1000) (i32.const 0))"
    )
}
