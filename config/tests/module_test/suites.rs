//! Suites in the format of service-extensions.

use std::fmt::Write as _;

use super::sandbox::{Output, Sandbox};
use super::with_probe;

fn sandbox(file: &str, text: &str) -> Sandbox {
    let sandbox = with_probe();
    sandbox.write(file, text);
    sandbox.write("body.txt", "a body\n");
    sandbox.write("good.txt", "good");
    sandbox
}

fn run(file: &str, text: &str) -> Output {
    sandbox(file, text).run(&["module", "test", "probe.wasm", file])
}

#[test]
fn every_kind_of_expectation_can_be_met() {
    run("s.textpb", include_str!("suite.textpb")).expect(0, "4 passed, 0 failed\n", "");
    // Paths are relative to the suite.
    let sandbox = sandbox("folder/s.txtpb", include_str!("suite.textpb"));
    sandbox.write("folder/body.txt", "another body");
    sandbox.run(&["module", "test", "probe.wasm", "folder"]).expect(0, "4 passed, 0 failed\n", "");
}

#[test]
fn every_kind_of_expectation_can_fail() {
    let phase = |phase: &str, result: &str| format!("test {{ name: 'x'\n{phase} {{ {result} }} }}");
    let get = "input { header { key: 'a' value: 'b' } }";
    let deny = "input { header { key: 'x-deny' } }";
    for (suite, expected, got) in [
        (
            phase(
                "request_headers",
                &format!("{get} result {{ has_header {{ key: 'a' value: 'c' }} }}"),
            ),
            "a: c",
            "a: b",
        ),
        (
            phase("request_headers", "result { has_header { key: 'a' value: 'c' } }"),
            "a: c",
            "a is absent",
        ),
        (
            phase("request_headers", "result { no_header { key: 'x-added' value: 'c' } }"),
            "x-added is absent",
            "x-added: yes",
        ),
        (
            phase("request_headers", "result { headers { regex: 'a' } }"),
            "a header that matches a",
            "x-added: yes",
        ),
        (
            phase("request_headers", "result { headers { exact: 'x-added: yes' invert: true } }"),
            "not a header that is x-added: yes",
            "x-added: yes",
        ),
        (
            phase("request_headers", "result { log { exact: 'tick' } }"),
            "a line that is tick",
            "request seen",
        ),
        (phase("request_headers", "result { immediate {} }"), "a local reply", "no local reply"),
        (phase("request_headers", deny), "no local reply", "a local reply with status 403"),
        (
            phase("request_headers", "input { header { key: 'x-pause' } }"),
            "no local reply",
            "the module pauses the stream",
        ),
        (
            phase(
                "request_headers",
                &format!("{deny} result {{ immediate {{ http_status: 401 details: 'd' }} }}"),
            ),
            "a local reply with status 401, details d",
            "a local reply with status 403, gRPC status 7, details denied",
        ),
        (
            phase(
                "request_headers",
                &format!("{deny} result {{ immediate {{}} body {{ exact: 'x' }} }}"),
            ),
            "a body that is x",
            "go away",
        ),
        (
            phase("response_headers", "result { has_header { key: 'x-from' value: 'upstream' } }"),
            "x-from: upstream",
            "x-from: module",
        ),
        (
            phase("request_body", "input { content: 'x' } result { body { regex: 'x' } }"),
            "a body that matches x",
            "changed",
        ),
        (
            phase("response_body", "input { content: 'x' } result { body { file: 'body.txt' } }"),
            "a body that is a body\\n",
            "x",
        ),
        (phase("plugin_init", "log { regex: 'x' }"), "a line that matches x", "started"),
        (phase("stream_init", "log { regex: 'x' }"), "a line that matches x", "(none)"),
        (phase("stream_destroy", "log { regex: 'x' }"), "a line that matches x", "(none)"),
        (
            phase("request_headers", "input { header { key: 'x-panic' } }"),
            "it runs without failing",
            "proxy_on_request_headers trapped: wasm trap: wasm `unreachable` instruction executed",
        ),
    ] {
        let output = run("s.textpb", &suite);
        assert_eq!((output.code, &*output.stderr), (Some(1), ""), "{suite}");
        assert!(output.stdout.starts_with("FAIL s.textpb:1: x\n"), "{}", output.stdout);
        let difference = format!("- expected: {expected}\n         + got:      {got}\n");
        assert!(output.stdout.contains(&difference), "{suite}\n{}", output.stdout);
    }
}

