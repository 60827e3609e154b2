//! The command `test` in scripts: manifests and test files in, exit code and
//! results out.

mod sandbox;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ingressctl::route_test::read_text;
use quick_xml::Reader;
use quick_xml::events::Event;
use sandbox::Output;
use serde_json::{Value, json};
use tempfile::TempDir;

/// In the format of the first versions of Envoy's route check tool.
const OLD: &str = r#"[
  {
    "test_name": "status is exposed",
    "input": {":authority": "any.example", ":path": "/status/200?x", ":method": "PUT",
              "random_value": 3, "internal": true,
              "additional_headers": [{"field": "X-User", "value": "jason"}]},
    "validate": {"cluster_name": "httpbin.default.svc.cluster.local|8000",
                 "virtual_cluster_name": "other", "virtual_host_name": "*",
                 "host_rewrite": "any.example", "path_rewrite": "/status/200?x",
                 "path_redirect": "",
                 "header_fields": [{"field": ":path", "value": "/status/200?x"},
                                   {"field": "x-user", "value": "jason"},
                                   {"field": "cookie", "value": ""}]}
  },
  {
    "test_name": "the rest is not",
    "input": {":authority": "any.example", ":path": "/headers", "ssl": true},
    "validate": {"cluster_name": "", "virtual_host_name": "", "path_rewrite": "",
                 "host_rewrite": "", "path_redirect": ""}
  }
]"#;

