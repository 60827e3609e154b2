//! Host calls in canonical arguments, and in wrong ones.

use crate::probe::{Call, Gives};

const MAPS: &[&str] = &[
    "request headers",
    "request trailers",
    "response headers",
    "response trailers",
    "gRPC initial metadata",
    "gRPC trailing metadata",
    "call response headers",
    "call response trailers",
    "no such map",
];

const BUFFERS: &[&str] = &[
    "request body",
    "response body",
    "downstream data",
    "upstream data",
    "call response body",
    "gRPC message",
    "VM configuration",
    "plugin configuration",
    "foreign function arguments",
    "no such buffer",
];

const PROPERTIES: &[&str] = &[
    "no_such",
    "plugin_name",
    "plugin_root_id",
    "plugin_vm_id",
    "cluster_name",
    "route_name",
    "listener_direction",
    "node.id",
    "node.cluster",
    "node",
    "cluster_metadata",
    "route_metadata",
    "listener_metadata",
    "upstream_host_metadata",
    "request.path",
    "request.url_path",
    "request.host",
    "request.scheme",
    "request.method",
    "request.headers.x-request",
    "request.headers.no-such",
    "request.headers",
    "request.referer",
    "request.useragent",
    "request.id",
    "request.protocol",
    "request.query",
    "request.size",
    "request.total_size",
    "request",
    "response.code",
    "response.code_details",
    "response.flags",
    "response.grpc_status",
    "response.headers.x-response",
    "response.trailers.x-response-trailer",
    "response.size",
    "response.total_size",
    "connection.mtls",
    "connection.requested_server_name",
    "connection.tls_version",
    "connection.subject_local_certificate",
    "connection.termination_details",
    "connection.transport_failure_reason",
    "upstream.transport_failure_reason",
    "upstream.request_attempt_count",
    "upstream.tls_version",
    "xds.cluster_name",
    "xds.cluster_metadata",
    "xds.route_name",
    "xds.route_metadata",
    "xds.virtual_host_name",
    "xds.virtual_host_metadata",
    "xds.filter_chain_name",
    "xds.listener_direction",
    "xds.listener_metadata",
    "xds.upstream_host_metadata",
    "xds.node.id",
    "metadata",
    "filter_state",
    "upstream_filter_state",
];

/// Properties whose values differ from run to run.
const VARYING: &[&str] = &[
    "response.backend_latency",
    "request.time",
    "request.duration",
    "connection.id",
    "connection_id",
    "source.address",
    "source.port",
    "destination.address",
    "destination.port",
    "upstream.address",
    "upstream.port",
    "upstream.local_address",
];

pub(crate) fn constant(number: usize) -> String {
    format!("(i32.const {number})")
}

pub(crate) fn property(path: &str) -> String {
    format!(
        "(call $proxy_get_property '{}' (i32.const 0) (i32.const 4))",
        path.replace('.', "\\00")
    )
}

/// Pairs in their serialized form, as text in which `\ff` is a byte.
pub(crate) fn pairs(pairs: &[(&str, &str)]) -> String {
    let number = |number: usize| -> String {
        u32::try_from(number)
            .expect("a short text")
            .to_le_bytes()
            .iter()
            .fold(String::new(), |text, byte| text + &format!("\\{byte:02x}"))
    };
    let mut text = number(pairs.len());
    for (name, value) in pairs {
        text += &number(name.len());
        text += &number(value.len());
    }
    for (name, value) in pairs {
        text += &[*name, "\\00", value, "\\00"].concat();
    }
    text
}

/// All host calls that leave the stream where it is.
pub(crate) fn all(key: &str) -> Vec<Call> {
    groups_of(key).into_iter().flat_map(|(_, calls)| calls).collect()
}

/// The calls by their subject.
pub(crate) fn groups() -> Vec<(&'static str, Vec<Call>)> {
    groups_of("")
}

