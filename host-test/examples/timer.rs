//! The test moves the clock, and timers expire: `cargo run --example timer`.

use std::time::Duration;

use proxy_wasm_test::{Module, Plugin};

/// Counts its ticks, of which there is one every minute.
const FILTER: &str = r#"(module
    (import "env" "proxy_set_tick_period_milliseconds" (func $every (param i32) (result i32)))
    (import "env" "proxy_define_metric" (func $define (param i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_increment_metric" (func $increment (param i32 i64) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 16) "ticks")
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "malloc") (param i32) (result i32) i32.const 1024)
    (func (export "proxy_on_vm_start") (param i32 i32) (result i32)
        (drop (call $define (i32.const 0) (i32.const 16) (i32.const 5) (i32.const 0)))
        (drop (call $every (i32.const 60000)))
        i32.const 1)
    (func (export "proxy_on_tick") (param i32)
        (drop (call $increment (i32.load (i32.const 0)) (i64.const 1)))))"#;

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let plugin = Plugin::new(&Module::new(wat::parse_str(FILTER)?)?)?;
    assert_eq!(plugin.tick_period(), Some(Duration::from_mins(1)));
    plugin.advance(Duration::from_hours(24))?;
    println!("{:?} ticks in a day", plugin.metric("ticks"));
    assert_eq!(plugin.metric("ticks"), Some(24 * 60));
    Ok(())
}
