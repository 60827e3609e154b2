//! Budgets of host calls and fuel, the same on every machine: `cargo run --example budget`.

use proxy_wasm_test::{ErrorKind, Module, Options, Plugin};

/// Reads one header of each request.
const FILTER: &str = r#"(module
    (import "env" "proxy_get_header_map_value"
        (func $get (param i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 16) ":path")
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "malloc") (param i32) (result i32) i32.const 1024)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (drop (call $get (i32.const 0) (i32.const 16) (i32.const 5) (i32.const 0) (i32.const 4)))
        i32.const 0)
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (loop br 0) i32.const 0))"#;

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let module = Module::new(wat::parse_str(FILTER)?)?;
    let plugin = Plugin::with_options(&module, Options::default().fuel(1_000))?;
    let mut exchange = plugin.exchange()?;
    exchange.request_headers([(":path", "/")], true)?;
    let activity = exchange.record().activity;
    for call in &activity.host_calls {
        println!("{call}");
    }
    println!("{} instructions", activity.fuel_used());
    assert_eq!(activity.host_calls.len(), 1);
    assert!(activity.fuel_of("proxy_on_request_headers") < 20);

    // An endless loop ends with its fuel.
    let error = exchange.response_headers([(":status", "200")], true).expect_err("no fuel");
    assert!(matches!(error.kind(), ErrorKind::OutOfFuel { limit: 1_000, .. }));
    Ok(())
}