/// In the current format, with this project's own fields.
const NEW: &str = "
tests:
- test_name: the host's own path
  input: {authority: 'foo.example.com:8080', path: /status/418}
  validate:
    cluster_name: fallback.default.svc.cluster.local|80
    virtual_host_name: foo.example.com
    ingress: {ingress: default/hosts#0.1, rule: '', timeout: '', retries: 0, websocket: false}
- test_name: a wildcard
  input:
    authority: bar.example.com
    path: /anything/x
    method: GET
    ssl: true
    additional_request_headers: [{key: x-user, value: jason}]
    additional_response_headers: [{key: x-from, value: upstream}]
  validate:
    cluster_name: httpbin.default.svc.cluster.local|8000
    virtual_host_name: '*.example.com'
    request_header_matches:
    - {name: ':method', string_match: {exact: GET}}
    - {name: x-forwarded-proto, string_match: {exact: https}}
    - {name: x-user, string_match: {prefix: J, ignore_case: true}}
    - {name: x-other, present_match: false}
    response_header_matches:
    - {name: ':status', range_match: {start: 200, end: 300}}
    - {name: x-from, string_match: {suffix: stream}}
    ingress: {ingress: default/hosts}
- test_name: nothing but the wildcard's path
  input: {authority: bar.example.com, path: /x, method: GET}
  validate: {cluster_name: fallback.default.svc.cluster.local|80, ingress: {ingress: default/hosts#default}}
- test_name: the host's root
  input: {authority: foo.example.com, path: /../x//y}
  validate: {path_rewrite: /x/y, ingress: {distribution: {requests: 100, clusters: {httpbin.default.svc.cluster.local|8000: 100}}}}
- test_name: what Envoy refuses
  input: {authority: foo.example.com, path: /%2f}
  validate: {cluster_name: '', ingress: {status: 400, ingress: ''}}
";

const FAILING: &str = "
tests:
- test_name: passes
  input: {authority: a.example, path: /status/}
  validate: {ingress: {status: ''}}
- test_name: fails
  input: {authority: a.example, path: /delay/1}
  validate:
    cluster_name: other.default.svc.cluster.local|80
    ingress:
      timeout: 4s
";

const DIFFERENCE: &str = "\
FAIL cases.yaml:6: fails
       validate.cluster_name (cases.yaml:9)
         - expected: other.default.svc.cluster.local|80
         + got:      httpbin.default.svc.cluster.local|8000
       validate.ingress.timeout (cases.yaml:11)
         - expected: 4000 ms
         + got:      (none)
       because: served by default/simple-ingress#0.1
";

const RULES: &str = "
apiVersion: config.istio.io/v1alpha2
kind: RouteRule
metadata: {name: delay}
spec:
  destination: {name: httpbin}
  match: {request: {headers: {uri: {prefix: /delay/}}}}
  httpReqTimeout: {simpleTimeout: {timeout: 4s}}
---
apiVersion: config.istio.io/v1alpha2
kind: RouteRule
metadata: {name: moved}
spec:
  destination: {name: httpbin}
  match: {request: {headers: {uri: /status/301}}}
  redirect: {uri: /status/200, authority: new.example}
---
apiVersion: config.istio.io/v1alpha2
kind: RouteRule
metadata: {name: never-reached}
spec:
  destination: {name: httpbin}
  match: {tcp: {sourceSubnet: [10.0.0.0/8]}}
";

const RULED: &str = "
tests:
- test_name: a delay is given up
  input: {authority: a.example, path: /delay/9}
  validate: {timeout: 4s, ingress: {rule: default/delay, ingress: default/simple-ingress#0.1}}
- test_name: what has moved says where
  input: {authority: a.example, path: '/status/301?x', ssl: true}
  validate: {path_redirect: 'https://new.example/status/200?x', code_redirect: 302}
- test_name: the rest is as it was
  input: {authority: a.example, path: /status/200}
  validate: {timeout: 0s, cluster_name: httpbin.default.svc.cluster.local|8000, ingress: {rule: ''}}
";

/// A folder in which the command runs.
struct Sandbox(TempDir);

impl Sandbox {
    /// A folder with this text as `cases.yaml`.
    fn new(cases: &str) -> Self {
        let sandbox = Self(tempfile::tempdir().expect("a folder"));
        sandbox.write("cases.yaml", cases);
        sandbox
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).expect("a file");
    }

    fn run(&self, sample: &str, arguments: &[&str]) -> Output {
        self.run_with(&samples(sample), arguments, "")
    }

    fn run_with(&self, manifests: &Path, arguments: &[&str], stdin: &str) -> Output {
        Output::of(&mut self.command(manifests, arguments), stdin)
    }

    fn command(&self, manifests: &Path, arguments: &[&str]) -> Command {
        let mut command = sandbox::ingressctl();
        command.args(["test", "-f"]).arg(manifests).args(arguments).current_dir(self.0.path());
        command
    }
}

fn samples(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples").join(name)
}

#[test]
fn a_file_of_the_check_tool_runs_in_its_old_spelling() {
    Sandbox::new(OLD).run("simple-ingress", &["cases.yaml"]).prints(
        0,
        "coverage: 50.0 % (1 of 2 routes, 0 of 0 rules)\n  \
         no test reaches route host *, string prefix /delay/ (default/simple-ingress#0.1)\n\
         2 passed, 0 failed\n",
    );
}

#[test]
fn a_file_of_the_check_tool_runs_in_its_new_spelling() {
    let sandbox = Sandbox::new(NEW);
    sandbox
        .run("hosts", &["cases.yaml", "--fail-under", "100"])
        .prints(0, "coverage: 100.0 % (4 of 4 routes, 0 of 0 rules)\n5 passed, 0 failed\n");
}

#[test]
fn what_fails_is_shown_with_what_was_expected() {
    let sandbox = Sandbox::new(FAILING);
    let end = "coverage: 100.0 % (2 of 2 routes, 0 of 0 rules)\n1 passed, 1 failed\n";
    sandbox.run("simple-ingress", &["cases.yaml"]).prints(1, &format!("{DIFFERENCE}{end}"));
    sandbox
        .run("simple-ingress", &["--details", "cases.yaml"])
        .prints(1, &format!("ok   cases.yaml:3: passes\n{DIFFERENCE}{end}"));
}

#[test]
fn rules_are_tested_and_counted() {
    let sandbox = Sandbox::new(RULED);
    sandbox.write("rules.yaml", RULES);
    sandbox.run("simple-ingress", &["-f", "rules.yaml", "cases.yaml"]).prints(
        0,
        "coverage: 80.0 % (2 of 2 routes, 2 of 3 rules)\n  \
         no test reaches rule default/never-reached\n\
         3 passed, 0 failed\n",
    );
}

#[test]
fn colours_are_for_whoever_wants_them() {
    let sandbox = Sandbox::new(FAILING);
    let arguments = ["cases.yaml"];
    let mut command = sandbox.command(&samples("simple-ingress"), &arguments);
    let coloured = Output::of(command.env("CLICOLOR_FORCE", "1"), "");
    assert!(coloured.stdout.contains("\u{1b}[31mFAIL\u{1b}[0m"), "{}", coloured.stdout);
    let plain = Output::of(command.env("NO_COLOR", "1"), "");
    assert!(!plain.stdout.contains('\u{1b}'), "{}", plain.stdout);
}

#[test]
fn its_json_is_one_object() {
    let output = Sandbox::new(FAILING).run("simple-ingress", &["-o", "json", "cases.yaml"]);
    assert_eq!(output.code, Some(1), "{}", output.stderr);
    let json: Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!((&json["passed"], &json["failed"]), (&json!(1), &json!(1)));
    assert_eq!(json["coverage"]["percent"], json!(100.0));
    assert_eq!(json["coverage"]["routes"], json!({"total": 2, "reached": 2, "unreached": []}));
    assert_eq!(
        json["tests"][1],
        json!({
            "name": "fails", "file": "cases.yaml", "line": 6, "column": 3, "passed": false,
            "failures": [
                {
                    "file": "cases.yaml", "line": 9, "column": 5,
                    "field": "validate.cluster_name",
                    "expected": "other.default.svc.cluster.local|80",
                    "got": "httpbin.default.svc.cluster.local|8000",
                },
                {
                    "file": "cases.yaml", "line": 11, "column": 7,
                    "field": "validate.ingress.timeout",
                    "expected": "4000 ms", "got": "(none)",
                },
            ],
            "reason": "served by default/simple-ingress#0.1",
        })
    );
}

#[test]
fn its_junit_is_valid_xml() {
    let sandbox = Sandbox::new(&FAILING.replace("test_name: fails", r#"test_name: "<&\e\u0001>""#));
    sandbox.write("more.yaml", FAILING);
    let arguments = ["-o", "junit", "cases.yaml", "more.yaml"];
    let output = sandbox.run("simple-ingress", &arguments);
    assert_eq!(output.code, Some(1), "{}", output.stderr);
    assert!(output.stdout.contains("name=\"&lt;&amp;\u{fffd}\u{fffd}&gt;\""), "{}", output.stdout);
    let mut reader = Reader::from_str(&output.stdout);
    let mut elements = Vec::new();
    loop {
        match reader.read_event().expect("valid XML") {
            Event::Eof => break,
            Event::Start(element) | Event::Empty(element) => {
                elements.push(element.name().as_ref().to_owned());
            }
            _ => {}
        }
    }
    let suite = ["testsuite", "testcase", "testcase", "failure"];
    assert_eq!(elements, [&["testsuites"][..], &suite, &suite].concat());
}

#[test]
fn too_little_coverage_fails() {
    let sandbox = Sandbox::new(OLD);
    let output = sandbox.run("simple-ingress", &["--fail-under", "50", "cases.yaml"]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let output = sandbox.run("simple-ingress", &["--fail-under", "50.5", "cases.yaml"]);
    assert_eq!(output.code, Some(1));
    assert_eq!(output.stderr, "coverage is 50.0 %, below the required 50.5 %\n");
    let output = sandbox.run("simple-ingress", &["--fail-under", "101", "cases.yaml"]);
    assert!(
        output.stderr.contains("is not a percentage; write a number from 0 to 100"),
        "{}",
        output.stderr
    );
}

#[test]
fn what_is_no_test_is_not_run() {
    for (text, expected) in [
        ("", "cases.yaml:1:1: error: has no tests; add some"),
        ("tests: []", "cases.yaml:1:1: error: tests: has no tests; add some"),
        ("\u{0}\u{1}", "error: "),
        (
            "tests:\n- test_nam: x",
            "cases.yaml:2:3: error: tests[0].test_nam: unknown field; did you mean test_name?",
        ),
        ("{apiVersion: v1, kind: Service}", "give manifests with -f"),
    ] {
        let output = Sandbox::new(text).run("simple-ingress", &["cases.yaml"]);
        assert_eq!((output.code, &*output.stdout), (Some(1), ""), "{text:?}");
        assert!(output.stderr.contains(expected), "{text:?}: {}", output.stderr);
        assert!(output.stderr.ends_with("no tests were run: correct the tests first\n"));
    }
    let sandbox = Sandbox::new(OLD);
    fs::write(sandbox.0.path().join("latin.yaml"), b"- \xe9").expect("a file");
    for (path, expected) in
        [("missing.yaml", "does not exist"), ("latin.yaml", "latin.yaml:1:1: error: is not UTF-8")]
    {
        let output = sandbox.run("simple-ingress", &["cases.yaml", path]);
        assert_eq!((output.code, &*output.stdout), (Some(1), ""), "{path}");
        assert!(output.stderr.contains(expected), "{path}: {}", output.stderr);
    }
}

#[test]
fn manifests_that_are_wrong_fail_though_the_tests_pass() {
    let ingress = fs::read_to_string(samples("simple-ingress/ingress.yaml")).expect("the sample");
    let sandbox = Sandbox::new(
        "[{test_name: x, input: {authority: a, path: /status/1}, validate: {ingress: {status: 503}}}]",
    );
    sandbox.write("ingress.yaml", &ingress);
    let output = sandbox.run_with(Path::new("ingress.yaml"), &["cases.yaml"], "");
    assert_eq!(output.code, Some(1));
    assert!(output.stdout.ends_with("1 passed, 0 failed\n"), "{}", output.stdout);
    assert!(output.stderr.contains("there is no service `httpbin`"), "{}", output.stderr);
    assert!(output.stderr.contains("2 errors in the manifests"), "{}", output.stderr);

    sandbox.write("ingress.yaml", "kind: [");
    let output = sandbox.run_with(Path::new("ingress.yaml"), &["cases.yaml"], "");
    assert_eq!((output.code, &*output.stdout), (Some(1), ""));
    assert!(output.stderr.contains("some manifests could not be read"), "{}", output.stderr);
}

#[test]
fn tests_come_from_folders_and_standard_input() {
    let sandbox = Sandbox::new(FAILING);
    sandbox.write("b.json", OLD);
    sandbox.write("notes.txt", "no test");
    let output = sandbox.run("simple-ingress", &["."]);
    assert!(output.stdout.ends_with("3 passed, 1 failed\n"), "{}", output.stdout);

    let output = sandbox.run_with(&samples("simple-ingress"), &["-"], OLD);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let output = sandbox.run_with(&samples("simple-ingress"), &["-"], "x: y");
    assert!(output.stderr.contains("<stdin>:1:1: error: x: unknown field"), "{}", output.stderr);
    let output = sandbox.run_with(Path::new("-"), &["-"], OLD);
    assert_eq!(output.code, Some(1));
    assert!(output.stderr.contains("cannot both be read from standard input"), "{}", output.stderr);
}

#[test]
fn what_documentation_shows_can_be_read() {
    let page = include_str!("../../docs/testing.md");
    let blocks: Vec<_> = page
        .split("```yaml\n")
        .skip(1)
        .map(|block| block.split("```").next().unwrap_or_default())
        .collect();
    assert!(blocks.len() > 2, "{}", blocks.len());
    let output = sandbox::ingressctl().args(["test", "--help"]).output().expect("ingressctl runs");
    let help = String::from_utf8(output.stdout).expect("UTF-8");
    let example = help.split("A file of tests:\n").nth(1).expect("an example");
    let example = example.split("\n\n").next().unwrap_or_default();
    for text in blocks.into_iter().chain([example]) {
        let cases = read_text("documentation", text);
        let findings: Vec<_> = cases.findings.iter().map(ToString::to_string).collect();
        assert!(findings.is_empty() && !cases.is_empty(), "{text}\n{findings:?}");
    }
}
