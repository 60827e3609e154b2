//! Failures of modules; each has its own error.

mod common;

use common::{IMPORTS, callback, compile, module, on_request_headers, plugin, text};
use proxy_wasm_test::{AbiVersion, Error, ErrorKind, Module, Options, Plugin, Status, is_provided};

const GET: [(&str, &str); 1] = [(":path", "/")];
const OK: [(&str, &str); 1] = [(":status", "200")];

/// The error with which the host rejects this module.
fn refusal(text: &str) -> Error {
    let wasm = wat::parse_str(text).expect("valid text");
    Module::new(wasm).err().expect("an error")
}

/// The error with which this module starts.
fn start_error(module: &Module) -> Error {
    Plugin::new(module).err().expect("an error")
}

#[test]
fn bytes_that_are_no_module_do_not_compile() {
    let error = Module::new("not wasm").err().expect("an error");
    assert!(matches!(error.kind(), ErrorKind::Compile { .. }), "{error}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Module::from_file("no/such.wasm").err().expect("an error");
    let expected = "cannot read no/such.wasm: No such file or directory (os error 2)";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn missing_exports_are_named() {
    for (export, message) in [
        (
            "proxy_abi_version_0_2_1",
            "the module does not export proxy_abi_version_0_2_1 or proxy_abi_version_0_2_0 or \
             proxy_abi_version_0_1_0",
        ),
        ("memory", "the module does not export memory"),
        (
            "proxy_on_memory_allocate",
            "the module does not export malloc or proxy_on_memory_allocate",
        ),
    ] {
        let without = text("").replace(&format!("\"{export}\""), "\"something_else\"");
        assert_eq!(refusal(&without).to_string(), message);
    }
}

/// A module of the first version: its callback for headers has no end of the stream, a header that
/// is missing is empty, and it continues the request by a function of its own.
#[test]
fn the_first_abi_runs() {
    let text = text(
        "(func (export \"proxy_on_request_headers\") (param i32 i32) (result i32)
            (drop (call $proxy_get_header_map_value
                (i32.const 0) 'missing' (i32.const 0) (i32.const 4)))
            (drop (call $proxy_continue_request))
            (i32.const 0))",
    )
    .replace("proxy_abi_version_0_2_1", "proxy_abi_version_0_1_0");
    let module = compile(&text);
    assert_eq!(module.abi_version(), AbiVersion::V0_1_0);
    let record = Plugin::new(&module).and_then(|plugin| plugin.run(GET, OK)).expect("no failure");
    let results: Vec<_> = record.activity.host_calls.iter().map(|call| call.result).collect();
    assert_eq!(results, [0, 0]);

    let newer = text.replace("proxy_abi_version_0_1_0", "proxy_abi_version_0_2_0");
    let expected = "the export proxy_on_request_headers is not a function from 3 i32 to one i32";
    assert_eq!(refusal(&newer).to_string(), expected);
    let newer = newer.replace("(param i32 i32) (result i32)", "(param i32 i32 i32) (result i32)");
    let expected = "the module has imports that Envoy does not provide: env.proxy_continue_request";
    assert_eq!(refusal(&newer).to_string(), expected);
}

#[test]
fn exports_of_the_wrong_type_are_named() {
    let wrong = text("(func (export \"proxy_on_tick\") (param i32 i32))");
    let message = "the export proxy_on_tick is not a function from 1 i32 to nothing";
    assert_eq!(refusal(&wrong).to_string(), message);
    let wrong = text("(func (export \"proxy_on_done\") (param i64) (result i32) (i32.const 0))");
    assert!(matches!(refusal(&wrong).kind(), ErrorKind::BadExport { name: "proxy_on_done", .. }));
    let wrong = text("(global (export \"malloc\") i32 (i32.const 0))");
    assert!(matches!(refusal(&wrong).kind(), ErrorKind::BadExport { name: "malloc", .. }));
}

#[test]
fn every_unknown_import_is_named() {
    let text = text("").replacen(
        "(module",
        r#"(module
            (import "env" "proxy_teleport" (func))
            (import "env" "proxy_done" (func (result i32)))
            (import "wasi_snapshot_preview1" "path_teleport" (func))"#,
        1,
    );
    let expected = "the module has imports that Envoy does not provide: \
        env.proxy_teleport, wasi_snapshot_preview1.path_teleport";
    assert_eq!(refusal(&text).to_string(), expected);
}

#[test]
fn an_import_of_the_wrong_type_is_named() {
    let import = "(module (import \"env\" \"proxy_done\" (func (param i32)))";
    let error = refusal(&text("").replacen("(module", import, 1));
    assert!(
        matches!(error.kind(), ErrorKind::Instantiate { message } if message.contains("proxy_done"))
    );
}

#[test]
fn the_whole_surface_can_be_imported() {
    let surface = |version: AbiVersion, mark: &str| {
        let of_version =
            |(module, name, _): &&(&str, &str, &str)| is_provided(version, module, name);
        let imports: Vec<_> = IMPORTS.iter().filter(of_version).collect();
        let names: String = imports.iter().flat_map(|(_, name, _)| [" $", name]).collect();
        let text = text(&format!("(elem declare func {names})"));
        (text.replace("proxy_abi_version_0_2_1", mark), imports.len())
    };
    for (version, mark) in [
        (AbiVersion::V0_1_0, "proxy_abi_version_0_1_0"),
        (AbiVersion::V0_2_0, "proxy_abi_version_0_2_0"),
        (AbiVersion::V0_2_1, "proxy_abi_version_0_2_1"),
    ] {
        let (all, count) = surface(version, mark);
        assert_eq!(compile(&all).imports().len(), count);
        let unstable = all.replace("wasi_snapshot_preview1", "wasi_unstable");
        assert_eq!(compile(&unstable).imports().len(), count);
    }
}

#[test]
fn a_trap_names_its_callback_and_the_functions_that_ran() {
    let plugin = plugin(
        &[
            "(func $deep_inside unreachable)".to_owned(),
            callback("request_headers", "(call $deep_inside)"),
        ]
        .concat(),
    );
    let error = plugin.run(GET, OK).expect_err("a trap");
    let expected =
        "proxy_on_request_headers trapped: wasm trap: wasm `unreachable` instruction executed";
    assert_eq!(error.kind().to_string(), expected);
    assert_eq!(error.stack()[0], "deep_inside");
    assert_eq!(error.stack().len(), 2);
}

#[test]
fn after_a_failure_nothing_runs_any_more() {
    let plugin = plugin(
        &[
            callback(
                "request_headers",
                "(drop (call $proxy_log (i32.const 5) 'panicked')) unreachable",
            ),
            callback("foreign_function", ""),
        ]
        .concat(),
    );
    let mut exchange = plugin.exchange().expect("an exchange");
    assert_eq!(plugin.failure(), None);
    let error = exchange.request_headers(GET, true).expect_err("a trap");
    let cause = error.kind().to_string();
    // The record up to the trap is available, also in the error.
    assert!(exchange.record().activity.logged("panicked"));
    assert!(error.record().is_some_and(|record| record.activity.logged("panicked")));
    let error = exchange.finish().expect_err("a poisoned plugin");
    assert!(matches!(error.kind(), ErrorKind::Poisoned { .. }));
    let error = plugin.call_foreign_function(0, "").expect_err("a poisoned plugin");
    assert_eq!(error.to_string(), format!("the plugin failed earlier: {cause}"));
    assert_eq!(plugin.failure(), Some(cause));
}

#[test]
fn a_failure_at_the_start_is_an_error_of_the_start() {
    let module = module("(func (export \"_initialize\") unreachable)");
    assert!(matches!(start_error(&module).kind(), ErrorKind::Trap { callback: "_initialize", .. }));
    let module = compile(&text("(func $trap unreachable) (start $trap)"));
    assert!(matches!(
        start_error(&module).kind(),
        ErrorKind::Trap { callback: "the start section", .. }
    ));
}

#[test]
fn an_endless_loop_runs_out_of_fuel() {
    let module = module(&callback("request_headers", "(loop $for_ever (br $for_ever))"));
    let plugin = Plugin::with_options(&module, Options::default().fuel(100_000)).expect("a start");
    let mut exchange = plugin.exchange().expect("an exchange");
    let error = exchange.request_headers(GET, true).expect_err("no fuel");
    assert_eq!(
        error.kind().to_string(),
        "proxy_on_request_headers exceeded its fuel limit of 100000"
    );
    assert_eq!(exchange.fuel_used(), 100_000);
}

#[test]
fn each_callback_has_fuel_of_its_own() {
    let body = callback(
        "foreign_function",
        "(local $i i32)
         (loop $again
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $i) (i32.const 10000))))",
    );
    let plugin =
        Plugin::with_options(&module(&body), Options::default().fuel(100_000)).expect("a start");
    for _ in 0..5 {
        plugin.call_foreign_function(0, "").expect("enough fuel");
    }
}

