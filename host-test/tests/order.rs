//! What no proxy does is an error of the test, and what makes Envoy crash is a failure of the module.

mod common;

use common::{callback, on_request_headers, plugin};
use proxy_wasm_test::{Error, ErrorKind, Message, Outcome, Plugin, Sent};

const GET: [(&str, &str); 2] = [(":method", "GET"), (":path", "/")];
const OK: [(&str, &str); 1] = [(":status", "200")];

fn out_of_order(result: Result<Outcome, Error>) -> String {
    let error = result.expect_err("an error");
    assert!(matches!(error.kind(), ErrorKind::OutOfOrder(_)), "{error}");
    error.to_string()
}

#[test]
fn parts_come_in_order() {
    let plugin = plugin("");
    let mut exchange = plugin.exchange().expect("an exchange");
    out_of_order(exchange.request_body("too early", false));
    out_of_order(exchange.request_trailers([("t", "1")]));
    out_of_order(exchange.response_headers(OK, true));
    exchange.request_headers(GET, false).expect("in order");
    let again = out_of_order(exchange.request_headers(GET, false));
    assert_eq!(again, "the headers of this direction have been delivered already");
    exchange.request_body("last", true).expect("in order");
    out_of_order(exchange.request_body("more", true));
    out_of_order(exchange.request_trailers([("t", "1")]));
    // A response may begin before the request ends, and only once.
    exchange.response_headers(OK, true).expect("in order");
    out_of_order(exchange.response_headers(OK, true));
    out_of_order(exchange.response_body("more", true));
    // The plugin is as it was.
    exchange.finish().expect("no failure");
}

#[test]
fn parts_wait_while_the_headers_are_held() {
    let hold = "(local.set $result (i32.const 1))";
    let plugin = plugin(
        &[
            callback("request_headers", hold),
            callback("request_body", "(drop (call $proxy_log (i32.const 2) 'body'))"),
            callback("request_trailers", "(drop (call $proxy_log (i32.const 2) 'trailers'))"),
            callback(
                "foreign_function",
                "(drop (call $proxy_set_effective_context (i32.const 2)))
                 (drop (call $proxy_continue_stream (i32.const 0)))",
            ),
        ]
        .concat(),
    );
    let mut exchange = plugin.exchange().expect("an exchange");
    let request = Message::new(GET).body("whole").trailers([("t", "1")]);
    assert_eq!(exchange.request(request).ok(), Some(Outcome::Pause));
    let waiting = exchange.record();
    assert_eq!((waiting.request_sent, waiting.activity.log.len()), (Sent::Nothing, 0));
    plugin.call_foreign_function(0, "").expect("no failure");
    assert_eq!(exchange.request_outcome(), Outcome::Continue);
    let record = exchange.finish().expect("no failure");
    assert_eq!((record.request_sent, &record.request.body[..]), (Sent::All, &b"whole"[..]));
    let lines: Vec<_> = record.activity.log.iter().map(ToString::to_string).collect();
    assert_eq!(lines, ["info: body", "info: trailers"]);
}

#[test]
fn a_reply_after_the_headers_of_a_response_cuts_it_off() {
    let reply =
        "(drop (call $proxy_send_local_response (i32.const 500) '' 'no' '' (i32.const -1)))";
    let response = || Message::new(OK).body("body");
    // From the headers, the client gets the reply, and no callback sees it.
    let early = plugin(&callback("response_headers", reply)).run(GET, response());
    let early = early.expect("no failure");
    assert_eq!(early.response.headers.get_str(":status"), Some("500"));
    assert_eq!((&early.response.body[..], early.is_reset), (&b"no"[..], false));
    assert_eq!(early.activity.count("proxy_send_local_response"), 1);
    // From the body, it is too late.
    let late = plugin(&callback("response_body", reply)).run(GET, response());
    let late = late.expect("no failure");
    assert_eq!(late.response.headers.get_str(":status"), Some("200"));
    assert_eq!((late.response_sent, late.is_reset), (Sent::Part, true));
}

#[test]
fn what_crashes_envoy_fails() {
    let crash = |plugin: &Plugin| {
        let error = plugin.run(GET, OK).expect_err("a crash");
        assert!(matches!(error.kind(), ErrorKind::EnvoyCrash { .. }), "{error}");
        error.to_string()
    };
    let early = on_request_headers("(drop (call $proxy_continue_stream (i32.const 1)))");
    let expected = "proxy_on_request_headers: it continued a response that has not begun; \
        Envoy crashes here (segmentation fault)\
        \n  last host calls:\n    proxy_continue_stream(http_response) = 0";
    assert_eq!(crash(&early), expected);
    let late = plugin(&callback(
        "log",
        "(drop (call $proxy_send_local_response (i32.const 500) '' '' '' (i32.const -1)))",
    ));
    crash(&late);
}

#[test]
fn a_response_that_is_not_paused_cannot_be_continued() {
    let plugin =
        plugin(&callback("response_headers", "(drop (call $proxy_continue_stream (i32.const 1)))"));
    let error = plugin.run(GET, OK).expect_err("an error");
    assert!(matches!(error.kind(), ErrorKind::BrokenStream { .. }), "{error}");
}

#[test]
fn a_failing_start_prints_the_module_s_own_words() {
    let module = common::module(&callback(
        "vm_start",
        "(drop (call $proxy_log (i32.const 2) 'reading the secret'))
         (drop (call $proxy_log (i32.const 5) 'panicked at src/lib.rs:7:\\0ano secret'))
         unreachable",
    ));
    let error = Plugin::new(&module).err().expect("a trap").to_string();
    let expected = "proxy_on_vm_start trapped: wasm trap: wasm `unreachable` instruction executed\
        \n  log:\
        \n    info: reading the secret\
        \n    critical: panicked at src/lib.rs:7:\
        \n      no secret\
        \n  stack:\
        \n    function 4 (the module has no names)\
        \n  last host calls:\
        \n    proxy_log(info) = 0\
        \n    proxy_log(critical) = 0";
    assert_eq!(error, expected);
}

#[test]
fn some_calls_are_restricted_while_the_module_is_initialized() {
    let module = common::module(
        "(func (export \"_initialize\")
            (drop (call $proxy_log (i32.const 2) 'allowed'))
            (drop (call $proxy_set_tick_period_milliseconds (i32.const 1))))",
    );
    let error = Plugin::new(&module).err().expect("a restricted call");
    let expected = "_initialize called proxy_set_tick_period_milliseconds, \
        which Envoy allows only after the initialization";
    assert_eq!(error.kind().to_string(), expected);
    assert_eq!(error.log().len(), 1);
}