fn groups_of(key: &str) -> Vec<(&'static str, Vec<Call>)> {
    vec![
        ("Log, time and contexts", general()),
        ("Properties", properties()),
        ("Maps of headers", maps()),
        ("Buffers", buffers()),
        ("Metrics", metrics(key)),
        ("Shared data", shared()),
        ("Queues", queues()),
        ("Callouts", callouts(key)),
        ("Foreign functions", foreign()),
    ]
}

fn general() -> Vec<Call> {
    let mut calls = vec![
        Call::new("log, no such level", "(call $proxy_log (i32.const 9) 'text')", Gives::Nothing),
        Call::new("get_log_level", "(call $proxy_get_log_level (i32.const 0))", Gives::Number),
        Call::new(
            "get_current_time_nanoseconds",
            "(call $proxy_get_current_time_nanoseconds (i32.const 0))",
            Gives::Nothing,
        ),
        Call::new(
            "set_tick_period_milliseconds(0)",
            "(call $proxy_set_tick_period_milliseconds (i32.const 0))",
            Gives::Nothing,
        ),
        Call::new(
            "set_effective_context(own)",
            "(call $proxy_set_effective_context (local.get $a))",
            Gives::Nothing,
        ),
        Call::new(
            "set_effective_context(unknown)",
            "(call $proxy_set_effective_context (i32.const 99999))",
            Gives::Nothing,
        ),
        Call::new(
            "get_status",
            "(call $proxy_get_status (i32.const 8) (i32.const 0) (i32.const 4))",
            Gives::BytesAndNumber,
        ),
        Call::new(
            "get_property outside memory",
            "(call $proxy_get_property (i32.const 1000000) (i32.const 5) (i32.const 0) (i32.const 4))",
            Gives::Nothing,
        ),
        Call::new(
            "continue_stream(no such type)",
            "(call $proxy_continue_stream (i32.const 9))",
            Gives::Nothing,
        ),
        Call::new(
            "close_stream(no such type)",
            "(call $proxy_close_stream (i32.const 9))",
            Gives::Nothing,
        ),
    ];
    calls.push(Call::new("done", "(call $proxy_done)", Gives::Nothing));
    calls
}

fn properties() -> Vec<Call> {
    let given = PROPERTIES
        .iter()
        .map(|path| Call::new(format!("get_property({path})"), property(path), Gives::Bytes));
    let varying = VARYING.iter().map(|path| {
        Call::new(format!("get_property({path}), status only"), property(path), Gives::Nothing)
    });
    let mut calls: Vec<_> = given.chain(varying).collect();
    calls.push(Call::new(
        "set_property(own)",
        "(call $proxy_set_property 'own' 'value')",
        Gives::Nothing,
    ));
    calls.push(Call::new("get_property(own)", property("own"), Gives::Bytes));
    calls.push(Call::new(
        "set_property(request.path)",
        "(call $proxy_set_property 'request\\00path' 'value')",
        Gives::Nothing,
    ));
    calls.push(Call::new(
        "get_property(request.path) after it was set",
        property("request.path"),
        Gives::Bytes,
    ));
    calls
}

