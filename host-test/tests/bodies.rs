//! Bodies: what the module reads, what it changes, and what is forwarded.

mod common;

use common::{callback, on_request_headers, plugin};
use proxy_wasm_test::{ExchangeRecord, Message, Outcome, Plugin, Status, StreamType};

/// Logs the request body as the module reads it, from an offset.
fn log_body(start: u32) -> String {
    format!(
        "(drop (call $proxy_get_buffer_bytes (i32.const 0) (i32.const {start}) (i32.const -1)
            (i32.const 0) (i32.const 4)))
         (call $log_given)"
    )
}

/// Replaces a part of the request body.
fn set_body(start: u32, length: i32, data: &str) -> String {
    format!(
        "(drop (call $proxy_set_buffer_bytes (i32.const 0) (i32.const {start})
            (i32.const {length}) '{data}'))"
    )
}

fn on_request_body(code: &str) -> Plugin {
    plugin(&callback("request_body", code))
}

/// Sends a body in one piece that ends it, as a client with HTTP/2 may do.
fn send(plugin: &Plugin, body: &str) -> ExchangeRecord {
    let mut exchange = plugin.exchange().expect("an exchange");
    exchange.request_headers([(":method", "POST")], false).expect("no failure");
    exchange.request_body(body, true).expect("no failure");
    exchange.finish().expect("no failure")
}

#[test]
fn a_body_can_be_read_from_anywhere() {
    let code = [log_body(0), log_body(4), log_body(8), log_body(9)].concat();
    let record = send(&on_request_body(&code), "abcdefgh");
    let seen: Vec<_> = record.activity.log.iter().map(|line| &line.message[..]).collect();
    // At the end of the body and after it there are zero bytes.
    assert_eq!(seen, [&b"abcdefgh"[..], b"efgh", b"", b""]);
    assert_eq!(record.activity.host_calls[6].result, Status::Ok.into());
    assert_eq!(record.request.body, b"abcdefgh");
}

#[test]
fn a_body_can_be_replaced_prepended_to_and_appended_to() {
    let replaced = send(&on_request_body(&set_body(0, -1, "new")), "old body");
    assert_eq!(replaced.request.body, b"new");
    let prepended = send(&on_request_body(&set_body(0, 0, "new ")), "body");
    assert_eq!(prepended.request.body, b"new body");
    let begun = send(&on_request_body(&set_body(0, 3, "new")), "old body");
    assert_eq!(begun.request.body, b"new body");
    let appended = send(&on_request_body(&set_body(4, 0, " new")), "body");
    assert_eq!(appended.request.body, b"body new");
}

#[test]
fn a_body_cannot_be_changed_in_its_middle() {
    let record = send(&on_request_body(&set_body(1, 1, "x")), "body");
    assert_eq!(record.activity.host_calls[0].result, Status::BadArgument.into());
    assert_eq!(record.request.body, b"body");
}

#[test]
fn the_status_of_a_buffer_is_its_length() {
    let record = send(
        &on_request_body(
            "(drop (call $proxy_get_buffer_status (i32.const 0) (i32.const 0) (i32.const 4)))
             (drop (call $proxy_log (i32.const 2) (i32.const 0) (i32.const 8)))",
        ),
        "body",
    );
    assert_eq!(record.activity.log[0].message, [4, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn there_is_no_body_outside_its_callbacks() {
    let code = [log_body(0), set_body(0, 0, "x")].concat();
    let record = send(&on_request_headers(&code), "body");
    // It is empty, and cannot be changed.
    assert_eq!(record.activity.host_calls[0].result, Status::Ok.into());
    assert_eq!(record.activity.log[0].message, b"");
    assert_eq!(record.activity.host_calls[2].result, Status::BadArgument.into());
    assert_eq!(record.activity.host_calls[0].target, "http_request_body");
}

#[test]
fn paused_pieces_gather_until_the_module_lets_them_pass() {
    // Pauses until the end of the stream.
    let code = [&log_body(0), "(local.set $result (i32.eqz (local.get $end)))"].concat();
    let plugin = on_request_body(&code);
    let mut exchange = plugin.exchange().expect("an exchange");
    assert_eq!(exchange.request_headers([(":path", "/")], false).ok(), Some(Outcome::Continue));
    assert_eq!(exchange.request_body("one ", false).ok(), Some(Outcome::Pause));
    assert!(exchange.is_paused(StreamType::HttpRequest));
    assert_eq!(exchange.record().request.body, b"");
    assert_eq!(exchange.request_body("two", true).ok(), Some(Outcome::Continue));
    let record = exchange.finish().expect("no failure");
    assert_eq!(record.activity.log[1].message, b"one two");
    assert_eq!(record.request.body, b"one two");
}

#[test]
fn pieces_that_pass_are_seen_once() {
    let plugin = on_request_body(&log_body(0));
    let mut exchange = plugin.exchange().expect("an exchange");
    exchange.request_headers([(":path", "/")], false).expect("no failure");
    exchange.request_body("one ", false).expect("no failure");
    exchange.request_body("two", true).expect("no failure");
    let record = exchange.finish().expect("no failure");
    assert_eq!(record.activity.log[1].message, b"two");
    assert_eq!(record.request.body, b"one two");
}

#[test]
fn a_response_body_is_a_buffer_of_its_own() {
    let plugin = plugin(&callback(
        "response_body",
        "(drop (call $proxy_set_buffer_bytes (i32.const 1) (i32.const 0) (i32.const -1) 'r'))
         (drop (call $proxy_set_buffer_bytes (i32.const 0) (i32.const 0) (i32.const -1) 'r'))",
    ));
    let mut exchange = plugin.exchange().expect("an exchange");
    let request = Message::new([(":path", "/")]).body("request");
    exchange.request(request).expect("no failure");
    exchange.response_headers([(":status", "200")], false).expect("no failure");
    exchange.response_body("response", true).expect("no failure");
    let record = exchange.finish().expect("no failure");
    assert_eq!((&record.request.body[..], &record.response.body[..]), (&b"request"[..], &b"r"[..]));
    // The request's body is over.
    assert_eq!(record.activity.host_calls[1].result, Status::BadArgument.into());
}

/// A filter that replaces each piece replaces the empty last one, too: in Envoy, its text is there
/// twice.
#[test]
fn a_whole_message_ends_with_an_empty_piece() {
    let plugin = on_request_body(&set_body(0, -1, "new"));
    let request = Message::new([(":method", "POST")]).body("old");
    let record = plugin.run(request, [(":status", "200")]).expect("no failure");
    assert_eq!(record.request.body, b"newnew");
}