#[test]
fn after_a_local_reply_later_expectations_fail() {
    let output = run(
        "s.textpb",
        "test {
  name: 'x'
  request_headers { input { header { key: 'x-deny' } } result { immediate { } } }
  response_headers { result { has_header { key: 'x-from' value: 'module' } } }
}",
    );
    assert_eq!(output.code, Some(1));
    let difference = "       response_headers.result.has_header (s.textpb:4)\n         - expected: x-from: module\n         + got:      x-from is absent\n";
    assert!(output.stdout.contains(difference), "{}", output.stdout);
}

#[test]
fn the_same_structure_in_yaml() {
    let suite = "
test:
- name: adds a header
  benchmark: 'true'
  request_headers:
    input: {content: \"GET /x HTTP/1.1\\r\\nHost: a.example\\r\\n\"}
    result:
      has_header: [{key: x-added, value: 'yes'}, {key: ':authority', value: a.example}]
      headers: [{exact: 'host: a.example', invert: 'true'}]
";
    run("s.yaml", suite).expect(0, "1 passed, 0 failed\n", "");
    let output = run("s.yaml", &suite.replace("a.example}", "b.example}"));
    assert_eq!(output.code, Some(1));
    assert!(output.stdout.contains("+ got:      :authority: a.example\n"), "{}", output.stdout);
}

#[test]
fn the_clock_stands_and_the_configuration_is_read() {
    let sandbox = sandbox("s.textpb", "env { config_path: 'bad.txt' } test { name: 'x' }");
    sandbox.write("bad.txt", "bad");
    let output = sandbox.run(&["module", "test", "probe.wasm", "s.textpb"]);
    assert!(output.stdout.contains("+ got:      the module rejects it\n"), "{}", output.stdout);
    sandbox.write("s.textpb", "test { name: 'x' }");
    let arguments = ["module", "test", "probe.wasm", "s.textpb"];
    assert_eq!(sandbox.run(&arguments).code, Some(0));
    let output = sandbox.run(&[&arguments[..], &["--config", "bad.txt"]].concat());
    assert_eq!(output.code, Some(1), "{}", output.stdout);
}

#[test]
fn mistakes_are_found_at_their_positions() {
    let mut found = String::new();
    for suite in [
        "test { name: 'x' request_header { } }",
        "tests { }",
        "test {\n  request_headers { input { header { value: 'v' } } }\n}",
        "test { name: 'x' request_headers { result { log { regex: '(' } body { } } } }",
        "test { name: 'x' request_headers { input { content: 'x' } } }",
        "test { name: 'x' request_body { input { file: 'missing' } } }",
        "test { name: 'x' num_chunks: 0 chunk_size: 1 }",
        "test { name: 'x' num_chunks: 2 request_body { } request_body { } }",
        "test { name: 'x' name: 'y' }",
        "env { log_level: LOUD } test { name: 'x' }",
        "test { name: 'x'",
        "test { name: \"\\xff\" }",
        "",
    ] {
        let output = run("s.textpb", suite);
        assert_eq!((output.code, &*output.stdout), (Some(1), ""), "{suite}: {}", output.stderr);
        let (findings, _) = output.stderr.trim_end().rsplit_once('\n').expect("lines");
        let _ = writeln!(found, "{suite}\n{findings}\n");
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write("tests/module_test/suite-findings.txt", &found).expect("write");
    }
    let golden = std::fs::read_to_string("tests/module_test/suite-findings.txt").expect("read");
    assert_eq!(found, golden);
}
