//! A network filter, byte by byte: `cargo run --example tcp`.

use proxy_wasm_test::{Module, Outcome, Plugin};

/// Holds what the client sends until it has a whole line, and closes the connection on `QUIT`.
const FILTER: &str = r#"(module
    (import "env" "proxy_get_buffer_bytes"
        (func $get (param i32 i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_close_stream" (func $close (param i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "malloc") (param i32) (result i32) i32.const 1024)
    (func (export "proxy_on_downstream_data") (param $id i32) (param $size i32) (param $end i32)
        (result i32)
        (drop (call $get (i32.const 2) (i32.const 0) (local.get $size) (i32.const 0) (i32.const 4)))
        (if (i32.eq (i32.load (i32.const 1024)) (i32.const 0x54495551))
            (then (drop (call $close (i32.const 2)))))
        ;; Whether the last byte is another one than a line feed.
        (i32.ne
            (i32.load8_u (i32.add (i32.const 1023) (local.get $size)))
            (i32.const 10))))"#;

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let plugin = Plugin::new(&Module::new(wat::parse_str(FILTER)?)?)?;
    let mut connection = plugin.connection()?;
    assert_eq!(connection.downstream_data("HE", false)?, Outcome::Pause);
    assert_eq!(connection.downstream_data("LO\n", false)?, Outcome::Continue);
    assert_eq!(connection.upstream_data("welcome\n", false)?, Outcome::Continue);
    assert_eq!(connection.downstream_data("QUIT\n", false)?, Outcome::Closed);
    let record = connection.finish()?;
    println!("the upstream got {:?}", String::from_utf8_lossy(&record.to_upstream));
    assert_eq!(record.to_upstream, b"HELO\n");
    Ok(())
}
