//! gRPC calls and streams.

use super::Map;
use crate::calls::{GLOBALS, pairs};
use crate::grpc::{CLUSTER, Method, SERVICE};
use crate::matrix::RESUME;
use crate::probe::{Call, Gives, Probe};
use crate::scenario::Scenario;

const NONE: &str = "(i32.const 0) (i32.const 0)";

/// The token of the call or stream, in a global that [`GLOBALS`] declares.
const TOKEN: &str = "(global.get $queue)";
const KEEP: &str = "(global.set $queue (i32.load (i32.const 0)))";

fn target(method: Method) -> String {
    let metadata = pairs(&[("x-metadata", "one")]);
    format!("'{CLUSTER}' '{SERVICE}' '{}' '{metadata}'", method.name())
}

/// Makes a call, and keeps its token.
fn call(method: Method, timeout: u32) -> Call {
    let target = target(method);
    Call::new(
        "grpc_call",
        format!(
            "(call $proxy_grpc_call {target} 'question' (i32.const {timeout}) (i32.const 0)) {KEEP}"
        ),
        Gives::Number,
    )
}

/// Begins a stream, and keeps its token.
pub(crate) fn stream(method: Method) -> Call {
    let target = target(method);
    Call::new(
        "grpc_stream",
        format!("(call $proxy_grpc_stream {target} (i32.const 0)) {KEEP}"),
        Gives::Number,
    )
}

pub(crate) fn send(message: &str, ends: bool) -> Call {
    let text = if message.is_empty() { NONE.to_owned() } else { format!("'{message}'") };
    Call::new(
        format!("grpc_send({message})"),
        format!("(call $proxy_grpc_send {TOKEN} {text} (i32.const {}))", u8::from(ends)),
        Gives::Nothing,
    )
}

fn end(verb: &str) -> Call {
    Call::new(format!("grpc_{verb}"), format!("(call $proxy_grpc_{verb} {TOKEN})"), Gives::Nothing)
}

fn read() -> [Call; 4] {
    [
        Call::new(
            "get_status",
            "(call $proxy_get_status (i32.const 8) (i32.const 0) (i32.const 4))",
            Gives::BytesAndNumber,
        ),
        Map(4).pairs(),
        Map(5).pairs(),
        Call::new(
            "get_buffer_bytes",
            "(call $proxy_get_buffer_bytes (i32.const 5) (i32.const 0) (i32.const 1000) (i32.const 0) (i32.const 4))",
            Gives::Bytes,
        ),
    ]
}

/// A module that waits with the request, and reads what there is in each callback.
fn waiting(begin: &[Call]) -> Probe {
    [
        "grpc_receive_initial_metadata",
        "grpc_receive",
        "grpc_receive_trailing_metadata",
        "grpc_close",
    ]
    .iter()
    .fold(
        Probe::new()
            .more(GLOBALS)
            .calls("request_headers", begin)
            .returns("request_headers", "(i32.const 1)"),
        |module, callback| module.calls(callback, &read()),
    )
}

pub(super) fn scenarios() -> Vec<Scenario> {
    [calls(), refused(), streams(), ended()].concat()
}

fn calls() -> Vec<Scenario> {
    [
        ("answered", Method::Echo, 1000, "grpc_receive"),
        ("denied", Method::Deny, 1000, "grpc_close"),
        ("empty", Method::Empty, 1000, "grpc_close"),
        ("denied-at-once", Method::DenyAtOnce, 1000, "grpc_close"),
        ("unavailable", Method::Unavailable, 1000, "grpc_close"),
        ("reset", Method::Reset, 1000, "grpc_close"),
        ("timeout", Method::Never, 20, "grpc_close"),
    ]
    .map(|(name, method, timeout, last)| {
        let module = waiting(&[call(method, timeout)]).code(last, RESUME);
        Scenario::new(format!("grpc-call-{name}"), module)
    })
    .to_vec()
}

/// Calls that the module ends, before and after their answers.
fn refused() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for verb in ["cancel", "close"] {
        let module = Probe::new()
            .more(GLOBALS)
            .calls("request_headers", &[call(Method::Never, 1000), send("one", false)])
            .calls("request_headers", &[end(verb), end("cancel"), end("close")]);
        scenarios.push(Scenario::new(format!("grpc-call-{verb}"), module));
    }
    scenarios
}

fn streams() -> Vec<Scenario> {
    let begin = |method| [stream(method), send("one", false)];
    let first = "(i32.eq (local.get $c) (i32.const 3))";
    let mut scenarios = vec![Scenario::new(
        "grpc-stream-echo",
        waiting(&begin(Method::Echo))
            .calls_if("grpc_receive", first, &[send("second", true)])
            .code("grpc_close", RESUME),
    )];
    for (name, method) in [
        ("denied", Method::Deny),
        ("empty", Method::Empty),
        ("denied-at-once", Method::DenyAtOnce),
        ("unavailable", Method::Unavailable),
        ("reset", Method::Reset),
    ] {
        let module = waiting(&[stream(method)]).code("grpc_close", RESUME);
        scenarios.push(Scenario::new(format!("grpc-stream-{name}"), module));
    }
    let reset = waiting(&[stream(Method::ResetLater)])
        .calls("grpc_receive_initial_metadata", &[send("one", false)])
        .code("grpc_close", RESUME);
    scenarios.push(Scenario::new("grpc-stream-reset-later", reset));
    scenarios
}

/// Streams that the module ends.
fn ended() -> Vec<Scenario> {
    let begin = [stream(Method::Echo), send("one", false)];
    let closed = waiting(&begin).calls("grpc_receive", &[end("close")]).code("grpc_close", RESUME);
    let cancelled = waiting(&begin)
        .calls("grpc_receive", &[end("cancel"), end("cancel"), end("close"), send("two", false)])
        .code("grpc_receive", RESUME);
    let at_once = Probe::new()
        .more(GLOBALS)
        .calls("request_headers", &begin)
        .calls("request_headers", &[end("cancel"), send("two", false)]);
    let mut scenarios = vec![
        Scenario::new("grpc-stream-close", closed),
        Scenario::new("grpc-stream-cancel", cancelled),
        Scenario::new("grpc-stream-cancel-at-once", at_once),
    ];
    // After its callback, Envoy uses what it has freed, unless the module has ended the stream there.
    for verb in ["close", "cancel"] {
        let module = waiting(&[stream(Method::Empty)])
            .calls(
                "grpc_close",
                &[send("two", false), end(verb), end("close"), send("three", false)],
            )
            .code("grpc_close", RESUME)
            .calls("response_headers", &[end("close"), end("cancel"), send("four", false)]);
        scenarios.push(Scenario::new(format!("grpc-stream-{verb}-in-close"), module));
    }
    for verb in ["cancel", "close"] {
        let module = waiting(&[call(Method::Echo, 1000)])
            .calls("grpc_receive", &[end(verb)])
            .code("grpc_receive", RESUME);
        scenarios.push(Scenario::new(format!("grpc-call-{verb}-in-receive"), module));
        let module = waiting(&[call(Method::Echo, 1000)])
            .code("grpc_receive", RESUME)
            .calls("response_headers", &[end(verb)]);
        scenarios.push(Scenario::new(format!("grpc-call-{verb}-after-receive"), module));
    }
    scenarios
}
