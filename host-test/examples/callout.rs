//! A filter asks a service over HTTP, and the test answers: `cargo run --example callout`.

use std::time::Duration;

use proxy_wasm_test::{Answer, Module, Options, Outcome, Plugin};

/// Calls `GET /check` of the cluster `auth`, holds the request, and continues when an answer comes.
const FILTER: &str = r#"(module
    (import "env" "proxy_http_call"
        (func $call (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_set_effective_context" (func $context (param i32) (result i32)))
    (import "env" "proxy_continue_stream" (func $continue (param i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 16) "auth")
    (data (i32.const 32) "\03\00\00\00\07\00\00\00\03\00\00\00\05\00\00\00\06\00\00\00"
        "\0a\00\00\00\04\00\00\00:method\00GET\00:path\00/check\00:authority\00auth\00")
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "malloc") (param i32) (result i32) i32.const 1024)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (drop (call $call (i32.const 16) (i32.const 4) (i32.const 32) (i32.const 73)
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 500) (i32.const 0)))
        i32.const 1)
    (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
        (drop (call $context (i32.const 2)))
        (drop (call $continue (i32.const 0)))))"#;

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let module = Module::new(wat::parse_str(FILTER)?)?;
    let request = [(":method", "GET"), (":path", "/"), (":authority", "a.example")];

    // The test answers when it likes to.
    let plugin = Plugin::new(&module)?;
    let mut exchange = plugin.exchange()?;
    assert_eq!(exchange.request_headers(request, true)?, Outcome::Pause);
    let call = plugin.http_calls().remove(0);
    println!("{} asks for {:?}", String::from_utf8_lossy(&call.cluster), call.request.headers);
    plugin.answer(call.token, Answer::response([(":status", "200")]))?;
    assert_eq!(exchange.request_outcome(), Outcome::Continue);

    // A handler answers at once.
    let options = Options::default().answer_calls(|_| Answer::response([(":status", "200")]));
    let answered = Plugin::with_options(&module, options)?;
    assert_eq!(answered.exchange()?.request_headers(request, true)?, Outcome::Continue);

    // Without an answer, the call ends with its timeout.
    let slow = Plugin::new(&module)?;
    let mut exchange = slow.exchange()?;
    exchange.request_headers(request, true)?;
    slow.advance(Duration::from_millis(500))?;
    assert_eq!(exchange.request_outcome(), Outcome::Continue);
    Ok(())
}
