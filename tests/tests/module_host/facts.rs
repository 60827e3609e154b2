//! What modules meet in practice.

mod bodies;
pub(crate) mod grpc;
mod headers;
mod replies;

use crate::calls::{GLOBALS, pairs, property};
use crate::changes::reply_with;
use crate::probe::{Call, Gives, Probe};
use crate::scenario::{Scenario, beside};

/// Functions of maps, by the number of the map.
struct Map(u32);

const REQUEST: Map = Map(0);
const RESPONSE: Map = Map(2);

impl Map {
    fn get(&self, name: &str) -> Call {
        let code = format!(
            "(call $proxy_get_header_map_value (i32.const {}) '{name}' (i32.const 0) (i32.const 4))",
            self.0
        );
        Call::new(format!("get {name}"), code, Gives::Bytes)
    }

    fn pairs(&self) -> Call {
        let code = format!(
            "(call $proxy_get_header_map_pairs (i32.const {}) (i32.const 0) (i32.const 4))",
            self.0
        );
        Call::new("get_header_map_pairs", code, Gives::Bytes)
    }

    fn change(&self, verb: &str, name: &str, value: &str) -> Call {
        let text = |text: &str| {
            if text.is_empty() {
                "(i32.const 0) (i32.const 0)".to_owned()
            } else {
                format!("'{text}'")
            }
        };
        let code = format!(
            "(call $proxy_{verb}_header_map_value (i32.const {}) {} {})",
            self.0,
            text(name),
            text(value)
        );
        let value = value.replace('\\', "%");
        Call::new(format!("{verb} {name}: {value}"), code, Gives::Nothing)
    }

    fn add(&self, name: &str, value: &str) -> Call {
        self.change("add", name, value)
    }

    fn replace(&self, name: &str, value: &str) -> Call {
        self.change("replace", name, value)
    }

    fn remove(&self, name: &str) -> Call {
        let code = format!("(call $proxy_remove_header_map_value (i32.const {}) '{name}')", self.0);
        Call::new(format!("remove {name}"), code, Gives::Nothing)
    }

    fn set(&self, all: &[(&str, &str)]) -> Call {
        let code =
            format!("(call $proxy_set_header_map_pairs (i32.const {}) '{}')", self.0, pairs(all));
        Call::new("set_header_map_pairs", code, Gives::Nothing)
    }
}

fn attribute(path: &str) -> Call {
    Call::new(format!("get_property({path})"), property(path), Gives::Bytes)
}

fn set_body(buffer: u32, start: u32, length: u32, text: &str) -> Call {
    let code = format!(
        "(call $proxy_set_buffer_bytes (i32.const {buffer}) (i32.const {start}) (i32.const {length}) '{text}')"
    );
    Call::new(format!("set_buffer_bytes({start}, {length})"), code, Gives::Nothing)
}

pub(crate) fn scenarios() -> Vec<Scenario> {
    [
        headers::scenarios(),
        replies::scenarios(),
        bodies::scenarios(),
        resumed(),
        callouts(),
        grpc::scenarios(),
        traps(),
        shared(),
    ]
    .concat()
}

/// Callbacks that pause, and a timer that continues.
fn resumed() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for (callback, stream, condition) in [
        ("request_headers", 0, "(i32.const 1)"),
        ("request_body", 0, "(local.get $c)"),
        ("request_trailers", 0, "(i32.const 1)"),
        ("response_headers", 1, "(i32.const 1)"),
        ("response_body", 1, "(local.get $c)"),
        ("response_trailers", 1, "(i32.const 1)"),
    ] {
        let module = Probe::new()
            .returns(callback, "(i32.const 1)")
            .code(callback, &format!("(if {condition} (then (drop (call $proxy_set_tick_period_milliseconds (i32.const 1)))))"))
            .code("tick", &format!(
                "(drop (call $proxy_set_tick_period_milliseconds (i32.const 0)))
                 (drop (call $proxy_set_effective_context (i32.const 2)))
                 (drop (call $proxy_continue_stream (i32.const {stream})))"
            ));
        let scenario = Scenario::whole(format!("resumed-{callback}"), module);
        scenarios.push(if callback.ends_with("body") {
            scenario.request_trailers(&[]).response_trailers(&[])
        } else {
            scenario
        });
    }
    let module = Probe::new()
        .returns("request_headers", "(i32.const 1)")
        .code("request_headers", "(drop (call $proxy_set_tick_period_milliseconds (i32.const 1)))")
        .code(
            "tick",
            "(drop (call $proxy_set_tick_period_milliseconds (i32.const 0)))
             (drop (call $proxy_set_effective_context (i32.const 2)))",
        )
        .calls(
            "tick",
            &[
                REQUEST.get(":path"),
                attribute("request.path"),
                REQUEST.add("x-later", "one"),
                reply_with("403", &[], "-1"),
            ],
        );
    scenarios.push(Scenario::new("replied-later", module));
    scenarios
}

