//! The life of a stream: local replies, pauses, closing, properties, the end.

mod common;

use common::{callback, module, on_request_headers, plugin};
use proxy_wasm_test::{HeaderMap, Message, Options, Outcome, Plugin, Status, StreamType};

const GET: [(&str, &str); 2] = [(":method", "GET"), (":path", "/")];
const OK: [(&str, &str); 1] = [(":status", "200")];

/// Sends a local reply with one header `a: b` and then this body.
fn reply(status: u32, body: &str) -> String {
    format!(
        "(drop (call $proxy_send_local_response (i32.const {status}) 'the_details' '{body}'
            '\\01\\00\\00\\00\\01\\00\\00\\00\\01\\00\\00\\00a\\00b\\00' (i32.const -1)))"
    )
}

#[test]
fn a_local_reply_is_recorded_and_ends_the_request() {
    let on_headers = [&reply(404, "no\\ff"), "(local.set $result (i32.const 1))"].concat();
    let plugin = plugin(
        &[
            callback("request_headers", &on_headers),
            callback("request_body", "unreachable"),
            callback("request_trailers", "unreachable"),
        ]
        .concat(),
    );
    let mut exchange = plugin.exchange().expect("an exchange");
    assert_eq!(exchange.request_headers(GET, false).ok(), Some(Outcome::LocalReply));
    assert_eq!(exchange.request_body("body", false).ok(), Some(Outcome::LocalReply));
    assert_eq!(exchange.request_trailers([("t", "1")]).ok(), Some(Outcome::LocalReply));
    let record = exchange.finish().expect("no failure");
    let reply = record.local_reply.expect("a local reply");
    assert_eq!((reply.status, reply.grpc_status), (404, None));
    assert_eq!((&reply.details[..], &reply.body[..]), (&b"the_details"[..], &b"no\xff"[..]));
    assert_eq!(reply.headers, HeaderMap::from([("a", "b")]));
}

#[test]
fn only_the_first_local_reply_counts() {
    let record =
        on_request_headers(&[reply(403, "first"), reply(500, "second")].concat()).run(GET, OK);
    assert_eq!(
        record.ok().and_then(|record| record.local_reply).map(|reply| reply.status),
        Some(403)
    );
}

#[test]
fn a_local_reply_runs_through_the_response_callbacks() {
    let plugin = plugin(
        &[
            callback("request_headers", &reply(404, "body")),
            callback(
                "response_headers",
                "(drop (call $proxy_add_header_map_value (i32.const 2) 'seen' 'yes'))",
            ),
        ]
        .concat(),
    );
    let record = plugin.run(GET, OK).expect("no failure");
    let expected = HeaderMap::from([
        (":status", "404"),
        ("a", "b"),
        ("content-length", "4"),
        ("content-type", "text/plain"),
        ("seen", "yes"),
    ]);
    assert_eq!(record.response, Message::new(expected).body("body"));
}

#[test]
fn a_local_reply_to_the_response_ends_the_response() {
    let plugin = plugin(
        &[callback("response_headers", &reply(502, "")), callback("response_body", "unreachable")]
            .concat(),
    );
    let record = plugin.run(GET, Message::new(OK).body("secret")).expect("no failure");
    assert_eq!(record.local_reply.map(|reply| reply.status), Some(502));
    assert_eq!(record.response.body, b"");
}

#[test]
fn the_grpc_status_of_a_local_reply_is_kept() {
    let record = on_request_headers(
        "(drop (call $proxy_send_local_response (i32.const 200) '' '' '' (i32.const 16)))",
    )
    .run(GET, OK);
    let reply = record.ok().and_then(|record| record.local_reply).expect("a local reply");
    assert_eq!(reply.grpc_status, Some(16));
}

#[test]
fn a_missing_callback_lets_everything_pass() {
    let request = Message::new(GET).body("in").trailers([("t", "1")]);
    let response = Message::new(OK).body("out").trailers([("t", "2")]);
    let record = plugin("").run(request.clone(), response.clone()).expect("no failure");
    assert_eq!((record.request, record.response), (request, response));
    assert_eq!(record.activity.callbacks, []);
}