#[test]
fn an_endless_loop_of_host_calls_is_cut_off() {
    let module = module(&callback(
        "request_headers",
        "(loop $for_ever (drop (call $proxy_log (i32.const 2) 'again')) (br $for_ever))",
    ));
    let options = Options::default().max_host_calls(1000);
    let plugin = Plugin::with_options(&module, options).expect("a start");
    let mut exchange = plugin.exchange().expect("an exchange");
    let error = exchange.request_headers(GET, true).expect_err("too many");
    assert!(matches!(error.kind(), ErrorKind::TooManyHostCalls { limit: 1000, .. }));
    assert_eq!(exchange.record().activity.count("proxy_log"), 1000);
}

#[test]
fn endless_recursion_is_a_trap() {
    let direct = plugin(
        "(func $down (export \"proxy_on_foreign_function\") (param i32 i32 i32)
            (call $down (i32.const 0) (i32.const 0) (i32.const 0)))",
    );
    let error = direct.call_foreign_function(0, "").expect_err("a trap");
    assert!(error.to_string().contains("call stack exhausted"), "{error}");
}

#[test]
fn an_allocator_that_asks_the_host_for_bytes_is_cut_off() {
    let text = text(&callback(
        "foreign_function",
        "(drop (call $proxy_get_property 'plugin_root_id' (i32.const 0) (i32.const 4)))",
    ))
    .replace(
        "(global.get $free)\n",
        "(call $again (i32.const 0) (i32.const 0) (i32.const 0)) (global.get $free)\n",
    )
    .replace(
        "(func (export \"proxy_on_foreign_function\")",
        "(func $again (export \"proxy_on_foreign_function\")",
    );
    let options = Options::default().root_id("root");
    let plugin = Plugin::with_options(&compile(&text), options).expect("a start");
    let error = plugin.call_foreign_function(0, "").expect_err("a trap");
    assert!(error.to_string().contains("call stack exhausted"), "{error}");
}

