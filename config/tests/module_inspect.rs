//! `ingressctl module inspect`: modules in, their description and the exit code out.

mod sandbox;

use ingressctl::MODULE;
use sandbox::Sandbox;
use serde_json::{Value, json};

/// A sandbox with `m.wasm`, assembled from this text.
fn with_module(text: &str) -> Sandbox {
    let sandbox = Sandbox::new(&[]);
    std::fs::write(sandbox.path("m.wasm"), wat::parse_str(text).expect("a module")).unwrap();
    sandbox
}

/// The inspection in JSON, which must end with this exit code.
#[track_caller]
fn inspect(sandbox: &Sandbox, code: i32) -> Value {
    let output = sandbox.run(&["module", "inspect", "m.wasm", "-o", "json"]);
    assert_eq!(output.code, Some(code), "{}{}", output.stdout, output.stderr);
    serde_json::from_str(&output.stdout).expect("JSON")
}

const FAULTY: &str = r#"(module
    (import "env" "proxy_log" (func (param i32 i32) (result i32)))
    (import "env" "proxy_get_log_level" (func (param i32) (result i32)))
    (import "env" "proxy_increment_metric" (func (param i32 i64) (result i32)))
    (import "env" "abort" (func (param i32)))
    (import "wasi_snapshot_preview1" "path_open"
        (func (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_raise" (func (param i32) (result i32)))
    (import "env" "base" (global i32))
    (memory (export "memory") 2 10)
    (func (export "proxy_abi_version_0_2_0"))
    (func (export "proxy_on_log") (param i32))
    (func (export "proxy_on_request_headers") (param i32 i32) (result i32) i32.const 0)
    (func (export "own"))
    (data (i32.const 16) "text"))"#;

const FAULTY_TEXT: &str = "\
m.wasm: 346 bytes, ABI 0.2.0
memory: 2 pages (128 KiB) at the start, at most 10
imports (7)
  env.proxy_log (i32, i32) -> i32  in Envoy, its type is (i32, i32, i32) -> i32
  env.proxy_get_log_level (i32) -> i32  Envoy has no such function in ABI 0.2.0
  env.proxy_increment_metric (i32, i64) -> i32
  env.abort (i32)  Envoy has no such function in ABI 0.2.0
  wasi_snapshot_preview1.path_open (i32, i32, i32, i32, i32, i64, i64, i32, i32) -> i32
  wasi_snapshot_preview1.proc_raise (i32) -> i32  Envoy has no such function in ABI 0.2.0
  env.base global  Envoy links no globals
exports that Envoy uses (4)
  memory memory
  proxy_abi_version_0_2_0 ()
  proxy_on_log (i32)
  proxy_on_request_headers (i32, i32) -> i32  in Envoy, its type is (i32, i32, i32) -> i32
other exports (1)
  own
sections (bytes)
";

#[test]
fn each_obstacle_to_loading_is_named() {
    let sandbox = with_module(FAULTY);
    let output = sandbox.run(&["module", "inspect", "m.wasm"]);
    assert_eq!(output.code, Some(1), "{}", output.stderr);
    let (description, rest) = output.stdout.split_at(FAULTY_TEXT.len());
    assert_eq!(description, FAULTY_TEXT);
    let (_, problems) = rest.split_once("Envoy cannot load this module:\n").expect("problems");
    assert_eq!(
        problems.lines().map(str::trim).collect::<Vec<_>>(),
        [
            "import env.proxy_log: in Envoy, its type is (i32, i32, i32) -> i32",
            "import env.proxy_get_log_level: Envoy has no such function in ABI 0.2.0",
            "import env.abort: Envoy has no such function in ABI 0.2.0",
            "import wasi_snapshot_preview1.proc_raise: Envoy has no such function in ABI 0.2.0",
            "import env.base: Envoy links no globals",
            "export proxy_on_request_headers: in Envoy, its type is (i32, i32, i32) -> i32",
            "it exports no allocator (malloc or proxy_on_memory_allocate)",
        ]
    );
}

#[test]
fn the_version_of_the_abi_decides_what_is_linked() {
    let module = |version: &str, call: &str, headers: &str| {
        with_module(&format!(
            r#"(module
                (import "env" "{call}" (func (param i32) (result i32)))
                (memory (export "memory") 1)
                (func (export "{version}"))
                (func (export "malloc") (param i32) (result i32) i32.const 0)
                (func (export "proxy_on_request_headers") (param {headers}) (result i32)
                    i32.const 0))"#
        ))
    };
    for (version, call, headers, code) in [
        ("proxy_abi_version_0_2_1", "proxy_get_log_level", "i32 i32 i32", 0),
        ("proxy_abi_version_0_2_0", "proxy_get_log_level", "i32 i32 i32", 1),
        ("proxy_abi_version_0_2_0", "proxy_continue_stream", "i32 i32 i32", 0),
        ("proxy_abi_version_0_1_0", "proxy_continue_stream", "i32 i32", 1),
        ("proxy_abi_version_0_1_0", "proxy_set_tick_period_milliseconds", "i32 i32", 0),
        ("proxy_abi_version_0_1_0", "proxy_set_tick_period_milliseconds", "i32 i32 i32", 1),
        ("proxy_abi_version_0_3_0", "proxy_continue_stream", "i32 i32 i32", 1),
    ] {
        let inspection = inspect(&module(version, call, headers), code);
        let known = version.starts_with("proxy_abi_version_0_2") || version.ends_with("0_1_0");
        assert_eq!(inspection["abi_version"].is_string(), known, "{version}");
    }
}

#[test]
fn sizes_add_up_to_the_file() {
    let inspection = inspect(&with_module(FAULTY), 1);
    let sections = inspection["sections"].as_array().expect("sections");
    let sum: u64 = sections.iter().filter_map(|section| section["size"].as_u64()).sum();
    assert_eq!(inspection["size"], sum);
    assert_eq!(inspection["memory"], json!({"pages": 2, "maximum_pages": 10}));
    let import = json!({"module": "env", "name": "abort", "type": "(i32)", "linked": false,
                        "problem": "Envoy has no such function in ABI 0.2.0"});
    assert_eq!(inspection["imports"][3], import);
}

#[test]
fn the_modules_of_this_project_can_be_loaded() {
    let sandbox = Sandbox::new(&[]);
    std::fs::write(sandbox.path("m.wasm"), MODULE).unwrap();
    let inspection = inspect(&sandbox, 0);
    assert_eq!(inspection["abi_version"], "0.2.1");
    let is_rust = |producer: &Value| producer["role"] == "language" && producer["name"] == "Rust";
    assert!(inspection["producers"].as_array().expect("producers").iter().any(is_rust));
}

#[test]
fn what_is_not_a_module_is_an_error() {
    let sandbox = Sandbox::new(&[("m.wasm", "\0asm"), ("text", "a text")]);
    for (file, message) in [
        ("m.wasm", "m.wasm: is not a WebAssembly module: "),
        ("text", "text: is not a WebAssembly module: "),
        ("missing.wasm", "cannot read the module missing.wasm: "),
    ] {
        let output = sandbox.run(&["module", "inspect", file]);
        assert_eq!((output.code, &*output.stdout), (Some(1), ""));
        assert!(output.stderr.contains(message), "{}", output.stderr);
    }
}
