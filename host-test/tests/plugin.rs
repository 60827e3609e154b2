//! The plugin: start, configuration, ticks, and the state that its contexts share.

mod common;

use std::time::Duration;

use common::{callback, compile, module, plugin, text};
use proxy_wasm_test::{ErrorKind, LogLevel, MetricType, Options, Plugin, Status};

const OK: [(&str, &str); 1] = [(":status", "200")];

/// Logs a configuration, with the length that the callback gets.
fn log_configuration(buffer: u32) -> String {
    format!(
        "(drop (call $proxy_get_buffer_bytes (i32.const {buffer}) (i32.const 0) (local.get $size)
            (i32.const 0) (i32.const 4)))
         (call $log_given)"
    )
}

/// The log lines of the plugin outside of exchanges.
fn lines(plugin: &Plugin) -> Vec<String> {
    plugin.activity().log.iter().map(ToString::to_string).collect()
}

/// The results of the plugin's host calls outside of exchanges.
fn results(plugin: &Plugin) -> Vec<u32> {
    plugin.activity().host_calls.iter().map(|call| call.result).collect()
}

#[test]
fn the_start_sees_the_configuration_of_the_vm() {
    let module = module(&callback(
        "vm_start",
        &[&log_configuration(6), "(local.set $result (i32.const 1))"].concat(),
    ));
    let plugin = Plugin::with_options(&module, Options::default().vm_configuration("for the VM"))
        .expect("a module that starts");
    assert_eq!(lines(&plugin), ["info: for the VM"]);
}

#[test]
fn a_module_may_refuse_to_start() {
    let refused = Plugin::new(&module(&callback("vm_start", ""))).err().expect("an error");
    assert!(matches!(refused.kind(), ErrorKind::StartRefused));
}

#[test]
fn initialize_runs_main_and_comes_before_start() {
    let say = |text: &str| format!("(drop (call $proxy_log (i32.const 2) '{text}'))");
    let body = format!(
        r#"(func (export "_initialize") {})
           (func (export "main") (param i32 i32) (result i32) {} (i32.const 0))
           (func (export "_start") {})"#,
        say("_initialize"),
        say("main"),
        say("_start"),
    );
    assert_eq!(lines(&plugin(&body)), ["info: _initialize", "info: main"]);
    let command = body.replace("_initialize", "_not_initialize");
    assert_eq!(lines(&plugin(&command)), ["info: _start"]);
}

#[test]
fn the_configuration_of_the_options_is_there_from_the_start() {
    let read = "(drop (call $proxy_get_buffer_bytes (i32.const 7) (i32.const 0) (i32.const 99)
        (i32.const 0) (i32.const 4))) (call $log_given)";
    let accept = "(local.set $result (i32.lt_u (local.get $size) (i32.const 4)))";
    let module = module(
        &[callback("context_create", read), callback("configure", &[read, accept].concat())]
            .concat(),
    );
    let start = |text: &str| Plugin::with_options(&module, Options::default().configuration(text));
    assert_eq!(lines(&start("abc").expect("a start")), ["info: abc", "info: abc"]);
    let refused = start("too long").err().expect("an error");
    assert!(matches!(refused.kind(), ErrorKind::ConfigurationRefused), "{refused}");
    assert_eq!(refused.log().len(), 2);
}

#[test]
fn a_second_configuration_comes_to_the_same_root_context() {
    let code = [&log_configuration(7), "(local.set $result (i32.const 1))"].concat();
    let plugin = plugin(&callback("configure", &code));
    assert_eq!(plugin.configure("first").ok(), Some(true));
    assert_eq!(plugin.configure("the second").ok(), Some(true));
    assert_eq!(lines(&plugin), ["info: first", "info: the second"]);
}

#[test]
fn a_configuration_may_be_refused() {
    // Accepts configurations of three bytes.
    let code = "(local.set $result (i32.eq (local.get $size) (i32.const 3)))";
    let plugin = plugin(&callback("configure", code));
    assert_eq!(plugin.configure("no").ok(), Some(false));
    assert_eq!(plugin.configure("yes").ok(), Some(true));
}

