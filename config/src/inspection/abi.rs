//! The types of the functions that Envoy 1.40 links into a module, and of the exports that it
//! calls. Which functions there are in which version is the host's knowledge.

use std::fmt;

use proxy_wasm_test::{AbiVersion, is_provided};

/// All versions of the ABI that Envoy runs.
pub(super) const VERSIONS: [AbiVersion; 3] =
    [AbiVersion::V0_1_0, AbiVersion::V0_2_0, AbiVersion::V0_2_1];

/// The function whose export declares this version.
pub(super) fn declaration(version: AbiVersion) -> String {
    format!("proxy_abi_version_{}", version.to_string().replace('.', "_"))
}

/// A function type: `i` is an i32, `I` an i64, in parameters and results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signature {
    pub(super) parameters: String,
    pub(super) results: String,
}

impl Signature {
    fn new(parameters: &str, results: &str) -> Self {
        Self { parameters: parameters.to_owned(), results: results.to_owned() }
    }
}

/// As in WebAssembly's text format: `(i32, i64) -> i32`.
impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |types: &str| {
            let names = types.chars().map(|letter| match letter {
                'i' => "i32",
                'I' => "i64",
                'f' => "f32",
                'F' => "f64",
                _ => "other",
            });
            names.collect::<Vec<_>>().join(", ")
        };
        write!(f, "({})", names(&self.parameters))?;
        if !self.results.is_empty() {
            write!(f, " -> {}", names(&self.results))?;
        }
        Ok(())
    }
}

/// The type with which Envoy links this import, if it does.
pub(super) fn linked(version: AbiVersion, module: &str, name: &str) -> Option<Signature> {
    if !is_provided(version, module, name) {
        return None;
    }
    let returns = !matches!(name, "emscripten_notify_memory_growth" | "proc_exit");
    let functions = if module == "env" { HOST_CALLS } else { WASI };
    let (_, parameters) = functions.iter().find(|(known, _)| *known == name)?;
    Some(Signature::new(parameters, if returns { "i" } else { "" }))
}

/// The functions in module `env`, with their parameters.
const HOST_CALLS: &[(&str, &str)] = &[
    ("emscripten_notify_memory_growth", "i"),
    ("proxy_add_header_map_value", "iiiii"),
    ("proxy_call_foreign_function", "iiiiii"),
    ("proxy_clear_route_cache", ""),
    ("proxy_close_stream", "i"),
    ("proxy_continue_request", ""),
    ("proxy_continue_response", ""),
    ("proxy_continue_stream", "i"),
    ("proxy_define_metric", "iiii"),
    ("proxy_dequeue_shared_queue", "iii"),
    ("proxy_done", ""),
    ("proxy_enqueue_shared_queue", "iii"),
    ("proxy_get_buffer_bytes", "iiiii"),
    ("proxy_get_buffer_status", "iii"),
    ("proxy_get_configuration", "ii"),
    ("proxy_get_current_time_nanoseconds", "i"),
    ("proxy_get_header_map_pairs", "iii"),
    ("proxy_get_header_map_size", "ii"),
    ("proxy_get_header_map_value", "iiiii"),
    ("proxy_get_log_level", "i"),
    ("proxy_get_metric", "ii"),
    ("proxy_get_property", "iiii"),
    ("proxy_get_shared_data", "iiiii"),
    ("proxy_get_status", "iii"),
    ("proxy_grpc_call", "iiiiiiiiiiii"),
    ("proxy_grpc_cancel", "i"),
    ("proxy_grpc_close", "i"),
    ("proxy_grpc_send", "iiii"),
    ("proxy_grpc_stream", "iiiiiiiii"),
    ("proxy_http_call", "iiiiiiiiii"),
    ("proxy_increment_metric", "iI"),
    ("proxy_log", "iii"),
    ("proxy_record_metric", "iI"),
    ("proxy_register_shared_queue", "iii"),
    ("proxy_remove_header_map_value", "iii"),
    ("proxy_replace_header_map_value", "iiiii"),
    ("proxy_resolve_shared_queue", "iiiii"),
    ("proxy_send_local_response", "iiiiiiii"),
    ("proxy_set_buffer_bytes", "iiiii"),
    ("proxy_set_effective_context", "i"),
    ("proxy_set_header_map_pairs", "iii"),
    ("proxy_set_property", "iiii"),
    ("proxy_set_shared_data", "iiiii"),
    ("proxy_set_tick_period_milliseconds", "i"),
    ("pthread_equal", "ii"),
];

