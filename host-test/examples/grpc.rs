//! A gRPC stream of a filter, answered message by message: `cargo run --example grpc`.

use proxy_wasm_test::{Module, Plugin};

/// Opens a stream at its start, sends `hello`, and logs each message.
const FILTER: &str = r#"(module
    (import "env" "proxy_grpc_stream"
        (func $open (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_grpc_send" (func $send (param i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_get_buffer_bytes"
        (func $get (param i32 i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 16) "configCfg.SvcWatchhello")
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "malloc") (param i32) (result i32) i32.const 1024)
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (drop (call $open (i32.const 16) (i32.const 6) (i32.const 22) (i32.const 7)
            (i32.const 29) (i32.const 5) (i32.const 0) (i32.const 0) (i32.const 0)))
        (drop (call $send (i32.load (i32.const 0)) (i32.const 34) (i32.const 5) (i32.const 0)))
        i32.const 1)
    (func (export "proxy_on_grpc_receive") (param i32 i32 i32)
        (drop (call $get (i32.const 5) (i32.const 0) (local.get 2) (i32.const 0) (i32.const 4)))
        (drop (call $log (i32.const 2) (i32.load (i32.const 0)) (i32.load (i32.const 4))))))"#;

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let plugin = Plugin::new(&Module::new(wat::parse_str(FILTER)?)?)?;
    plugin.configure("")?;
    let stream = plugin.grpc_calls().remove(0);
    assert_eq!((&stream.service[..], &stream.method[..]), (&b"Cfg.Svc"[..], &b"Watch"[..]));
    assert_eq!(stream.messages, [b"hello".to_vec()]);
    plugin.grpc_message(stream.token, "one")?;
    plugin.grpc_message(stream.token, "two")?;
    plugin.grpc_close(stream.token, 14, "unavailable")?;
    for line in &plugin.activity().log {
        println!("{line}");
    }
    assert_eq!(plugin.activity().log.len(), 2);
    Ok(())
}