#[test]
fn the_configuration_is_there_only_while_it_is_given() {
    let plugin = plugin(&callback(
        "foreign_function",
        "(drop (call $proxy_get_buffer_bytes (i32.const 7) (i32.const 0) (i32.const 9)
            (i32.const 0) (i32.const 4)))",
    ));
    plugin.configure("gone").expect("no failure");
    plugin.call_foreign_function(0, "").expect("no failure");
    assert_eq!(results(&plugin), [u32::from(Status::NotFound)]);
}

/// Logs a word and the id of the context, as a character: `1` is the first.
fn say_context(word: &str) -> String {
    format!(
        "(i32.store8 (i32.const 0) (i32.add (i32.const 48) (local.get $context)))
         (drop (call $proxy_log (i32.const 2) '{word}'))
         (drop (call $proxy_log (i32.const 2) (i32.const 0) (i32.const 1)))"
    )
}

#[test]
fn reload_makes_a_new_root_context_and_deletes_the_old_one_when_idle() {
    let plugin = plugin(
        &[
            callback("configure", "(local.set $result (i32.lt_u (local.get $size) (i32.const 4)))"),
            callback("request_headers", ""),
            callback("done", &[&say_context("done"), "(local.set $result (i32.const 1))"].concat()),
            callback("delete", &say_context("delete")),
        ]
        .concat(),
    );
    assert_eq!(plugin.configure("one").ok(), Some(true));
    let exchange = plugin.exchange().expect("an exchange");
    assert_eq!(plugin.reload("two").ok(), Some(true));
    assert_eq!(lines(&plugin), <[&str; 0]>::default(), "the old root still has a stream");
    exchange.finish().expect("no failure");
    let gone = ["info: done", "info: 1", "info: delete", "info: 1"];
    assert_eq!(lines(&plugin), gone);

    // If a configuration is rejected, its root context is deleted and the current one stays.
    assert_eq!(plugin.reload("too long").ok(), Some(false));
    assert_eq!(lines(&plugin)[4..], ["info: done", "info: 4", "info: delete", "info: 4"]);
    assert_eq!(plugin.reload("two").ok(), Some(true));
    assert_eq!(lines(&plugin)[8..], ["info: done", "info: 3", "info: delete", "info: 3"]);
}

#[test]
fn a_root_context_that_is_not_done_waits_for_proxy_done() {
    let plugin = plugin(
        &[
            callback("done", &say_context("done")),
            callback("delete", &say_context("delete")),
            callback(
                "foreign_function",
                "(drop (call $proxy_done))
                 (drop (call $proxy_set_effective_context (i32.const 1)))
                 (drop (call $proxy_done))",
            ),
        ]
        .concat(),
    );
    plugin.reload("two").expect("no failure");
    assert_eq!(lines(&plugin), ["info: done", "info: 1"]);
    plugin.call_foreign_function(0, "").expect("no failure");
    assert_eq!(lines(&plugin)[2..], ["info: delete", "info: 1"]);
    let calls = plugin.activity().host_calls;
    let done: Vec<_> = calls.iter().filter(|call| call.name == "proxy_done").collect();
    // The current root context is not waiting for `proxy_done`.
    assert_eq!((done[0].result, done[1].result), (Status::NotFound.into(), 0));
}

#[test]
fn the_tick_period_is_remembered_and_taken_back() {
    let plugin = plugin(&callback(
        "configure",
        "(drop (call $proxy_set_tick_period_milliseconds (local.get $size)))",
    ));
    assert_eq!(plugin.tick_period(), None);
    plugin.configure("12345").expect("no failure");
    assert_eq!(plugin.tick_period(), Some(Duration::from_millis(5)));
    plugin.configure("").expect("no failure");
    assert_eq!(plugin.tick_period(), None);
}

