//! The WASI functions that toolchains link into modules.

mod common;

use common::{callback, module, plugin};
use proxy_wasm_test::{Options, Plugin};

/// Logs this many bytes from address 0.
fn log_bytes(count: u32) -> String {
    format!("(drop (call $proxy_log (i32.const 2) (i32.const 0) (i32.const {count})))")
}

fn ticked(code: &str, options: Options) -> Plugin {
    let plugin = Plugin::with_options(&module(&callback("foreign_function", code)), options)
        .expect("a module that starts");
    plugin.call_foreign_function(0, "").expect("no failure");
    plugin
}

fn lines(plugin: &Plugin) -> Vec<String> {
    plugin.activity().log.iter().map(ToString::to_string).collect()
}

#[test]
fn standard_output_and_error_go_to_the_log() {
    // Two pieces: "panicked " and "at x\n", described at 0.
    let describe = "
        (i32.store (i32.const 0) (i32.const 2000)) (i32.store (i32.const 4) (i32.const 9))
        (i32.store (i32.const 8) (i32.const 2009)) (i32.store (i32.const 12) (i32.const 5))";
    let write = |fd: u32| {
        format!(
            "(drop (call $fd_write (i32.const {fd}) (i32.const 0) (i32.const 2) (i32.const 16)))"
        )
    };
    let code = [describe, &write(1), &write(2), &write(3), &log_bytes(20)].concat();
    let body = callback("foreign_function", &code) + "(data (i32.const 2000) \"panicked at x\\n\")";
    let plugin = plugin(&body);
    plugin.call_foreign_function(0, "").expect("no failure");
    assert_eq!(lines(&plugin)[..2], ["info: panicked at x", "error: panicked at x"]);
    let activity = plugin.activity();
    assert_eq!(activity.log[2].message[16..], [14, 0, 0, 0], "all of it was written");
    let results: Vec<_> = activity.host_calls.iter().map(|call| call.result).collect();
    assert_eq!(results, [0, 0, 8, 0], "3 is not an open file");
}

#[test]
fn writing_from_out_of_bounds_is_a_fault() {
    let code = "
        (drop (call $fd_write (i32.const 1) (i32.const 131072) (i32.const 1) (i32.const 16)))
        (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const -1) (i32.const 16)))
        (i64.store (i32.const 0) (i64.const -1))
        (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))";
    let plugin = ticked(code, Options::default());
    let results: Vec<_> = plugin.activity().host_calls.iter().map(|call| call.result).collect();
    assert_eq!(results, [21, 21, 21]);
    assert_eq!(lines(&plugin), <[&str; 0]>::default());
}

#[test]
fn random_bytes_follow_from_the_seed() {
    let code = ["(drop (call $random_get (i32.const 0) (i32.const 16)))", &log_bytes(16)].concat();
    let bytes = |seed| {
        ticked(&code, Options::default().random_seed(seed)).activity().log[0].message.clone()
    };
    assert_eq!(bytes(1), bytes(1));
    assert_ne!(bytes(1), bytes(2));
    assert_ne!(bytes(1)[..8], bytes(1)[8..]);
}

#[test]
fn there_are_no_arguments_and_no_environment() {
    let code = [
        "(i64.store (i32.const 0) (i64.const -1)) (i64.store (i32.const 8) (i64.const -1))
         (drop (call $environ_sizes_get (i32.const 0) (i32.const 4)))
         (drop (call $args_sizes_get (i32.const 8) (i32.const 12)))",
        &log_bytes(16),
    ]
    .concat();
    assert_eq!(ticked(&code, Options::default()).activity().log[0].message, [0; 16]);
}

#[test]
fn the_clock_is_the_hosts() {
    let code =
        ["(drop (call $clock_time_get (i32.const 0) (i64.const 1) (i32.const 0)))", &log_bytes(8)]
            .concat();
    let options = Options::default().fixed_time(std::time::Duration::from_nanos(258));
    assert_eq!(ticked(&code, options).activity().log[0].message, [2, 1, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn files_are_the_two_standard_ones_only() {
    let plugin = ticked(
        "(drop (call $fd_fdstat_get (i32.const 2) (i32.const 0)))
         (drop (call $fd_fdstat_get (i32.const 3) (i32.const 0)))
         (drop (call $fd_prestat_get (i32.const 3) (i32.const 0)))
         (drop (call $fd_seek (i32.const 1) (i64.const 0) (i32.const 0) (i32.const 0)))
         (drop (call $fd_close (i32.const 1)))
         (drop (call $sched_yield))
         (drop (call $proxy_log (i32.const 2) (i32.const 8) (i32.const 8)))",
        Options::default(),
    );
    let results: Vec<_> = plugin.activity().host_calls.iter().map(|call| call.result).collect();
    assert_eq!(results, [0, 8, 8, 0, 0, 0, 0]);
    assert_eq!(plugin.activity().log[0].message, [64, 0, 0, 0, 0, 0, 0, 0], "the right FD_WRITE");
}