fn maps() -> Vec<Call> {
    let mut calls = Vec::new();
    for (index, name) in MAPS.iter().enumerate() {
        let map = constant(index);
        let own = match index {
            0 => "x-request",
            1 => "x-request-trailer",
            2 => "x-response",
            3 => "x-response-trailer",
            _ => "x-metadata",
        };
        for (label, code, gives) in [
            (
                "get_header_map_size",
                format!("(call $proxy_get_header_map_size {map} (i32.const 0))"),
                Gives::Number,
            ),
            (
                "get_header_map_pairs",
                format!("(call $proxy_get_header_map_pairs {map} (i32.const 0) (i32.const 4))"),
                Gives::Bytes,
            ),
            (
                "get_header_map_value(there)",
                format!(
                    "(call $proxy_get_header_map_value {map} '{own}' (i32.const 0) (i32.const 4))"
                ),
                Gives::Bytes,
            ),
            (
                "get_header_map_value(absent)",
                format!(
                    "(call $proxy_get_header_map_value {map} 'absent' (i32.const 0) (i32.const 4))"
                ),
                Gives::Bytes,
            ),
            (
                "add_header_map_value",
                format!("(call $proxy_add_header_map_value {map} 'x-added' 'value')"),
                Gives::Nothing,
            ),
            (
                "get_header_map_value(added)",
                format!(
                    "(call $proxy_get_header_map_value {map} 'x-added' (i32.const 0) (i32.const 4))"
                ),
                Gives::Bytes,
            ),
            (
                "replace_header_map_value",
                format!("(call $proxy_replace_header_map_value {map} 'x-added' 'other')"),
                Gives::Nothing,
            ),
            (
                "remove_header_map_value",
                format!("(call $proxy_remove_header_map_value {map} 'x-added')"),
                Gives::Nothing,
            ),
            (
                "remove_header_map_value(absent)",
                format!("(call $proxy_remove_header_map_value {map} 'absent')"),
                Gives::Nothing,
            ),
        ] {
            calls.push(Call::new(format!("{label}: {name}"), code, gives));
        }
        // The request needs its pseudo-headers.
        if index != 0 && index != 2 {
            calls.push(Call::new(
                format!("set_header_map_pairs: {name}"),
                format!(
                    "(call $proxy_set_header_map_pairs {map} '{}')",
                    pairs(&[("x-set", "value")])
                ),
                Gives::Nothing,
            ));
        }
    }
    calls
}

fn buffers() -> Vec<Call> {
    let mut calls = Vec::new();
    for (index, name) in BUFFERS.iter().enumerate() {
        let buffer = constant(index);
        for (label, code, gives) in [
            (
                "get_buffer_status",
                format!("(call $proxy_get_buffer_status {buffer} (i32.const 0) (i32.const 4))"),
                Gives::Pair,
            ),
            (
                "get_buffer_bytes(0, 4)",
                format!(
                    "(call $proxy_get_buffer_bytes {buffer} (i32.const 0) (i32.const 4) (i32.const 0) (i32.const 4))"
                ),
                Gives::Bytes,
            ),
            (
                "get_buffer_bytes(1, 1000)",
                format!(
                    "(call $proxy_get_buffer_bytes {buffer} (i32.const 1) (i32.const 1000) (i32.const 0) (i32.const 4))"
                ),
                Gives::Bytes,
            ),
            (
                "get_buffer_bytes(1000, 1)",
                format!(
                    "(call $proxy_get_buffer_bytes {buffer} (i32.const 1000) (i32.const 1) (i32.const 0) (i32.const 4))"
                ),
                Gives::Bytes,
            ),
            (
                "get_buffer_bytes(1, -1)",
                format!(
                    "(call $proxy_get_buffer_bytes {buffer} (i32.const 1) (i32.const -1) (i32.const 0) (i32.const 4))"
                ),
                Gives::Bytes,
            ),
            (
                "set_buffer_bytes(0, 0): insert before",
                format!("(call $proxy_set_buffer_bytes {buffer} (i32.const 0) (i32.const 0) '<')"),
                Gives::Nothing,
            ),
            (
                "set_buffer_bytes(0, 1): replace the first",
                format!("(call $proxy_set_buffer_bytes {buffer} (i32.const 0) (i32.const 1) '[')"),
                Gives::Nothing,
            ),
            (
                "set_buffer_bytes(1, 1): replace another",
                format!("(call $proxy_set_buffer_bytes {buffer} (i32.const 1) (i32.const 1) '-')"),
                Gives::Nothing,
            ),
            (
                "set_buffer_bytes(1000, 0): append",
                format!(
                    "(call $proxy_set_buffer_bytes {buffer} (i32.const 1000) (i32.const 0) '>')"
                ),
                Gives::Nothing,
            ),
            (
                "get_buffer_status after that",
                format!("(call $proxy_get_buffer_status {buffer} (i32.const 0) (i32.const 4))"),
                Gives::Pair,
            ),
        ] {
            // Outside its callback, it is the buffer that was read last.
            if index != 8 {
                calls.push(Call::new(format!("{label}: {name}"), code, gives));
            }
        }
    }
    calls
}