/// A plugin that sets the size of its configuration as tick period, in milliseconds.
fn ticking(on_tick: &str) -> Plugin {
    let set = "(drop (call $proxy_set_tick_period_milliseconds (local.get $size)))
               (local.set $result (i32.const 1))";
    plugin(&[callback("configure", set), callback("tick", on_tick)].concat())
}

#[test]
fn a_tick_runs_in_the_root_context() {
    let plugin = ticking(&say_context("tick"));
    let error = plugin.tick().expect_err("no timer");
    assert!(matches!(error.kind(), ErrorKind::NoTimer));
    plugin.configure("12345").expect("no failure");
    plugin.tick().expect("no failure");
    assert_eq!(lines(&plugin), ["info: tick", "info: 1"]);
}

#[test]
fn timers_run_when_the_clock_advances() {
    let ticks = |plugin: &Plugin| plugin.activity().count("proxy_log");
    let plugin = ticking("(drop (call $proxy_log (i32.const 2) 'tick'))");
    plugin.advance(Duration::from_secs(1)).expect("no failure");
    assert_eq!(ticks(&plugin), 0, "there is no timer");
    plugin.configure("1234567890").expect("no failure");
    plugin.advance(Duration::from_millis(9)).expect("no failure");
    assert_eq!(ticks(&plugin), 0);
    plugin.advance(Duration::from_millis(1)).expect("no failure");
    assert_eq!(ticks(&plugin), 1);
    plugin.advance(Duration::from_millis(35)).expect("no failure");
    assert_eq!(ticks(&plugin), 4);
    // A timer that is stopped expires once more, as in Envoy.
    plugin.configure("").expect("no failure");
    plugin.advance(Duration::from_secs(1)).expect("no failure");
    assert_eq!(ticks(&plugin), 5);
}

