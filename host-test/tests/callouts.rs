//! HTTP and gRPC callouts, answered by the test.

mod common;

use std::time::Duration;

use common::{callback, module, plugin};
use proxy_wasm_test::{
    Answer, ErrorKind, Exchange, HeaderMap, Message, Options, Outcome, Plugin, Status,
};

const GET: [(&str, &str); 3] = [(":method", "GET"), (":path", "/"), (":authority", "a.example")];

/// The pairs `:method: GET`, `:path: /check`, `:authority: auth`, as the ABI encodes them.
const PAIRS: &str = r"\03\00\00\00\07\00\00\00\03\00\00\00\05\00\00\00\06\00\00\00\0a\00\00\00\04\00\00\00:method\00GET\00:path\00/check\00:authority\00auth\00";

/// Makes an HTTP call with a timeout of one second, and logs its status.
fn call(headers: &str) -> String {
    format!(
        "(i32.store8 (i32.const 40) (i32.add (i32.const 48)
            (call $proxy_http_call 'auth' '{headers}' 'question' '' (i32.const 1000)
                (i32.const 32))))
         (drop (call $proxy_log (i32.const 2) (i32.const 40) (i32.const 1)))"
    )
}

/// A filter that asks `auth` about each request, holds it meanwhile, and lets it go on if the answer
/// is 200. Otherwise it answers 403 with the body of the answer.
fn authorisation() -> String {
    let get_status = "(drop (call $proxy_get_header_map_value (i32.const 6) ':status'
        (i32.const 0) (i32.const 4)))
        (call $log_given)";
    let on_response = format!(
        "(drop (call $proxy_set_effective_context (i32.const 2)))
         (if (i32.eqz (local.get $headers))
            (then
                (drop (call $proxy_get_status (i32.const 8) (i32.const 0) (i32.const 4)))
                (call $log_given)
                (drop (call $proxy_send_local_response (i32.const 503) '' '' '' (i32.const -1)))
                (return)))
         {get_status}
         (drop (call $proxy_get_buffer_bytes (i32.const 4) (i32.const 0) (i32.const -1)
            (i32.const 0) (i32.const 4)))
         (if (i32.eq (i32.load8_u (i32.load (i32.const 0))) (i32.const 121))
            (then (drop (call $proxy_continue_stream (i32.const 0))))
            (else (drop (call $proxy_send_local_response (i32.const 403) ''
                (i32.load (i32.const 0)) (i32.load (i32.const 4)) '' (i32.const -1)))))"
    );
    [
        callback("request_headers", &[&call(PAIRS), "(local.set $result (i32.const 1))"].concat()),
        callback("http_call_response", &on_response),
    ]
    .concat()
}

fn begun(plugin: &Plugin) -> Exchange<'_> {
    let mut exchange = plugin.exchange().expect("an exchange");
    assert_eq!(exchange.request_headers(GET, true).ok(), Some(Outcome::Pause));
    exchange
}

fn lines(activity: &proxy_wasm_test::Activity) -> Vec<String> {
    activity.log.iter().map(ToString::to_string).collect()
}

fn answer(body: &str) -> Answer {
    Answer::response(Message::new([(":status", "200")]).body(body))
}

#[test]
fn the_test_sees_a_call_and_answers_it() {
    let plugin = plugin(&authorisation());
    let exchange = begun(&plugin);
    let calls = plugin.http_calls();
    let [call] = &calls[..] else { panic!("one call: {calls:?}") };
    assert_eq!((&call.cluster[..], call.context), (&b"auth"[..], exchange.context_id()));
    let headers = HeaderMap::from([
        (":method", "GET"),
        (":path", "/check"),
        (":authority", "auth"),
        ("content-length", "8"),
    ]);
    assert_eq!(call.request, Message::new(headers).body("question"));
    assert_eq!(call.timeout, Some(Duration::from_secs(1)));

    plugin.answer(call.token, answer("yes")).expect("no failure");
    assert_eq!(plugin.http_calls(), []);
    assert_eq!(exchange.request_outcome(), Outcome::Continue);
    assert_eq!(lines(&plugin.activity()), ["info: 200"]);
    // It has been answered.
    let error = plugin.answer(call.token, answer("yes")).expect_err("no such call");
    assert!(matches!(error.kind(), ErrorKind::UnknownCall { .. }), "{error}");
}

