//! The host calls of a module: the functions of the ABI in module `env`.
//!
//! The table below lists all of them. Which of them a module may import depends on the version of
//! its ABI: see [`crate::imports`].

use wasmtime::{Caller, Linker};

use crate::state::State;
use call::Call;

mod buffers;
pub(crate) mod call;
mod callouts;
pub(crate) mod control;
mod headers;
mod metrics;
mod properties;
mod shared;

/// Defines functions of one module by name, parameters and the function that does the work.
macro_rules! define {
    ($linker:ident, $module:expr, {
        $($name:ident($($argument:ident: $type:ty),*) => $body:path;)*
    }) => {$(
        $linker.func_wrap(
            $module,
            stringify!($name),
            |caller: Caller<'_, State>, $($argument: $type),*| {
                Call::run(caller, stringify!($name), |call| $body(call, $($argument),*))
            },
        )?;
    )*};
}
pub(crate) use define;

/// Defines functions of one module that only return a status.
macro_rules! define_answers {
    ($linker:ident, $module:expr, { $($name:ident($($type:ty),*) => $answer:expr;)* }) => {$(
        $linker.func_wrap(
            $module,
            stringify!($name),
            |caller: Caller<'_, State>, $(_: $type),*| {
                Call::run(caller, stringify!($name), |_| Err(Fault::Answer($answer)))
            },
        )?;
    )*};
}
pub(crate) use define_answers;

pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    define!(linker, "env", {
        proxy_log(level: u32, data: u32, size: u32) => control::log;
        proxy_get_log_level(to: u32) => control::log_level;
        proxy_get_current_time_nanoseconds(to: u32) => control::current_time;
        proxy_set_tick_period_milliseconds(period: u32) => control::set_tick_period;
        proxy_set_effective_context(context: u32) => control::set_effective_context;
        proxy_done() => control::done;
        proxy_call_foreign_function(
            name: u32, name_size: u32, arguments: u32, arguments_size: u32,
            to_data: u32, to_size: u32
        ) => control::call_foreign_function;
        proxy_get_status(to_code: u32, to_data: u32, to_size: u32) => control::get_status;
        proxy_continue_stream(stream: u32) => control::continue_stream;
        proxy_close_stream(stream: u32) => control::close_stream;
        proxy_send_local_response(
            status: u32, details: u32, details_size: u32, body: u32, body_size: u32,
            headers: u32, headers_size: u32, grpc_status: i32
        ) => control::send_local_response;

        proxy_get_property(path: u32, path_size: u32, to_data: u32, to_size: u32)
            => properties::get;
        proxy_set_property(path: u32, path_size: u32, value: u32, value_size: u32)
            => properties::set;

        proxy_get_header_map_size(map: u32, to: u32) => headers::size;
        proxy_get_header_map_pairs(map: u32, to_data: u32, to_size: u32) => headers::get_pairs;
        proxy_set_header_map_pairs(map: u32, data: u32, size: u32) => headers::set_pairs;
        proxy_get_header_map_value(
            map: u32, name: u32, name_size: u32, to_data: u32, to_size: u32
        ) => headers::get;
        proxy_add_header_map_value(
            map: u32, name: u32, name_size: u32, value: u32, value_size: u32
        ) => headers::add;
        proxy_replace_header_map_value(
            map: u32, name: u32, name_size: u32, value: u32, value_size: u32
        ) => headers::replace;
        proxy_remove_header_map_value(map: u32, name: u32, name_size: u32) => headers::remove;

        proxy_get_buffer_bytes(
            buffer: u32, start: u32, length: u32, to_data: u32, to_size: u32
        ) => buffers::get;
        proxy_get_buffer_status(buffer: u32, to_length: u32, to_flags: u32) => buffers::status;
        proxy_set_buffer_bytes(
            buffer: u32, start: u32, length: u32, data: u32, size: u32
        ) => buffers::set;

        proxy_define_metric(metric_type: u32, name: u32, name_size: u32, to: u32)
            => metrics::define;
        proxy_increment_metric(metric: u32, offset: i64) => metrics::increment;
        proxy_record_metric(metric: u32, value: u64) => metrics::record;
        proxy_get_metric(metric: u32, to: u32) => metrics::get;

        proxy_get_shared_data(key: u32, key_size: u32, to_data: u32, to_size: u32, to_cas: u32)
            => shared::get_data;
        proxy_set_shared_data(key: u32, key_size: u32, value: u32, value_size: u32, cas: u32)
            => shared::set_data;
        proxy_register_shared_queue(name: u32, name_size: u32, to: u32) => shared::register_queue;
        proxy_resolve_shared_queue(
            vm_id: u32, vm_id_size: u32, name: u32, name_size: u32, to: u32
        ) => shared::resolve_queue;
        proxy_enqueue_shared_queue(queue: u32, data: u32, size: u32) => shared::enqueue;
        proxy_dequeue_shared_queue(queue: u32, to_data: u32, to_size: u32) => shared::dequeue;
    });
    define!(linker, "env", {
        proxy_http_call(
            cluster: u32, cluster_size: u32, headers: u32, headers_size: u32, body: u32,
            body_size: u32, trailers: u32, trailers_size: u32, timeout: u32, to_token: u32
        ) => callouts::http_call;
        proxy_grpc_call(
            upstream: u32, upstream_size: u32, service: u32, service_size: u32, method: u32,
            method_size: u32, metadata: u32, metadata_size: u32, message: u32, message_size: u32,
            timeout: u32, to_token: u32
        ) => callouts::grpc_call;
        proxy_grpc_stream(
            upstream: u32, upstream_size: u32, service: u32, service_size: u32, method: u32,
            method_size: u32, metadata: u32, metadata_size: u32, to_token: u32
        ) => callouts::grpc_stream;
        proxy_grpc_send(token: u32, message: u32, message_size: u32, ends: u32)
            => callouts::grpc_send;
        proxy_grpc_cancel(token: u32) => callouts::grpc_cancel;
        proxy_grpc_close(token: u32) => callouts::grpc_close;
    });
    // Only modules of ABI 0.1.0 may import these.
    define!(linker, "env", {
        proxy_get_configuration(to_data: u32, to_size: u32) => buffers::get_configuration;
        proxy_continue_request() => control::continue_request;
        proxy_continue_response() => control::continue_response;
        proxy_clear_route_cache() => control::clear_route_cache;
    });
    // Not part of the ABI. Modules built with Emscripten import them.
    linker.func_wrap("env", "emscripten_notify_memory_growth", |_memory: u32| {})?;
    linker.func_wrap("env", "pthread_equal", |left: u32, right: u32| u32::from(left == right))?;
    Ok(())
}