fn metrics(key: &str) -> Vec<Call> {
    let mut calls = Vec::new();
    for (kind, name) in ["counter", "gauge", "histogram"].iter().enumerate() {
        calls.push(Call::new(format!("define_metric: {name}"), format!("(call $proxy_define_metric (i32.const {kind}) '{key}.{name}' (i32.const 0)) (global.set $metric (i32.load (i32.const 0)))"), Gives::Number));
        calls.push(Call::new(
            format!("define_metric again: {name}"),
            format!("(call $proxy_define_metric (i32.const {kind}) '{key}.{name}' (i32.const 0))"),
            Gives::Number,
        ));
        for (label, code, gives) in [
            (
                "record_metric(5)",
                "(call $proxy_record_metric (global.get $metric) (i64.const 5))",
                Gives::Nothing,
            ),
            (
                "get_metric",
                "(call $proxy_get_metric (global.get $metric) (i32.const 0))",
                Gives::Long,
            ),
            (
                "increment_metric(3)",
                "(call $proxy_increment_metric (global.get $metric) (i64.const 3))",
                Gives::Nothing,
            ),
            (
                "get_metric",
                "(call $proxy_get_metric (global.get $metric) (i32.const 0))",
                Gives::Long,
            ),
            (
                "increment_metric(-20)",
                "(call $proxy_increment_metric (global.get $metric) (i64.const -20))",
                Gives::Nothing,
            ),
            (
                "get_metric",
                "(call $proxy_get_metric (global.get $metric) (i32.const 0))",
                Gives::Long,
            ),
        ] {
            calls.push(Call::new(format!("{label}: {name}"), code, gives));
        }
    }
    for kind in 0..3 {
        let id = 1000 * 4 + kind;
        calls.push(Call::new(
            format!("increment_metric(unknown {id})"),
            format!("(call $proxy_increment_metric (i32.const {id}) (i64.const 1))"),
            Gives::Nothing,
        ));
        calls.push(Call::new(
            format!("record_metric(unknown {id})"),
            format!("(call $proxy_record_metric (i32.const {id}) (i64.const 1))"),
            Gives::Nothing,
        ));
        calls.push(Call::new(
            format!("get_metric(unknown {id})"),
            format!("(call $proxy_get_metric (i32.const {id}) (i32.const 0))"),
            Gives::Long,
        ));
    }
    calls.push(Call::new(
        "get_metric(unknown 3)",
        "(call $proxy_get_metric (i32.const 3) (i32.const 0))",
        Gives::Long,
    ));
    calls.push(Call::new(
        "get_metric(unknown 0)",
        "(call $proxy_get_metric (i32.const 0) (i32.const 0))",
        Gives::Long,
    ));
    calls.push(Call::new(
        "define_metric: no such type",
        "(call $proxy_define_metric (i32.const 9) 'x' (i32.const 0))",
        Gives::Nothing,
    ));
    calls
}

fn shared() -> Vec<Call> {
    let get = "(call $proxy_get_shared_data 'key' (i32.const 0) (i32.const 4) (i32.const 8))";
    let set = |value: &str, cas: u32| {
        format!("(call $proxy_set_shared_data 'key' '{value}' (i32.const {cas}))")
    };
    vec![
        Call::new(
            "get_shared_data(absent)",
            "(call $proxy_get_shared_data 'absent' (i32.const 0) (i32.const 4) (i32.const 8))",
            Gives::BytesAndNumber,
        ),
        Call::new("set_shared_data(cas 0)", set("one", 0), Gives::Nothing),
        Call::new("get_shared_data, value only", get, Gives::Bytes),
        Call::new("set_shared_data(wrong cas)", set("two", 999_999), Gives::Nothing),
        Call::new(
            "set_shared_data(absent key, cas 7)",
            "(call $proxy_set_shared_data 'other' 'value' (i32.const 7))",
            Gives::Nothing,
        ),
        Call::new("get_shared_data, value only", get, Gives::Bytes),
    ]
}

