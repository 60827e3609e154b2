//! The functions that Envoy provides to modules.

use crate::abi::AbiVersion;

/// Functions in module `env` for every version of the ABI.
const COMMON: &[&str] = &[
    "emscripten_notify_memory_growth",
    "proxy_add_header_map_value",
    "proxy_call_foreign_function",
    "proxy_define_metric",
    "proxy_dequeue_shared_queue",
    "proxy_done",
    "proxy_enqueue_shared_queue",
    "proxy_get_buffer_bytes",
    "proxy_get_buffer_status",
    "proxy_get_current_time_nanoseconds",
    "proxy_get_header_map_pairs",
    "proxy_get_header_map_size",
    "proxy_get_header_map_value",
    "proxy_get_metric",
    "proxy_get_property",
    "proxy_get_shared_data",
    "proxy_get_status",
    "proxy_grpc_call",
    "proxy_grpc_cancel",
    "proxy_grpc_close",
    "proxy_grpc_send",
    "proxy_grpc_stream",
    "proxy_http_call",
    "proxy_increment_metric",
    "proxy_log",
    "proxy_record_metric",
    "proxy_register_shared_queue",
    "proxy_remove_header_map_value",
    "proxy_replace_header_map_value",
    "proxy_resolve_shared_queue",
    "proxy_send_local_response",
    "proxy_set_buffer_bytes",
    "proxy_set_effective_context",
    "proxy_set_header_map_pairs",
    "proxy_set_property",
    "proxy_set_shared_data",
    "proxy_set_tick_period_milliseconds",
    "pthread_equal",
];

/// Functions in module `env` that only some versions have.
const ONLY_0_1: &[&str] = &[
    "proxy_clear_route_cache",
    "proxy_continue_request",
    "proxy_continue_response",
    "proxy_get_configuration",
];
const FROM_0_2_0: &[&str] = &["proxy_close_stream", "proxy_continue_stream"];
const FROM_0_2_1: &[&str] = &["proxy_get_log_level"];

/// Functions of WASI that a module may also call while it is initialized.
const WASI_EARLY: &[&str] = &[
    "args_get",
    "args_sizes_get",
    "clock_res_get",
    "clock_time_get",
    "environ_get",
    "environ_sizes_get",
    "fd_advise",
    "fd_allocate",
    "fd_datasync",
    "fd_fdstat_get",
    "fd_fdstat_set_flags",
    "fd_fdstat_set_rights",
    "fd_filestat_get",
    "fd_filestat_set_size",
    "fd_filestat_set_times",
    "fd_pread",
    "fd_prestat_dir_name",
    "fd_prestat_get",
    "fd_pwrite",
    "fd_readdir",
    "fd_renumber",
    "fd_sync",
    "fd_tell",
    "fd_write",
    "path_create_directory",
    "path_filestat_get",
    "path_filestat_set_times",
    "path_link",
    "path_readlink",
    "path_remove_directory",
    "path_rename",
    "path_symlink",
    "path_unlink_file",
    "poll_oneoff",
    "random_get",
    "sock_accept",
    "sock_recv",
    "sock_send",
    "sock_shutdown",
];

/// The other functions of WASI.
const WASI_LATE: &[&str] =
    &["fd_close", "fd_read", "fd_seek", "path_open", "proc_exit", "sched_yield"];

/// Whether Envoy provides this function to a module of this version.
///
/// ```
/// use proxy_wasm_test::{AbiVersion, is_provided};
///
/// assert!(is_provided(AbiVersion::V0_2_1, "env", "proxy_get_log_level"));
/// assert!(!is_provided(AbiVersion::V0_2_0, "env", "proxy_get_log_level"));
/// assert!(is_provided(AbiVersion::V0_2_0, "wasi_snapshot_preview1", "path_open"));
/// ```
pub fn is_provided(version: AbiVersion, module: &str, name: &str) -> bool {
    let has = |names: &[&str]| names.contains(&name);
    match module {
        "env" => {
            has(COMMON)
                || match version {
                    AbiVersion::V0_1_0 => has(ONLY_0_1),
                    AbiVersion::V0_2_0 => has(FROM_0_2_0),
                    AbiVersion::V0_2_1 => has(FROM_0_2_0) || has(FROM_0_2_1),
                }
        }
        "wasi_snapshot_preview1" | "wasi_unstable" => has(WASI_EARLY) || has(WASI_LATE),
        _ => false,
    }
}

/// Whether a module may call this function while it is initialized.
pub(crate) fn is_allowed_early(name: &str) -> bool {
    name == "proxy_log" || WASI_EARLY.contains(&name)
}