/// As in Envoy, `proc_exit` returns; compilers put a trap behind it.
#[test]
fn a_module_that_exits_says_its_code() {
    let error = on_request_headers("(call $proc_exit (i32.const 3)) unreachable")
        .run(GET, OK)
        .expect_err("a trap");
    assert!(error.to_string().contains("\n    proc_exit(3) = 0"), "{error}");
}

#[test]
fn an_allocator_without_room_is_an_error() {
    let text = text(&callback(
        "request_headers",
        "(drop (call $proxy_get_header_map_value (i32.const 0) ':path' (i32.const 0) (i32.const 4)))",
    ))
    .replace("(i32.const 32768)", "(i32.const 0)");
    let error =
        Plugin::new(&compile(&text)).and_then(|plugin| plugin.run(GET, OK)).expect_err("no room");
    assert!(matches!(error.kind(), ErrorKind::AllocationFailed { size: 1, .. }));
}

#[test]
fn a_trap_of_the_allocator_is_a_trap_of_the_callback() {
    let text = text(&callback(
        "request_headers",
        "(drop (call $proxy_get_header_map_value (i32.const 0) ':path' (i32.const 0) (i32.const 4)))",
    ))
    .replace("(global.get $free)\n", "unreachable (global.get $free)\n");
    let error =
        Plugin::new(&compile(&text)).and_then(|plugin| plugin.run(GET, OK)).expect_err("a trap");
    assert!(matches!(error.kind(), ErrorKind::Trap { callback: "proxy_on_request_headers", .. }));
}