#[test]
fn a_handler_answers_as_soon_as_the_callback_is_over() {
    let options = Options::default().answer_calls(|call| {
        assert_eq!(call.request.headers.get_str(":path"), Some("/check"));
        answer("no")
    });
    let plugin = Plugin::with_options(&module(&authorisation()), options).expect("a start");
    let record = plugin.run(GET, [(":status", "200")]).expect("no failure");
    assert_eq!(record.response.headers.get_str(":status"), Some("403"));
    assert_eq!(record.response.body, b"no");
}

#[test]
fn a_call_times_out_when_the_clock_says_so() {
    let plugin = plugin(&authorisation());
    let exchange = begun(&plugin);
    plugin.advance(Duration::from_millis(999)).expect("no failure");
    assert_eq!(exchange.request_outcome(), Outcome::Pause);
    plugin.advance(Duration::from_millis(1)).expect("no failure");
    // The response that Envoy makes begins with `u`, not with `y`.
    assert_eq!(exchange.request_outcome(), Outcome::LocalReply);
    assert_eq!(exchange.record().response.body, b"upstream request timeout");
    assert_eq!(lines(&plugin.activity()), ["info: 504"]);
}

#[test]
fn a_broken_connection_is_an_answer_without_headers() {
    let plugin = plugin(&authorisation());
    let exchange = begun(&plugin);
    plugin.answer(plugin.http_calls()[0].token, Answer::Failure).expect("no failure");
    assert_eq!(exchange.record().response.headers.get_str(":status"), Some("503"));
    assert_eq!(lines(&plugin.activity()), ["info: reset"]);
}

#[test]
fn calls_to_unknown_clusters_and_without_headers_fail_at_once() {
    let bad = (u32::from(Status::BadArgument) + 48).to_string();
    let first_line = |plugin: &Plugin| begun(plugin).record().activity.log[0].message.clone();
    let options = Options::default().clusters(["another"]);
    let unknown = Plugin::with_options(&module(&authorisation()), options).expect("a start");
    assert_eq!(first_line(&unknown), [bad.parse().unwrap_or(0)]);
    assert_eq!(unknown.http_calls(), []);

    let on_headers = [&call(""), "(local.set $result (i32.const 1))"].concat();
    let without = plugin(&callback("request_headers", &on_headers));
    assert_eq!(first_line(&without), b"2");
}

#[test]
fn grpc_calls_and_streams_are_answered_message_by_message() {
    let say = |text: &str| format!("(drop (call $proxy_log (i32.const 2) '{text}'))");
    let given = |buffer_or_map: &str| {
        format!("(drop (call {buffer_or_map} (i32.const 0) (i32.const 4))) (call $log_given)")
    };
    let body = [
        callback(
            "request_headers",
            "(drop (call $proxy_grpc_call 'up' 'svc' 'One' '' 'hello' (i32.const 0) (i32.const 8)))
             (drop (call $proxy_grpc_stream 'up' 'svc' 'Many' '' (i32.const 12)))
             (drop (call $proxy_grpc_send (i32.load (i32.const 12)) 'one' (i32.const 0)))
             (drop (call $proxy_grpc_send (i32.load (i32.const 12)) 'two' (i32.const 1)))",
        ),
        callback(
            "grpc_receive_initial_metadata",
            &given("$proxy_get_header_map_value (i32.const 4) 'k'"),
        ),
        callback(
            "grpc_receive",
            &given("$proxy_get_buffer_bytes (i32.const 5) (i32.const 0) (i32.const -1)"),
        ),
        callback(
            "grpc_receive_trailing_metadata",
            &given("$proxy_get_header_map_value (i32.const 5) 'k'"),
        ),
        callback(
            "grpc_close",
            &[&say("close"), &given("$proxy_get_status (i32.const 16)")[..]].concat(),
        ),
    ]
    .concat();
    let plugin = plugin(&body);
    plugin.run(GET, [(":status", "200")]).expect("no failure");
    let calls = plugin.grpc_calls();
    let [one, many] = &calls[..] else { panic!("two calls: {calls:?}") };
    assert_eq!((&one.service[..], &one.method[..]), (&b"svc"[..], &b"One"[..]));
    assert_eq!(
        (one.is_stream, one.is_ended, &one.messages[..]),
        (false, true, &[b"hello".to_vec()][..])
    );
    assert_eq!((many.is_stream, many.is_ended), (true, true));
    assert_eq!(many.messages, [b"one".to_vec(), b"two".to_vec()]);

    plugin.grpc_message(one.token, "answer").expect("no failure");
    plugin.grpc_initial_metadata(many.token, [("k", "first")]).expect("no failure");
    plugin.grpc_message(many.token, "a").expect("no failure");
    plugin.grpc_message(many.token, "b").expect("no failure");
    plugin.grpc_trailing_metadata(many.token, [("k", "last")]).expect("no failure");
    plugin.grpc_close(many.token, 5, "not there").expect("no failure");
    let expected = ["answer", "first", "a", "b", "last", "close", "not there{via_upstream}"];
    assert_eq!(lines(&plugin.activity()), expected.map(|line| format!("info: {line}")));
    assert_eq!(plugin.grpc_calls(), []);
}