#[test]
fn metrics_count_as_their_type_says() {
    let define = |metric_type: u32, name: &str| {
        format!(
            "(drop (call $proxy_define_metric (i32.const {metric_type}) '{name}' (i32.const 0)))"
        )
    };
    let plugin = plugin(&callback(
        "configure",
        &[
            &define(0, "hits"),
            &define(1, "open"),
            &define(2, "time"),
            // The lowest bits of an id are the type.
            "(drop (call $proxy_increment_metric (i32.const 4) (i64.const 2)))
             (drop (call $proxy_record_metric (i32.const 4) (i64.const 3)))
             (drop (call $proxy_record_metric (i32.const 5) (i64.const 9)))
             (drop (call $proxy_increment_metric (i32.const 5) (i64.const -4)))
             (drop (call $proxy_record_metric (i32.const 6) (i64.const 7)))
             (drop (call $proxy_record_metric (i32.const 6) (i64.const 8)))
             (drop (call $proxy_get_metric (i32.const 5) (i32.const 8)))",
            // A counter only grows, a histogram has no value, there is one counter, and 7 is not an id.
            "(drop (call $proxy_increment_metric (i32.const 4) (i64.const -1)))
             (drop (call $proxy_get_metric (i32.const 6) (i32.const 8)))
             (drop (call $proxy_get_metric (i32.const 8) (i32.const 8)))
             (drop (call $proxy_get_metric (i32.const 7) (i32.const 8)))",
            &define(0, "hits"),
            &define(3, "unknown type"),
            "(drop (call $proxy_log (i32.const 2) (i32.const 0) (i32.const 16)))",
        ]
        .concat(),
    ));
    plugin.configure("").expect("no failure");
    assert_eq!((plugin.metric("hits"), plugin.metric("open")), (Some(5), Some(5)));
    let metrics = plugin.metrics();
    assert_eq!(metrics.len(), 3);
    assert_eq!(metrics[2].metric_type, MetricType::Histogram);
    assert_eq!((&metrics[2].name[..], &metrics[2].samples[..]), (&b"time"[..], &[7, 8][..]));
    assert_eq!(results(&plugin)[10..], [2, 2, 1, 2, 0, 2, 0]);
    // A metric that is defined again has two ids.
    assert_eq!(plugin.activity().log[0].message[..4], [8, 0, 0, 0]);
    assert_eq!(plugin.activity().log[0].message[8..], [5, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(
        plugin.activity().host_calls[3].to_string(),
        "proxy_increment_metric(counter, hits) = 0"
    );
}

#[test]
fn shared_data_is_compared_and_swapped() {
    let get =
        "(drop (call $proxy_get_shared_data 'key' (i32.const 0) (i32.const 4) (i32.const 8)))";
    let set = "(drop (call $proxy_set_shared_data 'key' 'VALUE' (CAS)))";
    let set = |value: &str, cas: &str| set.replace("VALUE", value).replace("CAS", cas);
    let plugin = plugin(&callback(
        "foreign_function",
        &[
            get,
            &set("one", "i32.const 0"),
            get,
            "(call $log_given)",
            &set("two", "i32.load (i32.const 8)"),
            &set("three", "i32.load (i32.const 8)"),
        ]
        .concat(),
    ));
    plugin.call_foreign_function(0, "").expect("no failure");
    let calls = plugin.activity().host_calls;
    let results: Vec<_> =
        calls.iter().filter(|call| call.name != "proxy_log").map(|call| call.result).collect();
    assert_eq!(results, [Status::NotFound.into(), 0, 0, 0, u32::from(Status::CasMismatch)]);
    assert_eq!(lines(&plugin), ["info: one"]);
    assert_eq!(plugin.shared_data("key"), Some(b"two".to_vec()));
}

#[test]
fn a_queue_gives_back_what_came_first() {
    let module = module(&callback(
        "foreign_function",
        "(drop (call $proxy_resolve_shared_queue 'vm' 'jobs' (i32.const 12)))
         (drop (call $proxy_register_shared_queue 'jobs' (i32.const 8)))
         (drop (call $proxy_resolve_shared_queue 'vm' 'jobs' (i32.const 12)))
         (drop (call $proxy_resolve_shared_queue 'other' 'jobs' (i32.const 12)))
         (drop (call $proxy_enqueue_shared_queue (i32.load (i32.const 8)) 'one'))
         (drop (call $proxy_enqueue_shared_queue (i32.load (i32.const 12)) 'two'))
         (drop (call $proxy_enqueue_shared_queue (i32.const 7) 'three'))
         (drop (call $proxy_dequeue_shared_queue (i32.const 1) (i32.const 0) (i32.const 4)))
         (call $log_given)
         (drop (call $proxy_dequeue_shared_queue (i32.const 1) (i32.const 0) (i32.const 4)))
         (call $log_given)
         (drop (call $proxy_dequeue_shared_queue (i32.const 1) (i32.const 0) (i32.const 4)))",
    ));
    let plugin = Plugin::with_options(&module, Options::default().vm_id("vm"))
        .expect("a module that starts");
    plugin.call_foreign_function(0, "").expect("no failure");
    let calls = plugin.activity().host_calls;
    let results: Vec<_> =
        calls.iter().filter(|call| call.name != "proxy_log").map(|call| call.result).collect();
    let (not_found, empty) = (Status::NotFound.into(), Status::Empty.into());
    assert_eq!(results, [not_found, 0, 0, not_found, 0, 0, not_found, 0, 0, empty]);
    assert_eq!(lines(&plugin), ["info: one", "info: two"]);
}

#[test]
fn log_lines_below_the_level_are_dropped() {
    let body = callback(
        "foreign_function",
        "(drop (call $proxy_log (i32.const 1) 'debug'))
         (drop (call $proxy_log (i32.const 3) 'warn \\ff'))
         (drop (call $proxy_log (i32.const 6) 'no such level'))
         (drop (call $proxy_get_log_level (i32.const 0)))
         (drop (call $proxy_log (i32.const 5) (i32.const 0) (i32.const 4)))",
    );
    let module = module(&body);
    let log = |options: Options| {
        let plugin = Plugin::with_options(&module, options).expect("a module that starts");
        plugin.call_foreign_function(0, "").expect("no failure");
        plugin.activity().log
    };
    let log_at_info = log(Options::default());
    assert_eq!(log_at_info.len(), 2);
    assert_eq!(
        (log_at_info[0].level, &log_at_info[0].message[..]),
        (LogLevel::Warn, &b"warn \xff"[..])
    );
    assert_eq!(log_at_info[1].message, [2, 0, 0, 0]);
    assert_eq!(log(Options::default().log_level(LogLevel::Debug))[0].message, b"debug");
}

#[test]
fn the_clock_can_be_stopped_and_moved() {
    let module = module(&callback(
        "foreign_function",
        "(drop (call $proxy_get_current_time_nanoseconds (i32.const 0)))
         (drop (call $proxy_log (i32.const 2) (i32.const 0) (i32.const 8)))",
    ));
    let start = |options| Plugin::with_options(&module, options).expect("a module that starts");
    let time = |plugin: &Plugin| {
        plugin.call_foreign_function(0, "").expect("no failure");
        let log = plugin.activity().log;
        let bytes = log.last().expect("a line").message.clone();
        u64::from_le_bytes(bytes.try_into().expect("eight bytes"))
    };
    let stopped = start(Options::default().fixed_time(Duration::from_secs(7)));
    assert_eq!(time(&stopped), 7_000_000_000);
    stopped.advance(Duration::from_millis(1_500)).expect("no failure");
    assert_eq!(time(&stopped), 8_500_000_000);
    stopped.advance(Duration::MAX).expect("no failure");
    assert_eq!(time(&stopped), u64::MAX, "the clock stops at its maximum");
    let running = start(Options::default());
    assert!(time(&running) > 1_700_000_000_000_000_000, "the host's clock");
}

#[test]
fn the_status_of_callouts_is_empty() {
    let plugin = plugin(&callback(
        "foreign_function",
        "(i64.store (i32.const 0) (i64.const -1))
         (drop (call $proxy_get_status (i32.const 8) (i32.const 0) (i32.const 4)))
         (call $log_given)",
    ));
    plugin.call_foreign_function(0, "").expect("no failure");
    assert_eq!(lines(&plugin), ["info: "]);
}

#[test]
fn memory_grows_up_to_its_limit() {
    // Grows by pages of 64 KiB and returns the result of `memory.grow`.
    let body = callback(
        "configure",
        "(local.set $result (i32.ne (memory.grow (local.get $size)) (i32.const -1)))",
    );
    let options = Options::default().memory_limit(4 << 16);
    let plugin = Plugin::with_options(&module(&body), options).expect("a module that starts");
    assert_eq!(plugin.memory_size(), 2 << 16);
    assert_eq!(plugin.configure("12").ok(), Some(true));
    assert_eq!(plugin.memory_size(), 4 << 16);
    assert_eq!(plugin.configure("1").ok(), Some(false));
}

#[test]
fn malloc_is_an_allocator_too_and_the_older_abi_is_taken() {
    let text = text(&callback(
        "foreign_function",
        "(drop (call $proxy_get_property 'plugin_root_id' (i32.const 0) (i32.const 4)))
         (call $log_given)",
    ))
    .replace("proxy_on_memory_allocate", "malloc")
    .replace("proxy_abi_version_0_2_1", "proxy_abi_version_0_2_0");
    let plugin = Plugin::with_options(&compile(&text), Options::default().root_id("found"))
        .expect("a module that starts");
    plugin.call_foreign_function(0, "").expect("no failure");
    assert_eq!(lines(&plugin), ["info: found"]);
}

#[test]
fn plugins_of_one_module_run_side_by_side_in_threads() {
    let module = module(&callback(
        "request_headers",
        "(drop (call $proxy_get_header_map_value (i32.const 0) ':path' (i32.const 0) (i32.const 4)))
         (call $log_given)",
    ));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let module = module.clone();
            scope.spawn(move || {
                let plugin = Plugin::new(&module).expect("a module that starts");
                let path = format!("/{thread}");
                let record = plugin.run([(":path", &path)], OK).expect("no failure");
                assert!(record.activity.logged(&path));
            });
        }
    });
}
