//! Surprising behaviour of Envoy, which the host shares. `tests/tests/module_host` compares all of
//! it; these tests are for those who change the host alone.

mod common;

use common::{callback, plugin};
use proxy_wasm_test::{Error, ErrorKind, ExchangeRecord, Message, Outcome, Sent};

const CLOSE: &str = "(drop (call $proxy_close_stream (i32.const TYPE)))";
const REPLY: &str = "(drop (call $proxy_send_local_response (i32.const STATUS)
    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
    (i32.const -1)))";

fn run(callbacks: &[(&str, String)]) -> Result<ExchangeRecord, Error> {
    let text: String = callbacks.iter().map(|(name, code)| callback(name, code)).collect();
    let request = Message::new([(":path", "/")]).body("a").trailers([("t", "1")]);
    let response = Message::new([(":status", "200")]).body("b").trailers([("t", "2")]);
    plugin(&text).run(request, response)
}

#[test]
fn closing_the_other_kind_of_stream_does_nothing() {
    for (kind, is_reset) in [(0, true), (1, true), (2, false), (3, false)] {
        let code = CLOSE.replace("TYPE", &kind.to_string());
        let record = run(&[("request_headers", code)]).expect("no failure");
        assert_eq!(record.is_reset, is_reset, "{kind}");
    }
}

#[test]
fn a_reply_in_the_callback_of_a_reply_replaces_it() {
    let record = run(&[
        ("request_headers", REPLY.replace("STATUS", "403")),
        ("response_headers", REPLY.replace("STATUS", "404")),
    ])
    .expect("no failure");
    assert_eq!(record.response.headers.get_str(":status"), Some("404"));
    assert_eq!(record.response_sent, Sent::All);
}

#[test]
fn what_crashes_envoy_at_the_end_of_a_stream_fails() {
    let close = CLOSE.replace("TYPE", "0");
    let resume = "(drop (call $proxy_continue_stream (i32.const 1)))".to_owned();
    for (name, code) in [
        ("response_trailers", close.clone()),
        ("response_trailers", resume),
        ("log", close.clone()),
        ("done", close),
        ("done", REPLY.replace("STATUS", "403")),
        ("delete", REPLY.replace("STATUS", "403")),
    ] {
        // Not the end of the root context.
        let code = format!("(if (i32.gt_u (local.get $context) (i32.const 1)) (then {code}))");
        let error = run(&[(name, code.clone())]).expect_err("Envoy crashes");
        assert!(matches!(error.kind(), ErrorKind::EnvoyCrash { .. }), "{name} {code}: {error}");
    }
}

#[test]
fn a_connection_that_is_paused_at_once_gets_its_data_when_it_continues() {
    let plugin = plugin(
        "(func (export \"proxy_on_new_connection\") (param i32) (result i32) i32.const 1)
         (func (export \"proxy_on_downstream_data\") (param i32 i32 i32) (result i32)
             (drop (call $proxy_log (i32.const 2) 'data')) i32.const 0)
         (func (export \"proxy_on_context_create\") (param i32 i32)
             (drop (call $proxy_set_tick_period_milliseconds (i32.const 1))))
         (func (export \"proxy_on_tick\") (param i32)
             (drop (call $proxy_set_effective_context (i32.const 2)))
             (drop (call $proxy_continue_stream (i32.const 2))))",
    );
    let mut connection = plugin.connection().expect("no failure");
    assert_eq!(connection.downstream_data("hello", false).expect("no failure"), Outcome::Pause);
    assert!(connection.record().activity.log.is_empty());
    plugin.tick().expect("no failure");
    let record = connection.finish().expect("no failure");
    assert_eq!(record.activity.log.len(), 1);
    assert_eq!(record.to_upstream, b"hello");
}
