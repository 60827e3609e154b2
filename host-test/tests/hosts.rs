//! Several plugins in one host, foreign functions, the environment, and TCP connections.

mod common;

use common::{callback, module};
use proxy_wasm_test::{Activity, ErrorKind, Host, Options, Outcome, PeerType, Plugin, Status};

fn lines(activity: &Activity) -> Vec<String> {
    activity.log.iter().map(ToString::to_string).collect()
}

#[test]
fn queues_and_data_join_the_plugins_of_a_host() {
    let consumer = module(
        &[
            callback(
                "vm_start",
                "(drop (call $proxy_register_shared_queue 'jobs' (i32.const 0)))
                 (local.set $result (i32.const 1))",
            ),
            callback(
                "queue_ready",
                "(drop (call $proxy_dequeue_shared_queue
                    (local.get $token) (i32.const 0) (i32.const 4)))
                 (call $log_given)",
            ),
        ]
        .concat(),
    );
    let producer = module(&callback(
        "request_headers",
        "(drop (call $proxy_resolve_shared_queue 'consumer' 'jobs' (i32.const 0)))
         (drop (call $proxy_enqueue_shared_queue (i32.load (i32.const 0)) 'one'))
         (drop (call $proxy_enqueue_shared_queue (i32.load (i32.const 0)) 'two'))
         (drop (call $proxy_set_shared_data 'key' 'value' (i32.const 0)))",
    ));
    let host = Host::new();
    let started = |module, vm_id: &str| {
        host.plugin(module, Options::default().vm_id(vm_id)).expect("a start")
    };
    let consumer = started(&consumer, "consumer");
    let (first, second) = (started(&producer, "producer"), started(&producer, "producer"));
    first.run([(":path", "/")], [(":status", "200")]).expect("no failure");
    assert_eq!(lines(&consumer.activity()), ["info: one", "info: two"]);
    // Data belongs to the id of the VM.
    assert_eq!(second.shared_data("key"), Some(b"value".to_vec()));
    assert_eq!(consumer.shared_data("key"), None);
}

#[test]
fn a_queue_without_an_id_is_that_of_the_own_vm() {
    let module = module(
        &[
            callback(
                "foreign_function",
                "(drop (call $proxy_register_shared_queue 'jobs' (i32.const 0)))
                 (drop (call $proxy_resolve_shared_queue '' 'jobs' (i32.const 4)))
                 (drop (call $proxy_enqueue_shared_queue (i32.load (i32.const 4)) 'item'))
                 (drop (call $proxy_log (i32.const 2) 'before'))",
            ),
            callback("queue_ready", "(drop (call $proxy_log (i32.const 2) 'ready'))"),
        ]
        .concat(),
    );
    let plugin = Plugin::with_options(&module, Options::default().vm_id("vm")).expect("a start");
    plugin.call_foreign_function(0, "").expect("no failure");
    assert_eq!(lines(&plugin.activity()), ["info: before", "info: ready"]);
}

#[test]
fn events_without_an_end_are_an_error() {
    let module = module(
        &[
            callback(
                "foreign_function",
                "(drop (call $proxy_register_shared_queue 'q' (i32.const 0)))
                 (drop (call $proxy_enqueue_shared_queue (i32.const 1) ''))",
            ),
            callback("queue_ready", "(drop (call $proxy_enqueue_shared_queue (i32.const 1) ''))"),
        ]
        .concat(),
    );
    let plugin = Plugin::new(&module).expect("a start");
    let error = plugin.call_foreign_function(0, "").expect_err("an error");
    assert!(matches!(error.kind(), ErrorKind::TooManyEvents { .. }), "{error}");
}

#[test]
fn an_error_of_another_plugin_is_left_to_it() {
    let failing = module(
        &[
            callback(
                "vm_start",
                "(drop (call $proxy_register_shared_queue 'q' (i32.const 0)))
                 (local.set $result (i32.const 1))",
            ),
            callback("queue_ready", "unreachable"),
        ]
        .concat(),
    );
    let sender = module(&callback(
        "foreign_function",
        "(drop (call $proxy_enqueue_shared_queue (i32.const 1) 'item'))",
    ));
    let host = Host::new();
    let failing = host.plugin(&failing, Options::default()).expect("a start");
    let sender = host.plugin(&sender, Options::default()).expect("a start");
    sender.call_foreign_function(0, "").expect("no failure of its own");
    assert!(failing.failure().is_some_and(|cause| cause.contains("proxy_on_queue_ready")));
    let error = failing.exchange().err().expect("a failure");
    assert!(matches!(error.kind(), ErrorKind::Poisoned { .. }));
}