/// Logs the callbacks of gRPC, and the status in `proxy_on_grpc_close`.
fn grpc_log(begin: &str) -> String {
    let say = |text: &str| format!("(drop (call $proxy_log (i32.const 2) '{text}'))");
    let status = "(drop (call $proxy_get_status (i32.const 16) (i32.const 0) (i32.const 4)))
        (call $log_given)";
    [
        callback("request_headers", begin),
        callback("grpc_receive_initial_metadata", &say("initial")),
        callback("grpc_receive", &say("message")),
        callback("grpc_receive_trailing_metadata", &say("trailing")),
        callback("grpc_close", &[&say("close"), status].concat()),
    ]
    .concat()
}

const CALL: &str = "(drop (call $proxy_grpc_call 'up' 'svc' 'One' '' 'hello' (i32.const 1000)
    (i32.const 8)))";
const STREAM: &str = "(drop (call $proxy_grpc_stream 'up' 'svc' 'Many' '' (i32.const 8)))";

/// What the module logs about its only call, if this becomes of it.
fn grpc_lines(
    begin: &str,
    run: impl Fn(&Plugin, u32) -> Result<(), proxy_wasm_test::Error>,
) -> Vec<String> {
    let plugin = plugin(&grpc_log(begin));
    plugin.run(GET, [(":status", "200")]).expect("no failure");
    run(&plugin, plugin.grpc_calls()[0].token).expect("no failure");
    assert_eq!(plugin.grpc_calls(), []);
    plugin.activity().log.iter().map(|line| String::from_utf8_lossy(&line.message).into()).collect()
}

#[test]
fn a_grpc_stream_gets_its_metadata_before_its_status() {
    let closed = grpc_lines(STREAM, |plugin, token| plugin.grpc_close(token, 7, ""));
    assert_eq!(closed, ["initial", "trailing", "close", "via_upstream"]);
    let message = grpc_lines(STREAM, |plugin, token| {
        plugin.grpc_message(token, "text")?;
        plugin.grpc_close(token, 0, "")
    });
    assert_eq!(message, ["initial", "message", "trailing", "close", "via_upstream"]);
}

#[test]
fn a_grpc_call_gets_its_answer_or_its_status_only() {
    let answered = grpc_lines(CALL, |plugin, token| {
        plugin.grpc_initial_metadata(token, [(":status", "200")])?;
        plugin.grpc_message(token, "text")
    });
    assert_eq!(answered, ["message"]);
    let denied = grpc_lines(CALL, |plugin, token| {
        plugin.grpc_trailing_metadata(token, [("grpc-status", "7")])?;
        plugin.grpc_close(token, 7, "denied")
    });
    assert_eq!(denied, ["close", "denied{via_upstream}"]);
    let late = grpc_lines(CALL, |plugin, _| plugin.advance(Duration::from_secs(1)));
    assert_eq!(late, ["close", "upstream request timeout{response_timeout}"]);
}

#[test]
fn a_broken_connection_ends_grpc_streams() {
    let early = grpc_lines(STREAM, Plugin::grpc_reset);
    let early: Vec<_> = early.iter().map(String::as_str).collect();
    let ["initial", "trailing", "close", text] = early[..] else { panic!("{early:?}") };
    assert!(text.starts_with("upstream connect error"), "{text}");
    let late = grpc_lines(STREAM, |plugin, token| {
        plugin.grpc_initial_metadata(token, [(":status", "200")])?;
        plugin.grpc_reset(token)
    });
    let details = "upstream_reset_after_response_started{remote_reset}";
    assert_eq!(late, ["initial", "trailing", "close", details]);
}
