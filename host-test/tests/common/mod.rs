//! Modules for tests, written in a few lines of WebAssembly text.
#![allow(dead_code, reason = "no test file uses all of it")]

use proxy_wasm_test::{Module, Plugin};

/// The functions that a test module can import, with the types of their parameters. All except
/// `proc_exit` return an `i32`.
pub(crate) const IMPORTS: &[(&str, &str, &str)] = &[
    ("env", "proxy_log", "i32 i32 i32"),
    ("env", "proxy_get_log_level", "i32"),
    ("env", "proxy_get_current_time_nanoseconds", "i32"),
    ("env", "proxy_set_tick_period_milliseconds", "i32"),
    ("env", "proxy_set_effective_context", "i32"),
    ("env", "proxy_done", ""),
    ("env", "proxy_call_foreign_function", "i32 i32 i32 i32 i32 i32"),
    ("env", "proxy_get_status", "i32 i32 i32"),
    ("env", "proxy_continue_stream", "i32"),
    ("env", "proxy_close_stream", "i32"),
    ("env", "proxy_send_local_response", "i32 i32 i32 i32 i32 i32 i32 i32"),
    ("env", "proxy_get_property", "i32 i32 i32 i32"),
    ("env", "proxy_set_property", "i32 i32 i32 i32"),
    ("env", "proxy_get_header_map_size", "i32 i32"),
    ("env", "proxy_get_header_map_pairs", "i32 i32 i32"),
    ("env", "proxy_set_header_map_pairs", "i32 i32 i32"),
    ("env", "proxy_get_header_map_value", "i32 i32 i32 i32 i32"),
    ("env", "proxy_add_header_map_value", "i32 i32 i32 i32 i32"),
    ("env", "proxy_replace_header_map_value", "i32 i32 i32 i32 i32"),
    ("env", "proxy_remove_header_map_value", "i32 i32 i32"),
    ("env", "proxy_get_buffer_bytes", "i32 i32 i32 i32 i32"),
    ("env", "proxy_get_buffer_status", "i32 i32 i32"),
    ("env", "proxy_set_buffer_bytes", "i32 i32 i32 i32 i32"),
    ("env", "proxy_define_metric", "i32 i32 i32 i32"),
    ("env", "proxy_increment_metric", "i32 i64"),
    ("env", "proxy_record_metric", "i32 i64"),
    ("env", "proxy_get_metric", "i32 i32"),
    ("env", "proxy_get_shared_data", "i32 i32 i32 i32 i32"),
    ("env", "proxy_set_shared_data", "i32 i32 i32 i32 i32"),
    ("env", "proxy_register_shared_queue", "i32 i32 i32"),
    ("env", "proxy_resolve_shared_queue", "i32 i32 i32 i32 i32"),
    ("env", "proxy_enqueue_shared_queue", "i32 i32 i32"),
    ("env", "proxy_dequeue_shared_queue", "i32 i32 i32"),
    ("env", "proxy_http_call", "i32 i32 i32 i32 i32 i32 i32 i32 i32 i32"),
    ("env", "proxy_grpc_call", "i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32"),
    ("env", "proxy_grpc_stream", "i32 i32 i32 i32 i32 i32 i32 i32 i32"),
    ("env", "proxy_grpc_send", "i32 i32 i32 i32"),
    ("env", "proxy_grpc_cancel", "i32"),
    ("env", "proxy_grpc_close", "i32"),
    ("env", "proxy_get_configuration", "i32 i32"),
    ("env", "proxy_continue_request", ""),
    ("env", "proxy_continue_response", ""),
    ("env", "proxy_clear_route_cache", ""),
    ("wasi_snapshot_preview1", "args_get", "i32 i32"),
    ("wasi_snapshot_preview1", "args_sizes_get", "i32 i32"),
    ("wasi_snapshot_preview1", "clock_res_get", "i32 i32"),
    ("wasi_snapshot_preview1", "clock_time_get", "i32 i64 i32"),
    ("wasi_snapshot_preview1", "environ_get", "i32 i32"),
    ("wasi_snapshot_preview1", "environ_sizes_get", "i32 i32"),
    ("wasi_snapshot_preview1", "fd_advise", "i32 i64 i64 i32"),
    ("wasi_snapshot_preview1", "fd_allocate", "i32 i64 i64"),
    ("wasi_snapshot_preview1", "fd_close", "i32"),
    ("wasi_snapshot_preview1", "fd_datasync", "i32"),
    ("wasi_snapshot_preview1", "fd_fdstat_get", "i32 i32"),
    ("wasi_snapshot_preview1", "fd_fdstat_set_flags", "i32 i32"),
    ("wasi_snapshot_preview1", "fd_fdstat_set_rights", "i32 i64 i64"),
    ("wasi_snapshot_preview1", "fd_filestat_get", "i32 i32"),
    ("wasi_snapshot_preview1", "fd_filestat_set_size", "i32 i64"),
    ("wasi_snapshot_preview1", "fd_filestat_set_times", "i32 i64 i64 i32"),
    ("wasi_snapshot_preview1", "fd_pread", "i32 i32 i32 i64 i32"),
    ("wasi_snapshot_preview1", "fd_prestat_dir_name", "i32 i32 i32"),
    ("wasi_snapshot_preview1", "fd_prestat_get", "i32 i32"),
    ("wasi_snapshot_preview1", "fd_pwrite", "i32 i32 i32 i64 i32"),
    ("wasi_snapshot_preview1", "fd_read", "i32 i32 i32 i32"),
    ("wasi_snapshot_preview1", "fd_readdir", "i32 i32 i32 i64 i32"),
    ("wasi_snapshot_preview1", "fd_renumber", "i32 i32"),
    ("wasi_snapshot_preview1", "fd_seek", "i32 i64 i32 i32"),
    ("wasi_snapshot_preview1", "fd_sync", "i32"),
    ("wasi_snapshot_preview1", "fd_tell", "i32 i32"),
    ("wasi_snapshot_preview1", "fd_write", "i32 i32 i32 i32"),
    ("wasi_snapshot_preview1", "path_create_directory", "i32 i32 i32"),
    ("wasi_snapshot_preview1", "path_filestat_get", "i32 i32 i32 i32 i32"),
    ("wasi_snapshot_preview1", "path_filestat_set_times", "i32 i32 i32 i32 i64 i64 i32"),
    ("wasi_snapshot_preview1", "path_link", "i32 i32 i32 i32 i32 i32"),
    ("wasi_snapshot_preview1", "path_open", "i32 i32 i32 i32 i32 i64 i64 i32 i32"),
    ("wasi_snapshot_preview1", "path_readlink", "i32 i32 i32 i32 i32 i32"),
    ("wasi_snapshot_preview1", "path_remove_directory", "i32 i32 i32"),
    ("wasi_snapshot_preview1", "path_rename", "i32 i32 i32 i32 i32 i32"),
    ("wasi_snapshot_preview1", "path_symlink", "i32 i32 i32 i32"),
    ("wasi_snapshot_preview1", "path_unlink_file", "i32 i32 i32"),
    ("wasi_snapshot_preview1", "poll_oneoff", "i32 i32 i32 i32"),
    ("wasi_snapshot_preview1", "proc_exit", "i32"),
    ("wasi_snapshot_preview1", "random_get", "i32 i32"),
    ("wasi_snapshot_preview1", "sched_yield", ""),
    ("wasi_snapshot_preview1", "sock_accept", "i32 i32 i32"),
    ("wasi_snapshot_preview1", "sock_recv", "i32 i32 i32 i32 i32 i32"),
    ("wasi_snapshot_preview1", "sock_send", "i32 i32 i32 i32 i32"),
    ("wasi_snapshot_preview1", "sock_shutdown", "i32 i32"),
];