fn queues() -> Vec<Call> {
    let token = "(global.get $queue)";
    vec![
        Call::new(
            "resolve_shared_queue(own VM, unknown)",
            "(call $proxy_resolve_shared_queue (i32.const 0) (i32.const 0) 'nothing' (i32.const 0))",
            Gives::Nothing,
        ),
        Call::new(
            "resolve_shared_queue(unknown VM)",
            "(call $proxy_resolve_shared_queue 'nobody' 'queue' (i32.const 0))",
            Gives::Nothing,
        ),
        Call::new(
            "enqueue_shared_queue(unknown)",
            "(call $proxy_enqueue_shared_queue (i32.const 99999) 'item')",
            Gives::Nothing,
        ),
        Call::new(
            "dequeue_shared_queue(unknown)",
            "(call $proxy_dequeue_shared_queue (i32.const 99999) (i32.const 0) (i32.const 4))",
            Gives::Bytes,
        ),
        Call::new(
            "register_shared_queue",
            "(call $proxy_register_shared_queue 'queue' (i32.const 0)) (global.set $queue (i32.load (i32.const 0)))",
            Gives::Nothing,
        ),
        Call::new(
            "resolve_shared_queue(own VM)",
            "(call $proxy_resolve_shared_queue (i32.const 0) (i32.const 0) 'queue' (i32.const 0))",
            Gives::Nothing,
        ),
        Call::new(
            "dequeue_shared_queue(empty)",
            format!("(call $proxy_dequeue_shared_queue {token} (i32.const 0) (i32.const 4))"),
            Gives::Bytes,
        ),
    ]
}

fn callouts(key: &str) -> Vec<Call> {
    let headers = pairs(&[(":method", "GET"), (":path", "/"), (":authority", "callout")]);
    let none = "(i32.const 0) (i32.const 0)";
    let http = |cluster: &str, headers: &str| {
        format!(
            "(call $proxy_http_call '{cluster}' '{headers}' {none} {none} (i32.const 1000) (i32.const 0))"
        )
    };
    vec![
        Call::new("http_call(unknown cluster)", http("nowhere", &headers), Gives::Nothing),
        Call::new(
            "http_call(no :path)",
            http(key, &pairs(&[(":method", "GET"), (":authority", "x")])),
            Gives::Nothing,
        ),
        Call::new(
            "http_call(no :method)",
            http(key, &pairs(&[(":path", "/"), (":authority", "x")])),
            Gives::Nothing,
        ),
        Call::new(
            "http_call(no :authority)",
            http(key, &pairs(&[(":path", "/"), (":method", "GET")])),
            Gives::Nothing,
        ),
        Call::new(
            "grpc_call(unparsable service)",
            format!(
                "(call $proxy_grpc_call '\\ff\\ff' 'service' 'method' {none} {none} (i32.const 1000) (i32.const 0))"
            ),
            Gives::Nothing,
        ),
        Call::new(
            "grpc_call(unknown cluster)",
            format!(
                "(call $proxy_grpc_call 'nowhere' 'service' 'method' {none} {none} (i32.const 1000) (i32.const 0))"
            ),
            Gives::Nothing,
        ),
        Call::new(
            "grpc_stream(unknown cluster)",
            format!("(call $proxy_grpc_stream 'nowhere' 'service' 'method' {none} (i32.const 0))"),
            Gives::Nothing,
        ),
        Call::new(
            "grpc_send(unknown)",
            format!("(call $proxy_grpc_send (i32.const 9998) {none} (i32.const 0))"),
            Gives::Nothing,
        ),
        Call::new(
            "grpc_send(unknown, odd)",
            format!("(call $proxy_grpc_send (i32.const 9999) {none} (i32.const 0))"),
            Gives::Nothing,
        ),
        Call::new(
            "grpc_cancel(unknown)",
            "(call $proxy_grpc_cancel (i32.const 9998))",
            Gives::Nothing,
        ),
        Call::new(
            "grpc_cancel(unknown, odd)",
            "(call $proxy_grpc_cancel (i32.const 9999))",
            Gives::Nothing,
        ),
        Call::new(
            "grpc_close(unknown)",
            "(call $proxy_grpc_close (i32.const 9998))",
            Gives::Nothing,
        ),
        Call::new(
            "grpc_close(unknown, odd)",
            "(call $proxy_grpc_close (i32.const 9999))",
            Gives::Nothing,
        ),
    ]
}

