//! Two plugins of one host, joined by a queue: `cargo run --example queue`.

use proxy_wasm_test::{Host, Module, Options};

/// Puts the path of each request into the queue `paths` of the VM `reader`.
const WRITER: &str = r#"(module
    (import "env" "proxy_get_header_map_value"
        (func $get (param i32 i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_resolve_shared_queue"
        (func $resolve (param i32 i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_enqueue_shared_queue" (func $enqueue (param i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 16) ":pathreaderpaths")
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "malloc") (param i32) (result i32) i32.const 1024)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (drop (call $get (i32.const 0) (i32.const 16) (i32.const 5) (i32.const 0) (i32.const 4)))
        (drop (call $resolve
            (i32.const 21) (i32.const 6) (i32.const 27) (i32.const 5) (i32.const 8)))
        (drop (call $enqueue
            (i32.load (i32.const 8)) (i32.load (i32.const 0)) (i32.load (i32.const 4))))
        i32.const 0))"#;

/// Logs each item of its queue.
const READER: &str = r#"(module
    (import "env" "proxy_register_shared_queue" (func $register (param i32 i32 i32) (result i32)))
    (import "env" "proxy_dequeue_shared_queue" (func $dequeue (param i32 i32 i32) (result i32)))
    (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 16) "paths")
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "malloc") (param i32) (result i32) i32.const 1024)
    (func (export "proxy_on_vm_start") (param i32 i32) (result i32)
        (i32.eqz (call $register (i32.const 16) (i32.const 5) (i32.const 0))))
    (func (export "proxy_on_queue_ready") (param i32 i32)
        (drop (call $dequeue (local.get 1) (i32.const 0) (i32.const 4)))
        (drop (call $log (i32.const 2) (i32.load (i32.const 0)) (i32.load (i32.const 4))))))"#;

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let host = Host::new();
    let reader = Module::new(wat::parse_str(READER)?)?;
    let reader = host.plugin(&reader, Options::default().vm_id("reader"))?;
    let writer = Module::new(wat::parse_str(WRITER)?)?;
    let writer = host.plugin(&writer, Options::default().vm_id("writer"))?;
    writer.run([(":path", "/orders")], [(":status", "200")])?;
    for line in &reader.activity().log {
        println!("{line}");
    }
    assert!(reader.activity().logged("/orders"));
    Ok(())
}