/// The import that makes `$name` callable.
fn import(module: &str, name: &str, parameters: &str) -> String {
    let result = if name == "proc_exit" { "" } else { "(result i32)" };
    format!("(import \"{module}\" \"{name}\" (func ${name} (param {parameters}) {result}))\n")
}

/// The text of a module with the exports that every Proxy-Wasm module has, and with `body`.
///
/// * A host function that is used as `$name` is imported.
/// * `'text'` means the two arguments "pointer and length" of that text; `\ff` is a byte.
/// * Host functions may write to addresses 0 to 63; `$log_given` logs the bytes that a function
///   has returned with pointer at 0 and length at 4.
/// * The allocator begins at 32 KiB, in a memory of 128 KiB.
pub(crate) fn text(body: &str) -> String {
    let body = format!(
        r#"(func (export "proxy_abi_version_0_2_1"))
           (global $free (mut i32) (i32.const 32768))
           (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
               (global.get $free)
               (global.set $free (i32.add (global.get $free) (local.get $size))))
           (func $log_given
               (drop (call $proxy_log (i32.const 2)
                   (i32.load (i32.const 0)) (i32.load (i32.const 4)))))
           {body}"#
    );
    let mut address = 1024;
    let (mut code, mut data) = (String::new(), String::new());
    for (index, part) in body.split('\'').enumerate() {
        if index % 2 == 0 {
            code += part;
        } else {
            // An escape has three characters and means one byte.
            let length = part.len() - 2 * part.matches('\\').count();
            code +=
                &["(i32.const ", &address.to_string(), ") (i32.const ", &length.to_string(), ")"]
                    .concat();
            data += &["(data (i32.const ", &address.to_string(), ") \"", part, "\")\n"].concat();
            address += length;
        }
    }
    let imports: String = IMPORTS
        .iter()
        .filter(|(_, name, _)| {
            code.match_indices(&format!("${name}")).any(|(start, found)| {
                !code[start + found.len()..]
                    .starts_with(|next: char| next == '_' || next.is_alphanumeric())
            })
        })
        .map(|(module, name, parameters)| import(module, name, parameters))
        .collect();
    format!("(module {imports} (memory (export \"memory\") 2)\n{data}{code})")
}