pub(crate) fn foreign_call(name: &str, argument: &str) -> Call {
    let given = if argument.is_empty() {
        "(i32.const 0) (i32.const 0)".to_owned()
    } else {
        format!("'{argument}'")
    };
    Call::new(
        format!("call_foreign_function({name})"),
        format!("(call $proxy_call_foreign_function '{name}' {given} (i32.const 0) (i32.const 4))"),
        Gives::Bytes,
    )
}

fn foreign() -> Vec<Call> {
    vec![foreign_call("no_such_function", ""), foreign_call("clear_route_cache", "")]
}

/// Globals of the calls.
pub(crate) const GLOBALS: &str =
    "(global $metric (mut i32) (i32.const 0)) (global $queue (mut i32) (i32.const 0))";

/// All functions of WASI that Envoy links, except `proc_exit`, which ends the VM.
pub(crate) fn wasi() -> Vec<Call> {
    let mut calls = Vec::new();
    for (module, name, parameters) in crate::common::IMPORTS {
        if *module != "wasi_snapshot_preview1" || *name == "proc_exit" {
            continue;
        }
        for fd in [1, 5] {
            let takes_fd = name.starts_with("fd_");
            if !takes_fd && fd == 5 {
                continue;
            }
            // Pointers are to zeros, at 64 and beyond; lengths and numbers are 0.
            let arguments: String = parameters
                .split_whitespace()
                .enumerate()
                .map(|(index, kind)| match (kind, index) {
                    ("i64", _) => "(i64.const 0)".to_owned(),
                    (_, 0) if takes_fd => format!("(i32.const {fd})"),
                    (_, 0) if *name == "clock_time_get" => "(i32.const 0)".to_owned(),
                    _ => format!("(i32.const {})", 64 + 8 * index),
                })
                .collect();
            let arguments = match *name {
                "random_get" => "(i32.const 64) (i32.const 8)".to_owned(),
                "fd_write" | "fd_read" => {
                    format!("(i32.const {fd}) (i32.const 64) (i32.const 0) (i32.const 72)")
                }
                "fd_pwrite" | "fd_pread" => format!(
                    "(i32.const {fd}) (i32.const 64) (i32.const 0) (i64.const 0) (i32.const 72)"
                ),
                _ => arguments,
            };
            let label = if takes_fd { format!("{name}({fd})") } else { (*name).to_owned() };
            calls.push(Call::new(label, format!("(call ${name} {arguments})"), Gives::Nothing));
        }
    }
    for (label, code) in [
        (
            "clock_time_get(monotonic)",
            "(call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 64))",
        ),
        (
            "clock_time_get(process)",
            "(call $clock_time_get (i32.const 2) (i64.const 0) (i32.const 64))",
        ),
        ("clock_res_get(realtime)", "(call $clock_res_get (i32.const 0) (i32.const 64))"),
        ("random_get(70000)", "(call $random_get (i32.const 0) (i32.const 70000))"),
        ("fd_fdstat_get(0)", "(call $fd_fdstat_get (i32.const 0) (i32.const 64))"),
        ("fd_read(0)", "(call $fd_read (i32.const 0) (i32.const 64) (i32.const 0) (i32.const 72))"),
        (
            "fd_write(0)",
            "(call $fd_write (i32.const 0) (i32.const 64) (i32.const 0) (i32.const 72))",
        ),
        ("fd_prestat_get(3)", "(call $fd_prestat_get (i32.const 3) (i32.const 64))"),
        ("fd_close(3)", "(call $fd_close (i32.const 3))"),
    ] {
        calls.push(Call::new(label, code, Gives::Nothing));
    }
    calls
}