#[test]
fn foreign_functions_are_those_of_the_test() {
    let module = module(&callback(
        "request_headers",
        "(drop (call $proxy_call_foreign_function 'reverse' 'abc' (i32.const 48) (i32.const 52)))
         (drop (call $proxy_log (i32.const 2) (i32.load (i32.const 48)) (i32.load (i32.const 52))))
         (drop (call $proxy_call_foreign_function 'refuse' '' (i32.const 48) (i32.const 52)))
         (drop (call $proxy_call_foreign_function 'clear_route_cache' '' (i32.const 48) (i32.const 52)))
         (drop (call $proxy_call_foreign_function 'unknown' '' (i32.const 48) (i32.const 52)))",
    ));
    let options = Options::default()
        .foreign_function("reverse", |bytes| Ok(bytes.iter().rev().copied().collect()))
        .foreign_function("refuse", |_| Err(Status::BadArgument));
    let plugin = Plugin::with_options(&module, options).expect("a start");
    let activity = plugin.run([(":path", "/")], [(":status", "200")]).expect("no failure").activity;
    assert_eq!(lines(&activity), ["info: cba"]);
    let called = activity.host_calls.iter().filter(|call| call.name.ends_with("function"));
    let results: Vec<_> = called.map(|call| call.result).collect();
    assert_eq!(results, [0, Status::BadArgument.into(), 0, u32::from(Status::NotFound)]);
}

#[test]
fn the_environment_is_that_of_the_options() {
    let module = module(&callback(
        "foreign_function",
        "(drop (call $environ_sizes_get (i32.const 0) (i32.const 4)))
         (drop (call $environ_get (i32.const 8) (i32.const 16)))
         (drop (call $proxy_log (i32.const 2)
            (i32.load (i32.const 12)) (i32.sub (i32.load (i32.const 4)) (i32.const 6))))",
    ));
    let options = Options::default().environment("A", "bcd").environment("E", "f");
    let plugin = Plugin::with_options(&module, options).expect("a start");
    plugin.call_foreign_function(0, "").expect("no failure");
    assert_eq!(lines(&plugin.activity()), ["info: E=f\0"]);
}

#[test]
fn a_connection_passes_through_its_callbacks() {
    let say = |text: &str| format!("(drop (call $proxy_log (i32.const 2) '{text}'))");
    let shout =
        "(drop (call $proxy_set_buffer_bytes (i32.const 3) (i32.const 100) (i32.const 0) '!'))";
    let module = module(
        &[
            callback("new_connection", &say("new")),
            callback(
                "downstream_data",
                "(local.set $result (i32.lt_u (local.get $size) (i32.const 5)))",
            ),
            callback("upstream_data", shout),
            callback("upstream_connection_close", &say("upstream")),
            callback("downstream_connection_close", &say("downstream")),
            callback("done", &say("done")),
            callback("log", &say("log")),
            callback("delete", &say("delete")),
        ]
        .concat(),
    );
    let plugin = Plugin::new(&module).expect("a start");
    let mut connection = plugin.connection().expect("a connection");
    assert_eq!(connection.downstream_data("hel", false).ok(), Some(Outcome::Pause));
    assert_eq!(connection.record().to_upstream, b"");
    assert_eq!(connection.downstream_data("lo", true).ok(), Some(Outcome::Continue));
    assert!(connection.downstream_data("more", false).is_err(), "the client has ended");
    assert_eq!(connection.upstream_data("bye", true).ok(), Some(Outcome::Continue));
    let record = connection.finish_by(PeerType::Local).expect("no failure");
    assert_eq!((&record.to_upstream[..], &record.to_downstream[..]), (&b"hello"[..], &b"bye!"[..]));
    let expected = ["new", "upstream", "downstream", "done", "log", "delete"];
    assert_eq!(lines(&record.activity), expected.map(|line| format!("info: {line}")));
}

#[test]
fn a_plugin_can_be_shut_down() {
    let module = module(
        &[
            callback(
                "done",
                "(drop (call $proxy_log (i32.const 2) 'done')) (local.set $result (i32.const 1))",
            ),
            callback("delete", "(drop (call $proxy_log (i32.const 2) 'delete'))"),
        ]
        .concat(),
    );
    let plugin = Plugin::new(&module).expect("a start");
    let activity = plugin.shut_down().expect("no failure");
    assert_eq!(lines(&activity), ["info: done", "info: delete"]);
}
