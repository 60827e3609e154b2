//! Errors in files of cases.

use super::{run, with_probe};

/// The findings about this file, which must have errors.
#[track_caller]
fn findings(cases: &str) -> String {
    let output = run(cases);
    assert_eq!((output.code, &*output.stdout), (Some(1), ""), "{}", output.stderr);
    let (findings, last) = output.stderr.trim_end().rsplit_once('\n').expect("lines");
    assert_eq!(last, "ingressctl: no cases were run: correct them first");
    findings.to_owned()
}

#[test]
fn each_mistake_is_found_at_its_position() {
    let found = findings(include_str!("faulty.yaml")) + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write("tests/module_test/findings.txt", &found).expect("write");
    }
    let golden = std::fs::read_to_string("tests/module_test/findings.txt").expect("read");
    assert_eq!(found, golden);
}

#[test]
fn files_without_cases_are_errors() {
    for (text, expected) in [
        ("", "cases.yaml:1:1: error: has no tests; add some [no-tests]"),
        ("tests: []", "cases.yaml:1:1: error: tests: has no tests; add some [no-tests]"),
        ("a: b", "unknown field; known here: tests [unknown-field-in-test]"),
    ] {
        assert!(findings(text).contains(expected), "{}", findings(text));
    }
    let sandbox = with_probe();
    sandbox.write("cases/notes.txt", "text");
    let output = sandbox.run(&["module", "test", "probe.wasm", "cases", "missing.yaml"]);
    assert_eq!(output.code, Some(1));
    assert!(output.stderr.contains("cases:1:1: error: has no tests ("), "{}", output.stderr);
    assert!(output.stderr.contains("missing.yaml:1:1: error: "), "{}", output.stderr);
}

#[test]
fn what_is_not_a_module_is_an_error() {
    let sandbox = with_probe();
    sandbox.write("cases.yaml", "tests: [{name: a, request: {}, expect: {outcome: continue}}]");
    sandbox.write("text.wasm", "text");
    let wasm = wat::parse_str(
        r#"(module (import "env" "abort" (func)) (memory (export "memory") 1)
            (func (export "proxy_abi_version_0_2_1"))
            (func (export "malloc") (param i32) (result i32) i32.const 0))"#,
    );
    std::fs::write(sandbox.path("abort.wasm"), wasm.expect("a module")).expect("write");
    for (module, expected) in [
        ("missing.wasm", "cannot read the module missing.wasm: "),
        ("text.wasm", "text.wasm: cannot compile the module: "),
        ("abort.wasm", "abort.wasm: the module has imports that Envoy does not provide: env.abort"),
    ] {
        let output = sandbox.run(&["module", "test", module, "cases.yaml"]);
        assert_eq!((output.code, &*output.stdout), (Some(1), ""));
        assert!(output.stderr.contains(expected), "{}", output.stderr);
    }
}
