//! Calls and results of callbacks that change a stream, each in a scenario of its own.

use crate::calls::pairs;
use crate::probe::{Call, Gives, Probe};
use crate::scenario::Scenario;

pub(crate) fn local_reply() -> Call {
    reply_with("403", &[("x-reply", "one")], "-1")
}

pub(crate) fn reply_with(status: &str, headers: &[(&str, &str)], grpc_status: &str) -> Call {
    Call::new(
        "send_local_response",
        format!(
            "(call $proxy_send_local_response (i32.const {status}) 'details' 'denied' '{}'
                 (i32.const {grpc_status}))",
            pairs(headers)
        ),
        Gives::Nothing,
    )
}

/// The calls, by the names that the page has for them.
fn changes() -> Vec<(String, Call)> {
    let mut changes = vec![("send-local-response".to_owned(), local_reply())];
    for (call, type_count) in [("continue", 4), ("close", 4)] {
        for kind in 0..type_count {
            let of = ["request", "response", "downstream", "upstream"][kind];
            changes.push((
                format!("{call}-{of}"),
                Call::new(
                    format!("{call}_stream({of})"),
                    format!("(call $proxy_{call}_stream (i32.const {kind}))"),
                    Gives::Nothing,
                ),
            ));
        }
    }
    changes
}

/// The names of the calls on the page.
pub(crate) fn names() -> Vec<String> {
    changes().into_iter().map(|(name, _)| name).collect()
}

pub(crate) fn phases() -> Vec<&'static str> {
    PHASES.iter().map(|(phase, ..)| *phase).collect()
}

pub(crate) fn tcp_phases() -> Vec<&'static str> {
    TCP_PHASES.iter().map(|(phase, ..)| *phase).collect()
}

const STREAM: &str = "(i32.ne (local.get $a) (i32.const 1))";
const ALWAYS: &str = "(i32.const 1)";
/// The first piece of a body, or the last one.
const FIRST: &str = "(i32.eq (local.get $b) (i32.const 5))";
const LAST: &str = "(local.get $c)";

const PHASES: &[(&str, &str, &str)] = &[
    ("context-create", "context_create", "(local.get $b)"),
    ("request-headers", "request_headers", ALWAYS),
    ("request-body-first", "request_body", FIRST),
    ("request-body-last", "request_body", LAST),
    ("request-trailers", "request_trailers", ALWAYS),
    ("response-headers", "response_headers", ALWAYS),
    ("response-body-first", "response_body", FIRST),
    ("response-body-last", "response_body", LAST),
    ("response-trailers", "response_trailers", ALWAYS),
    ("done", "done", STREAM),
    ("log", "log", STREAM),
    ("delete", "delete", STREAM),
];

const TCP_PHASES: &[(&str, &str, &str)] = &[
    ("new-connection", "new_connection", ALWAYS),
    ("downstream-data", "downstream_data", FIRST),
    ("upstream-data", "upstream_data", FIRST),
    ("downstream-close", "downstream_connection_close", ALWAYS),
    ("upstream-close", "upstream_connection_close", ALWAYS),
];

/// What crashes Envoy.
const CRASHES: &[&str] = &[
    "continue-response--context-create",
    "continue-response--request-headers",
    "continue-response--request-body-first",
    "continue-response--request-body-last",
    "continue-response--request-trailers",
    "continue-response--response-trailers",
    "close-request--response-trailers",
    "close-response--response-trailers",
    "send-local-response--done",
    "close-request--done",
    "close-response--done",
    "send-local-response--log",
    "close-request--log",
    "close-response--log",
    "send-local-response--delete",
    "close-request--delete",
    "close-response--delete",
];

fn scenario(key: String, phase: &str, module: Probe) -> Scenario {
    let crashes = CRASHES.contains(&key.as_str());
    let scenario = if phase.ends_with("-last") {
        Scenario::whole(key, module).request_trailers(&[]).response_trailers(&[])
    } else {
        Scenario::whole(key, module)
    };
    if crashes { scenario.crashes() } else { scenario }
}

pub(crate) fn scenarios() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for (phase, callback, condition) in PHASES {
        for (name, call) in changes() {
            let module = Probe::new().calls_if(callback, condition, &[call]);
            scenarios.push(scenario(format!("{name}--{phase}"), phase, module));
        }
        let result = if *condition == FIRST || *condition == LAST { condition } else { ALWAYS };
        let module = Probe::new()
            .returns(callback, &format!("(i32.ne (i32.const 0) {result})"))
            .calls_if(callback, condition, &[local_reply()]);
        if !matches!(*phase, "context-create" | "done" | "log" | "delete") {
            scenarios.push(scenario(
                format!("send-local-response-and-pause--{phase}"),
                phase,
                module,
            ));
        }
    }
    for (phase, callback, condition) in TCP_PHASES {
        for (name, call) in changes() {
            let module = Probe::new().calls_if(callback, condition, &[call]);
            scenarios.push(Scenario::new(format!("{name}--{phase}"), module).tcp("hello", "world"));
        }
    }
    scenarios
}

/// What each callback may return.
pub(crate) fn results() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for (phase, callback, _) in &PHASES[1..9] {
        if phase.ends_with("-first") {
            continue;
        }
        for result in [1, 2, 3, 4, 5, 99] {
            let returned = format!("(i32.const {result})");
            let module = Probe::new().returns(callback, &returned);
            let scenario = scenario(format!("returns-{result}--{phase}"), phase, module);
            let headers = phase.ends_with("headers");
            scenarios.push(match (headers, result) {
                // It goes on.
                (true, 2) => scenario,
                _ if headers || phase.ends_with("trailers") => {
                    scenario.leaves_at(&format!("> {callback} "))
                }
                // All pieces come again with the last one.
                (_, 1) => scenario.leaves_at(&format!("> {callback} 2 11 1")),
                _ => scenario.leaves_at(&format!("> {callback} 2 0 1")),
            });
        }
    }
    for (phase, callback, _) in &TCP_PHASES[..3] {
        for result in [1, 2, 3, 99] {
            let module = Probe::new().returns(callback, &format!("(i32.const {result})"));
            let scenario = Scenario::new(format!("returns-{result}--{phase}"), module);
            scenarios.push(match *callback {
                // Envoy learns that the client has left once it reads again.
                "new_connection" => {
                    scenario.tcp("hello", "world").leaves_at("> new").ends_at("> new")
                }
                "downstream_data" => scenario
                    .tcp("hello", "world")
                    .leaves_at("> downstream")
                    .ends_at("> downstream_data 2 5 1"),
                _ => scenario.tcp("hello", "world").leaves_at("> upstream_data 2 5 0"),
            });
        }
    }
    scenarios
}