/// Compiles WebAssembly text unchanged.
pub(crate) fn compile(text: &str) -> Module {
    Module::new(wat::parse_str(text).expect("valid text")).expect("a valid module")
}

/// Compiles a module of [`text`].
pub(crate) fn module(body: &str) -> Module {
    compile(&text(body))
}

/// Starts a plugin of [`text`].
pub(crate) fn plugin(body: &str) -> Plugin {
    Plugin::new(&module(body)).expect("a module that starts")
}

/// A callback that runs this code. The code can read `$context`, `$size` and `$end`, and set
/// `$result`, which is returned and is 0 by default.
pub(crate) fn callback(name: &str, code: &str) -> String {
    let parameters = match name {
        "tick" | "done" | "log" | "delete" | "new_connection" => "(param $context i32)",
        "http_call_response" => {
            "(param $context i32) (param $token i32) (param $headers i32) (param $size i32)
             (param $trailers i32)"
        }
        "queue_ready" | "downstream_connection_close" | "upstream_connection_close" => {
            "(param $context i32) (param $token i32)"
        }
        "foreign_function"
        | "grpc_receive"
        | "grpc_close"
        | "grpc_receive_initial_metadata"
        | "grpc_receive_trailing_metadata" => {
            "(param $context i32) (param $token i32) (param $size i32)"
        }
        "context_create" | "vm_start" | "configure" | "request_trailers" | "response_trailers" => {
            "(param $context i32) (param $size i32)"
        }
        _ => "(param $context i32) (param $size i32) (param $end i32)",
    };
    let (result, code) = match name {
        "tick"
        | "log"
        | "delete"
        | "context_create"
        | "http_call_response"
        | "queue_ready"
        | "downstream_connection_close"
        | "upstream_connection_close"
        | "foreign_function"
        | "grpc_receive"
        | "grpc_close"
        | "grpc_receive_initial_metadata"
        | "grpc_receive_trailing_metadata" => ("", code.to_owned()),
        _ => ("(result i32) (local $result i32)", format!("{code} (local.get $result)")),
    };
    format!("(func (export \"proxy_on_{name}\") {parameters} {result} {code})\n")
}

/// A plugin whose `proxy_on_request_headers` runs this code.
pub(crate) fn on_request_headers(code: &str) -> Plugin {
    plugin(&callback("request_headers", code))
}