#[test]
fn callbacks_are_told_sizes_and_the_end() {
    let log =
        "(i32.store (i32.const 0) (local.get $size)) (i32.store (i32.const 4) (local.get $end))
        (drop (call $proxy_log (i32.const 2) (i32.const 0) (i32.const 8)))";
    let plugin =
        plugin(&[callback("request_headers", log), callback("request_body", log)].concat());
    let seen = |message: Message| -> Vec<(u8, u8)> {
        let record = plugin.run(message, OK).expect("no failure");
        record.activity.log.iter().map(|line| (line.message[0], line.message[4])).collect()
    };
    assert_eq!(seen(Message::new(GET)), [(2, 1)]);
    // As in Envoy with HTTP/1.1, an empty piece ends a body.
    assert_eq!(seen(Message::new(GET).body("body")), [(2, 0), (4, 0), (0, 1)]);
    assert_eq!(seen(Message::new(GET).body("body").trailers([("t", "")])), [(2, 0), (4, 0)]);
}

#[test]
fn what_is_paused_goes_on_when_the_module_says_so() {
    let pause = "(local.set $result (i32.const 1))";
    // The tick continues both directions of stream 2.
    let plugin = plugin(
        &[
            callback("request_headers", pause),
            callback("response_body", pause),
            callback(
                "foreign_function",
                "(drop (call $proxy_set_effective_context (i32.const 2)))
                 (drop (call $proxy_continue_stream (i32.const 0)))
                 (drop (call $proxy_continue_stream (i32.const 1)))",
            ),
        ]
        .concat(),
    );
    let mut exchange = plugin.exchange().expect("an exchange");
    assert_eq!(exchange.context_id(), 2);
    assert_eq!(exchange.request_headers(GET, true).ok(), Some(Outcome::Pause));
    assert!(exchange.is_paused(StreamType::HttpRequest));
    assert!(!exchange.is_paused(StreamType::HttpResponse));
    assert_eq!(exchange.response(Message::new(OK).body("held")).ok(), Some(Outcome::Pause));
    assert_eq!(exchange.record().response.body, b"");
    plugin.call_foreign_function(0, "").expect("no failure");
    assert!(!exchange.is_paused(StreamType::HttpRequest));
    assert!(!exchange.is_paused(StreamType::HttpResponse));
    assert_eq!(exchange.record().response.body, b"held");
}

#[test]
fn an_effective_context_must_exist() {
    let record = on_request_headers("(drop (call $proxy_set_effective_context (i32.const 77)))")
        .run(GET, OK)
        .expect("no failure");
    assert_eq!(record.activity.host_calls[0].result, Status::BadArgument.into());
}

#[test]
fn a_closed_stream_delivers_nothing_more() {
    let plugin = plugin(
        &[
            callback("request_headers", "(drop (call $proxy_close_stream (i32.const 0)))"),
            callback("response_headers", "unreachable"),
        ]
        .concat(),
    );
    let mut exchange = plugin.exchange().expect("an exchange");
    assert_eq!(exchange.request_headers(GET, true).ok(), Some(Outcome::Closed));
    assert_eq!(exchange.response_headers(OK, true).ok(), Some(Outcome::Closed));
}

#[test]
fn properties_come_from_the_plugin_the_stream_and_the_module() {
    let get = |path: &str| {
        format!(
            "(i64.store (i32.const 0) (i64.const 0))
             (drop (call $proxy_get_property '{path}' (i32.const 0) (i32.const 4))) (call $log_given)"
        )
    };
    let code = [
        &get("plugin_root_id"),
        &get("node\\00id"),
        &get("source\\00address"),
        &get("rule"),
        "(drop (call $proxy_set_property 'rule' 'ns/\\ff'))",
        &get("rule"),
    ]
    .concat();
    let options = Options::default().root_id("root").property(&["node", "id"], "edge");
    let plugin = Plugin::with_options(&module(&callback("request_headers", &code)), options)
        .expect("a module that starts");
    let mut exchange = plugin.exchange().expect("an exchange");
    exchange.set_property(&["source", "address"], "192.0.2.1:80");
    exchange.request_headers(GET, true).expect("no failure");
    let record = exchange.finish().expect("no failure");

    let seen: Vec<_> = record.activity.log.iter().map(|line| &line.message[..]).collect();
    assert_eq!(seen, [&b"root"[..], b"edge", b"192.0.2.1:80", b"", b"ns/\xff"]);
    assert_eq!(record.property(&["rule"]), Some(&b"ns/\xff"[..]));
    let calls = &record.activity.host_calls;
    assert_eq!(calls[6].to_string(), "proxy_get_property(rule) = 1");
}

