//! `ingressctl module inspect` says that Envoy can load a module exactly if Envoy loads it.

use std::fs;
use std::process::Command;

use ingress_tests::{ingressctl, loads_in_envoy};

/// What every module needs.
const MEMORY: &str = r#"(memory (export "memory") 1)"#;
const VERSION: &str = r#"(func (export "proxy_abi_version_0_2_1"))"#;
const MALLOC: &str = r#"(func (export "malloc") (param i32) (result i32) i32.const 0)"#;

/// A module of all needed parts and this one, before or after them.
fn with(import: &str, export: &str) -> String {
    format!("(module {import} {MEMORY} {VERSION} {MALLOC} {export})")
}

fn importing(module: &str, name: &str, function: &str) -> String {
    with(&format!(r#"(import "{module}" "{name}" (func {function}))"#), "")
}

fn exporting(name: &str, function: &str) -> String {
    with("", &format!(r#"(func (export "{name}") {function})"#))
}

/// Asserts the same verdict of both.
#[track_caller]
fn agree(text: &str, loads: bool) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("module.wasm");
    fs::write(&path, wat::parse_str(text).expect("a module")).expect("a file");
    let inspect = Command::new(ingressctl()).args(["module", "inspect"]).arg(&path).output();
    let inspect = inspect.expect("ingressctl runs");
    let (loaded, said) = loads_in_envoy(&path);
    assert_eq!(loaded, loads, "Envoy on {text}: {said}");
    let shown = String::from_utf8_lossy(&inspect.stdout);
    assert_eq!(inspect.status.code(), Some(i32::from(!loads)), "{text}: {shown}");
}

#[test]
fn needed_parts() {
    agree(&with("", ""), true);
    agree(&format!("(module {MEMORY} {VERSION})"), false);
    agree(&format!("(module {MEMORY} {MALLOC})"), false);
    // It could not call a function with a pointer, but it loads.
    agree(&format!("(module {VERSION} {MALLOC})"), true);
    let other = MALLOC.replace("malloc", "proxy_on_memory_allocate");
    agree(&format!("(module {MEMORY} {VERSION} {other})"), true);
    for version in ["0_1_0", "0_2_0", "0_3_0"] {
        let declared = VERSION.replace("0_2_1", version);
        agree(&format!("(module {MEMORY} {declared} {MALLOC})"), version != "0_3_0");
    }
}

#[test]
fn imports() {
    for (module, name, function, loads) in [
        ("env", "proxy_log", "(param i32 i32 i32) (result i32)", true),
        ("env", "proxy_log", "(param i32 i32) (result i32)", false),
        ("env", "proxy_log", "(param i32 i32 i32)", false),
        ("env", "proxy_increment_metric", "(param i32 i64) (result i32)", true),
        ("env", "proxy_get_log_level", "(param i32) (result i32)", true),
        ("env", "proxy_clear_route_cache", "(result i32)", false),
        ("env", "pthread_equal", "(param i32 i32) (result i32)", true),
        ("env", "emscripten_notify_memory_growth", "(param i32)", true),
        ("env", "abort", "", false),
        ("wasi_snapshot_preview1", "fd_fdstat_set_flags", "(param i32 i32) (result i32)", true),
        ("wasi_unstable", "sock_shutdown", "(param i32 i32) (result i32)", true),
        ("wasi_snapshot_preview1", "proc_exit", "(param i32)", true),
        ("wasi_snapshot_preview1", "proc_raise", "(param i32) (result i32)", false),
        ("wasi_snapshot_preview2", "fd_write", "(param i32 i32 i32 i32) (result i32)", false),
    ] {
        agree(&importing(module, name, function), loads);
    }
    agree(&with(r#"(import "env" "base" (global i32))"#, ""), false);
    agree(&with(r#"(import "env" "table" (table 1 funcref))"#, ""), true);
    agree(&format!(r#"(module (import "env" "memory" (memory 1)) {VERSION} {MALLOC})"#), true);
}

#[test]
fn exports() {
    for (name, function, loads) in [
        ("proxy_on_log", "(param i32)", true),
        ("proxy_on_log", "", false),
        ("proxy_on_request_headers", "(param i32 i32 i32) (result i32) i32.const 0", true),
        ("proxy_on_request_headers", "(param i32 i32) (result i32) i32.const 0", false),
        ("proxy_on_foreign_function", "(param i32 i32 i32)", true),
        ("proxy_on_grpc_close", "(param i32 i32)", false),
        ("proxy_validate_configuration", "(param i32 i32) (result i32) i32.const 1", true),
        ("_initialize", "(param i32)", false),
        ("own", "(param f64) (result f64) local.get 0", true),
    ] {
        agree(&exporting(name, function), loads);
    }
    // In version 0.1.0, callbacks for headers had a parameter less.
    let headers = "(param i32 i32) (result i32) i32.const 0";
    let text = exporting("proxy_on_request_headers", headers).replace("0_2_1", "0_1_0");
    agree(&text, true);
}