fn http_call(cluster: &str, path: &str, timeout: u32) -> Call {
    let headers = pairs(&[(":method", "GET"), (":path", path), (":authority", "callout")]);
    Call::new(
        "http_call",
        format!(
            "(call $proxy_http_call '{cluster}' '{headers}' (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const {timeout}) (i32.const 0))"
        ),
        Gives::Number,
    )
}

/// An authorization by a callout: what comes back, then the end of the wait.
fn callouts() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for (key, path, timeout) in [
        ("callout-allowed", "/callout", 1000),
        ("callout-reset", "/callout-reset", 1000),
        ("callout-timeout", "/callout-never", 20),
    ] {
        let read = [
            Call::new(
                "get_status",
                "(call $proxy_get_status (i32.const 8) (i32.const 0) (i32.const 4))",
                Gives::BytesAndNumber,
            ),
            Map(6).get(":status"),
            Map(6).pairs(),
            Call::new(
                "get_buffer_bytes",
                "(call $proxy_get_buffer_bytes (i32.const 4) (i32.const 0) (i32.const 1000) (i32.const 0) (i32.const 4))",
                Gives::Bytes,
            ),
            Call::new(
                "set_effective_context",
                "(call $proxy_set_effective_context (i32.const 2))",
                Gives::Nothing,
            ),
        ];
        let module = Probe::new()
            .returns("request_headers", "(i32.const 1)")
            .calls("request_headers", &[http_call(key, path, timeout)])
            .calls("http_call_response", &read);
        let allowed = module.clone().calls(
            "http_call_response",
            &[
                REQUEST.add("x-checked", "one"),
                Call::new(
                    "continue_stream",
                    "(call $proxy_continue_stream (i32.const 0))",
                    Gives::Nothing,
                ),
            ],
        );
        scenarios.push(Scenario::new(key, allowed));
        let key = format!("{key}-then-denied");
        let module = Probe::new()
            .returns("request_headers", "(i32.const 1)")
            .calls("request_headers", &[http_call(&key, path, timeout)])
            .calls("http_call_response", &read);
        scenarios.push(Scenario::new(
            key,
            module.calls("http_call_response", &[reply_with("403", &[], "-1")]),
        ));
    }
    let two = Probe::new()
        .calls(
            "request_headers",
            &[http_call("callouts-two", "/callout", 1000), http_call("nowhere", "/callout", 1000)],
        )
        .returns("request_headers", "(i32.const 1)")
        .code("http_call_response", crate::matrix::RESUME);
    scenarios.push(Scenario::new("callouts-two", two));
    scenarios
}

/// A trap in each callback of an exchange.
fn traps() -> Vec<Scenario> {
    [
        "request_headers",
        "request_body",
        "request_trailers",
        "response_headers",
        "response_body",
        "response_trailers",
        "done",
        "log",
        "delete",
    ]
    .iter()
    .map(|callback| {
        let stream = if matches!(*callback, "done" | "log" | "delete") {
            "(i32.ne (local.get $a) (i32.const 1))"
        } else {
            "(i32.const 1)"
        };
        let module = Probe::new().code(callback, &format!("(if {stream} (then unreachable))"));
        Scenario::whole(format!("trap-{callback}"), module)
    })
    .collect()
}