#[test]
fn headers_are_properties_with_all_their_values() {
    let get = |path: &str| {
        format!(
            "(i64.store (i32.const 0) (i64.const 0))
             (drop (call $proxy_get_property '{path}' (i32.const 0) (i32.const 4))) (call $log_given)"
        )
    };
    let code = [
        get("request\\00headers\\00x-user"),
        get("request\\00headers\\00:path"),
        get("request\\00headers\\00missing"),
        get("response\\00headers\\00:status"),
    ]
    .concat();
    let plugin =
        Plugin::new(&module(&callback("request_headers", &code))).expect("a module that starts");
    let mut exchange = plugin.exchange().expect("an exchange");
    let headers =
        [(":path", &b"/x"[..]), ("X-User", b"one"), ("x-other", b"-"), ("x-user", b"\xff")];
    exchange.request_headers(headers.to_vec(), true).expect("no failure");
    let record = exchange.finish().expect("no failure");

    let seen: Vec<_> = record.activity.log.iter().map(|line| &line.message[..]).collect();
    assert_eq!(seen, [&b"one,\xff"[..], b"/x", b"", b""]);
    let answers: Vec<_> = record
        .activity
        .host_calls
        .iter()
        .filter(|call| call.name == "proxy_get_property")
        .collect();
    assert_eq!(answers.iter().map(|call| call.result).collect::<Vec<_>>(), [0, 0, 1, 1]);
}

#[test]
fn the_end_of_an_exchange_runs_log_done_delete() {
    let say = |text: &str| format!("(drop (call $proxy_log (i32.const 2) '{text}'))");
    let plugin = plugin(
        &[
            callback("context_create", &say("create")),
            callback("done", &say("done")),
            callback("log", &say("log")),
            callback("delete", &say("delete")),
        ]
        .concat(),
    );
    let record = plugin.run(GET, OK).expect("no failure");
    let lines: Vec<_> = record.activity.log.iter().map(ToString::to_string).collect();
    assert_eq!(lines, ["info: create", "info: log", "info: done", "info: delete"]);
    // The creation of the root context is not part of the exchange.
    assert_eq!(plugin.activity().log.len(), 1);
}

#[test]
fn open_exchanges_do_not_mix() {
    let plugin = on_request_headers(
        "(drop (call $proxy_get_header_map_value (i32.const 0) ':path' (i32.const 0) (i32.const 4)))
         (drop (call $proxy_set_property 'path' (i32.load (i32.const 0)) (i32.load (i32.const 4))))",
    );
    let mut first = plugin.exchange().expect("an exchange");
    let mut second = plugin.exchange().expect("an exchange");
    second.request_headers([(":path", "/2")], true).expect("no failure");
    first.request_headers([(":path", "/1")], true).expect("no failure");
    assert_eq!(first.finish().ok().as_ref().and_then(|r| r.property(&["path"])), Some(&b"/1"[..]));
    assert_eq!(second.finish().ok().as_ref().and_then(|r| r.property(&["path"])), Some(&b"/2"[..]));
}

#[test]
fn fuel_is_counted_for_each_callback_and_repeats_exactly() {
    let plugin = plugin(
        &[
            callback("request_headers", ""),
            callback(
                "response_headers",
                "(loop $again
                    (local.set $size (i32.add (local.get $size) (i32.const 1)))
                    (br_if $again (i32.lt_u (local.get $size) (i32.const 1000))))",
            ),
        ]
        .concat(),
    );
    let mut exchange = plugin.exchange().expect("an exchange");
    exchange.request_headers(GET, true).expect("no failure");
    let before = exchange.fuel_used();
    exchange.response_headers(OK, true).expect("no failure");
    let activity = exchange.record().activity;
    assert_eq!(activity.fuel_of("proxy_on_request_headers"), before);
    assert!(activity.fuel_of("proxy_on_response_headers") > 4000);
    assert_eq!(activity.fuel_used(), exchange.fuel_used());
    let again = plugin.run(GET, OK).expect("no failure");
    assert_eq!(again.activity.fuel_used(), activity.fuel_used());
}