/// Calls every function that has a pointer parameter with one that is out of bounds.
#[test]
fn pointers_out_of_bounds_are_refused() {
    // The memory has 128 KiB: past the end, across the end, and a length that overflows.
    for (pointer, size) in [
        ("i32.const 131073", "i32.const 0"),
        ("i32.const 131070", "i32.const 4"),
        ("i32.const 131072", "i32.const -1"),
        ("i32.const -1", "i32.const -1"),
    ] {
        let bad = format!("({pointer}) ({size})");
        let code = format!(
            "(drop (call $proxy_log (i32.const 2) {bad}))
             (drop (call $proxy_get_header_map_value (i32.const 0) {bad} (i32.const 0) (i32.const 4)))
             (drop (call $proxy_add_header_map_value (i32.const 0) 'x' {bad}))
             (drop (call $proxy_replace_header_map_value (i32.const 0) {bad} 'x'))
             (drop (call $proxy_remove_header_map_value (i32.const 0) {bad}))
             (drop (call $proxy_set_header_map_pairs (i32.const 0) {bad}))
             (drop (call $proxy_send_local_response (i32.const 200) '' {bad} '' (i32.const -1)))
             (drop (call $proxy_get_property {bad} (i32.const 0) (i32.const 4)))
             (drop (call $proxy_set_property 'x' {bad}))
             (drop (call $proxy_define_metric (i32.const 0) {bad} (i32.const 0)))
             (drop (call $proxy_get_shared_data {bad} (i32.const 0) (i32.const 4) (i32.const 8)))
             (drop (call $proxy_set_shared_data 'x' {bad} (i32.const 0)))
             (drop (call $proxy_register_shared_queue {bad} (i32.const 0)))
             (drop (call $proxy_call_foreign_function 'x' {bad} (i32.const 0) (i32.const 4)))"
        );
        let record = on_request_headers(&code).run(GET, OK).expect("no failure");
        assert_eq!(record.activity.host_calls.len(), 14);
        for call in &record.activity.host_calls {
            assert_eq!(call.result, u32::from(Status::InvalidMemoryAccess), "{call} with {bad}");
        }
        assert_eq!(record.request, GET.into(), "nothing changed");
        assert_eq!(record.local_reply, None);
    }
}

#[test]
fn places_for_results_out_of_bounds_are_refused() {
    // One byte less than the four or eight that are written.
    let (four, eight) = ("(i32.const 131069)", "(i32.const 131065)");
    let code = format!(
        "(drop (call $proxy_get_header_map_value (i32.const 0) ':path' {four} (i32.const 0)))
         (drop (call $proxy_get_header_map_value (i32.const 0) ':path' (i32.const 0) {four}))
         (drop (call $proxy_get_header_map_size (i32.const 0) {four}))
         (drop (call $proxy_get_log_level {four}))
         (drop (call $proxy_get_current_time_nanoseconds {eight}))
         (drop (call $proxy_define_metric (i32.const 0) 'x' {four}))"
    );
    let record = on_request_headers(&code).run(GET, OK).expect("no failure");
    let results: Vec<_> = record.activity.host_calls.iter().map(|call| call.result).collect();
    assert_eq!(results, [u32::from(Status::InvalidMemoryAccess); 6]);
}

#[test]
fn an_allocator_that_points_out_of_bounds_is_refused() {
    let text = text(&callback(
        "request_headers",
        "(drop (call $proxy_get_header_map_value (i32.const 0) ':path' (i32.const 0) (i32.const 4)))",
    ))
    .replace("(i32.const 32768)", "(i32.const -1)");
    let record =
        Plugin::new(&compile(&text)).and_then(|plugin| plugin.run(GET, OK)).expect("no failure");
    assert_eq!(record.activity.host_calls[0].result, Status::InvalidMemoryAccess.into());
}