/// Two VMs, each of which puts an item into the queue of the other.
fn between_vms(key: &str) -> Scenario {
    let register = |queue: &str| {
        Call::new(
            format!("register {queue}"),
            format!("(call $proxy_register_shared_queue '{queue}' (i32.const 0))"),
            Gives::Nothing,
        )
    };
    let send = |vm: &str, queue: &str, item: &str| {
        [
            Call::new(
                format!("resolve {queue}"),
                format!(
                    "(call $proxy_resolve_shared_queue '{vm}' '{queue}' (i32.const 0))
                     (global.set $queue (i32.load (i32.const 0)))"
                ),
                Gives::Nothing,
            ),
            Call::new(
                format!("enqueue {item}"),
                format!("(call $proxy_enqueue_shared_queue (global.get $queue) '{item}')"),
                Gives::Nothing,
            ),
        ]
    };
    let dequeue = Call::new(
        "dequeue",
        "(call $proxy_dequeue_shared_queue (local.get $b) (i32.const 0) (i32.const 4))",
        Gives::Bytes,
    );
    let dequeues = [dequeue.clone(), dequeue];
    let first = Probe::new()
        .more(GLOBALS)
        .calls("request_headers", &[register("there")])
        .calls("queue_ready", &dequeues)
        .calls("queue_ready", &send(&beside(key), "back", "pong"));
    let second = Probe::new()
        .more(GLOBALS)
        .calls("request_headers", &[register("back")])
        .calls("request_headers", &send(key, "there", "ping"))
        .returns("request_headers", "(i32.const 1)")
        .calls("queue_ready", &dequeues)
        .code("queue_ready", crate::matrix::RESUME);
    Scenario::new(key, first).beside(second)
}

fn shared() -> Vec<Scenario> {
    let get = |key: &str| {
        Call::new(
            format!("get_shared_data({key})"),
            format!(
                "(call $proxy_get_shared_data '{key}' (i32.const 0) (i32.const 4) (i32.const 8)) (global.set $metric (i32.load (i32.const 8)))"
            ),
            Gives::Bytes,
        )
    };
    let set = |key: &str, value: &str, cas: &str| {
        Call::new(
            format!("set_shared_data({key}, {value}, {cas})"),
            format!("(call $proxy_set_shared_data '{key}' '{value}' {cas})"),
            Gives::Nothing,
        )
    };
    let data = Probe::new().more(GLOBALS).calls(
        "request_headers",
        &[
            set("a", "1", "(i32.const 0)"),
            get("a"),
            set("a", "2", "(global.get $metric)"),
            get("a"),
            set("a", "3", "(i32.add (global.get $metric) (i32.const 1))"),
            get("a"),
            set("a", "4", "(i32.const 0)"),
            get("a"),
            Call::new(
                "set_shared_data to nothing",
                "(call $proxy_set_shared_data 'a' (i32.const 0) (i32.const 0) (i32.const 0))",
                Gives::Nothing,
            ),
            get("a"),
        ],
    );
    let queue = "(global.get $queue)";
    let enqueue = |text: &str| {
        Call::new(
            format!("enqueue {text}"),
            format!("(call $proxy_enqueue_shared_queue {queue} '{text}')"),
            Gives::Nothing,
        )
    };
    let dequeue = || {
        Call::new(
            "dequeue",
            format!("(call $proxy_dequeue_shared_queue {queue} (i32.const 0) (i32.const 4))"),
            Gives::Bytes,
        )
    };
    let register = Call::new(
        "register",
        "(call $proxy_register_shared_queue 'queue' (i32.const 0)) (global.set $queue (i32.load (i32.const 0)))",
        Gives::Nothing,
    );
    let queues = Probe::new()
        .more(GLOBALS)
        .calls("request_headers", &[register, enqueue("one"), enqueue("two")])
        .returns("request_headers", "(i32.const 1)")
        .calls("queue_ready", &[dequeue()])
        .code("queue_ready", crate::matrix::RESUME);
    vec![
        Scenario::new("shared-data", data),
        Scenario::new("shared-queue", queues),
        between_vms("queue-between-vms"),
    ]
}