/// The functions of WASI, with their parameters.
const WASI: &[(&str, &str)] = &[
    ("args_get", "ii"),
    ("args_sizes_get", "ii"),
    ("clock_res_get", "ii"),
    ("clock_time_get", "iIi"),
    ("environ_get", "ii"),
    ("environ_sizes_get", "ii"),
    ("fd_advise", "iIIi"),
    ("fd_allocate", "iII"),
    ("fd_close", "i"),
    ("fd_datasync", "i"),
    ("fd_fdstat_get", "ii"),
    ("fd_fdstat_set_flags", "ii"),
    ("fd_fdstat_set_rights", "iII"),
    ("fd_filestat_get", "ii"),
    ("fd_filestat_set_size", "iI"),
    ("fd_filestat_set_times", "iIIi"),
    ("fd_pread", "iiiIi"),
    ("fd_prestat_dir_name", "iii"),
    ("fd_prestat_get", "ii"),
    ("fd_pwrite", "iiiIi"),
    ("fd_read", "iiii"),
    ("fd_readdir", "iiiIi"),
    ("fd_renumber", "ii"),
    ("fd_seek", "iIii"),
    ("fd_sync", "i"),
    ("fd_tell", "ii"),
    ("fd_write", "iiii"),
    ("path_create_directory", "iii"),
    ("path_filestat_get", "iiiii"),
    ("path_filestat_set_times", "iiiiIIi"),
    ("path_link", "iiiiii"),
    ("path_open", "iiiiiIIii"),
    ("path_readlink", "iiiiii"),
    ("path_remove_directory", "iii"),
    ("path_rename", "iiiiii"),
    ("path_symlink", "iiii"),
    ("path_unlink_file", "iii"),
    ("poll_oneoff", "iiii"),
    ("proc_exit", "i"),
    ("random_get", "ii"),
    ("sched_yield", ""),
    ("sock_accept", "iii"),
    ("sock_recv", "iiiiii"),
    ("sock_send", "iiiii"),
    ("sock_shutdown", "ii"),
];

/// The allocators, of which Envoy needs one.
pub(super) const ALLOCATORS: [&str; 2] = ["malloc", "proxy_on_memory_allocate"];

/// The type with which Envoy calls this export, if it does.
pub(super) fn called(version: AbiVersion, name: &str) -> Option<Signature> {
    let headers = if version == AbiVersion::V0_1_0 { "ii" } else { "iii" };
    match name {
        "proxy_on_request_headers" | "proxy_on_response_headers" => {
            return Some(Signature::new(headers, "i"));
        }
        "proxy_on_foreign_function" if version == AbiVersion::V0_1_0 => return None,
        _ => {}
    }
    let (_, parameters, results) = CALLED.iter().find(|(known, ..)| *known == name)?;
    Some(Signature::new(parameters, results))
}

const CALLED: &[(&str, &str, &str)] = &[
    ("__main_void", "", "i"),
    ("_initialize", "", ""),
    ("_start", "", ""),
    ("main", "ii", "i"),
    ("malloc", "i", "i"),
    ("proxy_on_configure", "ii", "i"),
    ("proxy_on_context_create", "ii", ""),
    ("proxy_on_delete", "i", ""),
    ("proxy_on_done", "i", "i"),
    ("proxy_on_downstream_connection_close", "ii", ""),
    ("proxy_on_downstream_data", "iii", "i"),
    ("proxy_on_foreign_function", "iii", ""),
    ("proxy_on_grpc_close", "iii", ""),
    ("proxy_on_grpc_receive", "iii", ""),
    ("proxy_on_grpc_receive_initial_metadata", "iii", ""),
    ("proxy_on_grpc_receive_trailing_metadata", "iii", ""),
    ("proxy_on_http_call_response", "iiiii", ""),
    ("proxy_on_log", "i", ""),
    ("proxy_on_memory_allocate", "i", "i"),
    ("proxy_on_new_connection", "i", "i"),
    ("proxy_on_queue_ready", "ii", ""),
    ("proxy_on_request_body", "iii", "i"),
    ("proxy_on_request_metadata", "ii", "i"),
    ("proxy_on_request_trailers", "ii", "i"),
    ("proxy_on_response_body", "iii", "i"),
    ("proxy_on_response_metadata", "ii", "i"),
    ("proxy_on_response_trailers", "ii", "i"),
    ("proxy_on_tick", "i", ""),
    ("proxy_on_upstream_connection_close", "ii", ""),
    ("proxy_on_upstream_data", "iii", "i"),
    ("proxy_on_vm_start", "ii", "i"),
    ("proxy_validate_configuration", "ii", "i"),
];

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proxy_wasm_test::Module;

    use super::*;

    /// A module that imports all functions of this version, with their types here.
    fn importing_all(version: AbiVersion) -> String {
        let mut text = "(module".to_owned();
        let modules =
            [("env", HOST_CALLS), ("wasi_snapshot_preview1", WASI), ("wasi_unstable", WASI)];
        for (module, functions) in modules {
            for (name, _) in functions {
                let Some(Signature { parameters, results }) = linked(version, module, name) else {
                    continue;
                };
                let types = |letters: &str| letters.replace('i', " i32").replace('I', " i64");
                let (parameters, results) = (types(&parameters), types(&results));
                let _ = write!(
                    text,
                    "(import \"{module}\" \"{name}\" (func (param{parameters}) (result{results})))"
                );
            }
        }
        text + &format!(
            "(memory (export \"memory\") 1) (func (export \"{}\")) \
             (func (export \"malloc\") (param i32) (result i32) i32.const 0))",
            declaration(version)
        )
    }

    #[test]
    fn the_host_links_every_function_with_this_type() {
        for version in VERSIONS {
            let wasm = wat::parse_str(importing_all(version)).expect("a module");
            let module = Module::new(wasm).unwrap_or_else(|error| panic!("{version}: {error}"));
            let number = module.imports().len();
            assert!(number > WASI.len() * 2 + 38, "{version}: only {number} functions");
        }
    }

    #[test]
    fn each_function_is_in_a_version() {
        for (module, functions) in [("env", HOST_CALLS), ("wasi_unstable", WASI)] {
            for (name, _) in functions {
                let is_linked = |version| linked(version, module, name).is_some();
                assert!(VERSIONS.into_iter().any(is_linked), "{module}.{name}");
            }
        }
    }
}
