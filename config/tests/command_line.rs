//! The command line: flags, addresses, errors, and the exit codes that scripts use.

mod sandbox;

use std::fs::{self, File};
use std::io::Read;
use std::process::Stdio;

use ingressctl::finding::Code;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use sandbox::{INGRESS, SERVICE, Sandbox};
use serde_json::{Value, json};

const URL: &str = "http://any.example/cart";

fn with_manifests() -> Sandbox {
    Sandbox::new(&[("ingress.yaml", INGRESS), ("service.yaml", SERVICE)])
}

const BOOLEANS: [&str; 5] = [
    "--access-log",
    "--cross-namespace-rules",
    "--external-name-services",
    "--grpc-web",
    "--regex-paths",
];

#[test]
fn a_boolean_flag_leaves_the_next_word_alone() {
    let sandbox = with_manifests();
    for flag in BOOLEANS {
        for flag in [flag, &format!("{flag}=true"), &format!("{flag}=false")] {
            let arguments = ["explain", "-f", ".", flag, URL];
            let output = sandbox.run(&arguments);
            assert_eq!(output.code, Some(0), "{flag}: {output:?}");
            assert!(output.stdout.contains("cart.default.svc.cluster.local|80"), "{output:?}");
        }
        let help = sandbox.run(&["check", "--help"]).stdout;
        assert!(help.contains(&format!("{flag}[=<BOOL>]")), "{flag}: {help}");
        let output = sandbox.run(&["check", "-f", ".", &format!("{flag}=maybe")]);
        assert_eq!(output.code, Some(2), "{flag}: {output:?}");
    }
}

/// The effect of `--http` with this `address`: the address in Envoy's
/// configuration, or the error.
fn listen_on(sandbox: &Sandbox, address: &str) -> Result<String, String> {
    let output = sandbox.run(&["compile", "-f", ".", "-o", "out", "--http", address]);
    match output.code {
        Some(0) => Ok(fs::read_to_string(sandbox.path("out/lds.json")).unwrap()),
        code => {
            assert_eq!(code, Some(2), "{output:?}");
            Err(output.stderr)
        }
    }
}

#[test]
fn addresses_to_listen_on_are_written_as_people_write_them() {
    let sandbox = with_manifests();
    for address in ["7001", ":7001", "localhost:7001", "127.0.0.1:7001"] {
        let listeners = listen_on(&sandbox, address).unwrap();
        assert!(listeners.contains("\"127.0.0.1\""), "{address}: {listeners}");
        assert!(listeners.contains("7001"), "{address}: {listeners}");
    }
    assert!(listen_on(&sandbox, "[::1]:7001").unwrap().contains("\"::1\""));
    for (address, remedy) in [
        ("localhost", "write 127.0.0.1:8080"),
        ("edge.example:80", "write an IP address, as in 127.0.0.1:80"),
        ("*:80", "write 0.0.0.0:80"),
        ("http", "write it as IP:PORT"),
    ] {
        let error = listen_on(&sandbox, address).unwrap_err();
        assert!(error.contains(address) && error.contains(remedy), "{error}");
    }
    sandbox
        .run(&[
            "controller",
            "--prepare",
            "--folder",
            "edge",
            "--http",
            ":0",
            "--probe",
            "7002",
            "--health",
            "localhost:7003",
        ])
        .expect(0, "", "");
    for command in ["serve", "demo", "compile", "controller"] {
        let help = sandbox.run(&[command, "--help"]).stdout;
        assert!(help.contains("PORT and :PORT mean 127.0.0.1:PORT"), "{help}");
    }
}

#[test]
fn what_is_wrong_in_a_settings_file_is_said_with_its_place() {
    let sandbox = with_manifests();
    for (settings, expected) in [
        (
            "# ours\nregexPath: true\n",
            "2:1: error: `regexPath` is not a known setting; did you mean `regexPaths`?",
        ),
        (
            "gateway: {namespce: a}\n",
            "1:11: error: `namespce` is not a known setting; did you mean `namespace`?",
        ),
        ("color: red\n", "1:1: error: `color` is not a known setting; known here: ingressClass, "),
        ("regexPaths: maybe\n", "1:13: error: is not a boolean; write true or false"),
        (
            "accessLog: maybe\n",
            "1:12: error: is not true or false; write one of them, or a mapping",
        ),
        (
            "accessLog: {fields: [tme]}\n",
            "1:22: error: `tme` is not allowed here; known here: time, client, ",
        ),
        (
            "accessLog: {filed: /x}\n",
            "1:13: error: `filed` is not a known setting; did you mean `file`?",
        ),
        ("accessLog: {file: x.log}\n", "1:19: error: `x.log` is not an absolute path; "),
        (
            "accessLog: {fields: [statsu]}\n",
            "1:22: error: `statsu` is not allowed here; did you mean `status`?",
        ),
        ("accessLog: {fields: [time], text: a}\n", "1:"),
        (
            "accessLog: {text: '%RESPONSE_COD%'}\n",
            "1:19: error: `%RESPONSE_COD%` is not a command operator of Envoy; did you mean %RESPONSE_CODE%?",
        ),
        ("tracing: {collector: otel}\n", "1:22: error: `otel` is not HOST:PORT; "),
        ("accessLog: {percent: 101}\n", "1:22: error: is not a percentage of requests; "),
        ("trustedHops: -1\n", "1:14: error: is not a count; write a whole number"),
        (
            "ingressControllerMode: stric\n",
            "1:24: error: `stric` is not allowed here; did you mean `strict`?",
        ),
        ("\nclusterDomain: a b\n", "2:16: error: `a b` is not a DNS name; "),
        ("gateway:\n  name: a.b\n", "2:9: error: `a.b` is not a valid DNS label; "),
        ("gateway:\n  labels: {a b: c}\n", "2:"),
        ("defaultTimeout: 15\n", "1:17: error: `15` is not a duration"),
        ("ingressClass: a\ningressClass: b\n", "2:1: error: the key `ingressClass` is given twice"),
        (
            "objectBudget: {path: 5}\n",
            "1:16: error: `path` is not allowed here; did you mean `paths`?",
        ),
        ("httpsPort: 70000\n", "1:12: error: is not a port; write a number from 1 to 65535"),
        ("objectBudget: {paths: -1}\n", "1:23: error: is not a count; "),
        ("- a\n", "1:1: error: is not a mapping; write keys"),
        ("ingressClass: b: c\n", "1:16: error: "),
    ] {
        sandbox.write("settings.yaml", settings);
        let output = sandbox.run(&["check", "-f", ".", "--settings", "settings.yaml"]);
        let expected = format!("settings.yaml:{expected}");
        assert!(output.stderr.starts_with(&expected), "{expected}\n{}", output.stderr);
        assert_eq!((&*output.stdout, output.stderr.lines().count()), ("", 1), "{output:?}");
    }
    let missing = sandbox.run(&["check", "-f", ".", "--settings", "missing.yaml"]).stderr;
    assert!(missing.starts_with("missing.yaml:1:1: error: does not exist"), "{missing}");
}

#[test]
fn a_forgotten_f_is_hinted_at() {
    let sandbox = with_manifests();
    sandbox.write("cases.yaml", "tests: []\n");
    for (arguments, hint) in [
        (&["check", "ingress.yaml"][..], "-f ingress.yaml"),
        (&["check", "-f", "service.yaml", "manifests"], "-f manifests"),
        (&["serve", "."], "-f ."),
        (&["ui", "."], "-f ."),
        (&["compile", "-o", "out", "ingress.yaml"], "-f ingress.yaml"),
        (&["rbac", "ingress.yaml"], "-f ingress.yaml"),
        (&["explain", "ingress.yaml", URL], "-f ingress.yaml"),
        (&["explain", URL, "ingress.yaml"], "-f ingress.yaml"),
        (&["explain", "--regex-paths", URL, "none.yml"], "-f none.yml"),
        (&["test", "ingress.yaml", "cases.yaml"], "-f ingress.yaml"),
        (&["check", "-f", ".", "--access-log", "false"], "--access-log=false"),
    ] {
        let output = sandbox.run(arguments);
        assert_eq!((output.code, &*output.stdout), (Some(2), ""), "{arguments:?}: {output:?}");
        let hint = format!(", use '{hint}'\n");
        assert!(output.stderr.contains(&hint), "{arguments:?}: {hint}{}", output.stderr);
    }
    for arguments in [
        &["check"][..],
        &["check", "--acess-log", "-f", "."],
        &["explain", URL],
        &["test", "cases.yaml"],
        &["compile", "-o", "cases.yaml"],
        &["table", "a.json", "b.json"],
    ] {
        let output = sandbox.run(arguments);
        assert_eq!(output.code, Some(2), "{arguments:?}: {output:?}");
        assert!(!output.stderr.contains("to read manifests"), "{arguments:?}: {}", output.stderr);
    }
}

#[test]
fn exit_codes_tell_what_happened() {
    let sandbox = Sandbox::new(&[
        ("good/ingress.yaml", INGRESS),
        ("good/service.yaml", SERVICE),
        ("wrong.yaml", INGRESS),
        ("unreadable.yaml", "a: b: c\n"),
        ("settings.yaml", "color: red\n"),
        ("passes.yaml", &route_test("cart.default.svc.cluster.local|80")),
        ("fails.yaml", &route_test("other")),
        ("empty/notes.txt", ""),
        ("table.json", r#"{"version": 1}"#),
        ("bad-table.json", r#"{"version": 0}"#),
    ]);
    let settings = ["--settings", "settings.yaml"];
    let manifests = [
        ("good", &[][..], Outcome::Good),
        ("wrong.yaml", &[], Outcome::Wrong),
        ("unreadable.yaml", &[], Outcome::Unreadable),
        ("missing.yaml", &[], Outcome::Unreadable),
        ("good", &settings, Outcome::Settings),
        ("good", &["--color", "red"], Outcome::Usage),
    ];
    for (path, flags, outcome) in manifests {
        for (command, codes) in [
            (&["check"][..], [0, 1, 1, 3, 2]),
            (&["compile", "-o", "out"], [0, 1, 3, 3, 2]),
            (&["explain", URL], [0, 0, 1, 1, 2]),
            (&["test", "passes.yaml"], [0, 1, 1, 1, 2]),
            (&["rbac"], [0, 0, 1, 1, 2]),
        ] {
            let arguments = [command, &["-f", path], flags].concat();
            let output = sandbox.run(&arguments);
            let expected = codes[outcome as usize];
            assert_eq!(output.code, Some(expected), "{arguments:?}: {output:?}");
        }
    }
    for (arguments, code) in [
        (&["compile", "-f", "good", "-o", "wrong.yaml"][..], 3),
        (&["explain", "-f", "good", URL, "-H", "x"], 1),
        (&["test", "-f", "good", "fails.yaml"], 1),
        (&["test", "-f", "good", "passes.yaml", "--fail-under", "100"], 0),
        (&["test", "-f", "good", "empty"], 1),
        (&["test", "-f", "good", "missing.yaml"], 1),
        (&["table", "table.json", "--to", "json"], 0),
        (&["table", "bad-table.json", "--to", "json"], 1),
        (&["table", "missing.json"], 1),
        (&["module", "-o", "out"], 1),
        (&["module", "-o", "filter.wasm"], 0),
        (&["serve", "-f", "good", "--settings", "settings.yaml"], 1),
        (&["serve", "-f", "good", "--envoy", "missing"], 1),
        (&["demo", "--envoy", "missing", "--http", "0"], 1),
        (&["controller", "--folder", "wrong.yaml"], 1),
        (&["controller", "--folder", "edge", "--kubeconfig", "missing"], 1),
        (&["controller", "--folder", "edge", "--prepare"], 0),
        (&["--help"], 0),
        (&["check", "--help"], 0),
        (&["chekc"], 2),
    ] {
        let output = sandbox.run(arguments);
        assert_eq!(output.code, Some(code), "{arguments:?}: {output:?}");
    }
}

/// The possible results for manifests and flags.
#[derive(Clone, Copy)]
enum Outcome {
    Good,
    Wrong,
    Unreadable,
    Settings,
    Usage,
}

fn route_test(cluster: &str) -> String {
    format!(
        "tests: [{{test_name: a, input: {{authority: any.example, path: /cart}}, \
         validate: {{cluster_name: {cluster}}}}}]\n"
    )
}

#[test]
fn what_cannot_be_printed_is_a_failure_and_a_closed_pipe_is_not() {
    let sandbox =
        Sandbox::new(&[("ingress.yaml", INGRESS), ("other/table.json", r#"{"version": 1}"#)]);
    let run = |arguments: &[&str], stdout: Stdio| {
        let mut command = sandbox::ingressctl();
        command.args(arguments).current_dir(sandbox.path("")).stdout(stdout).stderr(Stdio::null());
        command.status().expect("ingressctl runs").code()
    };
    let full = || Stdio::from(File::create("/dev/full").expect("a full device"));
    let closed = || Stdio::from(std::io::pipe().expect("a pipe").1);
    let table = ["table", "other/table.json", "--to", "json"];
    for (arguments, code, could_not_print) in
        [(&["check", "-f", "."][..], 1, 3), (&["rbac", "-f", "."], 0, 1), (&table, 0, 1)]
    {
        assert_eq!(run(arguments, full()), Some(could_not_print), "{arguments:?}");
        assert_eq!(run(arguments, closed()), Some(code), "{arguments:?}");
    }
}

#[test]
fn a_file_that_is_missing_is_told_in_the_same_words() {
    let sandbox = with_manifests();
    for arguments in [
        &["check", "-f", "none.yaml"][..],
        &["compile", "-f", "none.yaml", "-o", "out"],
        &["explain", "-f", "none.yaml", URL],
        &["rbac", "-f", "none.yaml"],
        &["check", "-f", ".", "--settings", "none.yaml"],
        &["test", "-f", ".", "none.yaml"],
        &["table", "none.yaml"],
    ] {
        let output = sandbox.run(arguments);
        let all = output.stdout + &output.stderr;
        let message = "none.yaml:1:1: error: does not exist; correct the path, or create the file [file-not-found]\n";
        assert!(all.starts_with(message), "{arguments:?}: {all}");
    }
}

#[test]
fn check_prints_one_sarif_log() {
    let sandbox = Sandbox::new(&[("my ingress.yaml", INGRESS)]);
    let output = sandbox.run(&["check", "-o", "sarif", "-f", "my ingress.yaml"]);
    let told = "1 object read, 1 Ingress served, 0 objects ignored: 1 error\n";
    assert_eq!((output.code, &*output.stderr), (Some(1), told));
    let log: Value = serde_json::from_str(&output.stdout).expect("JSON");
    let message = "Ingress default/shop: spec.rules[0].http.paths[0].backend.service.name: there is \
                   no service `cart` in namespace default; add it, or correct the name. The path \
                   answers 503";
    let expected = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "ingressctl",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": [{
                    "id": "service-not-found",
                    "shortDescription": {"text": "A service does not exist."},
                    "help": {"text": Code::ServiceNotFound.explanation()},
                    "defaultConfiguration": {"level": "error"},
                }],
            }},
            "columnKind": "unicodeCodePoints",
            "results": [{
                "ruleId": "service-not-found",
                "level": "error",
                "message": {"text": message},
                "locations": [{
                    "physicalLocation": {
                        "artifactLocation": {"uri": "my%20ingress.yaml"},
                        "region": {"startLine": 12, "startColumn": 35},
                    },
                    "logicalLocations": [
                        {"fullyQualifiedName": "Ingress default/shop", "kind": "object"},
                    ],
                }],
            }],
        }],
    });
    assert_eq!(log, expected);
    // Without findings, the list of results is empty.
    sandbox.write("service.yaml", SERVICE);
    let output = sandbox.run(&["check", "-o", "sarif", "-f", "."]);
    let log: Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!((output.code, &log["runs"][0]["results"]), (Some(0), &json!([])));
}

#[test]
fn a_code_is_explained() {
    let sandbox = Sandbox::new(&[]);
    for name in ["service-not-found", "[service-not-found]"] {
        let output = sandbox.run(&["explain-code", name]);
        let start = "error[service-not-found]: A service does not exist.\n\nCorrect the name";
        assert!(output.stdout.starts_with(start), "{}", output.stdout);
        assert!(output.stdout.contains("\n```yaml\napiVersion: "), "{}", output.stdout);
        assert_eq!(output.code, Some(0));
    }
    let all = sandbox.run(&["explain-code"]);
    let is_listed = |code: &&Code| {
        all.stdout.lines().any(|line| {
            line.trim_start().starts_with(&format!("{code} ")) && line.ends_with(code.summary())
        })
    };
    assert_eq!(Code::ALL.iter().filter(is_listed).count(), Code::ALL.len(), "{}", all.stdout);
}

#[test]
fn an_unknown_code_names_the_nearest() {
    let sandbox = Sandbox::new(&[]);
    for (name, remedy) in [
        ("service-not-fuond", "did you mean `service-not-found`?"),
        ("E0308", "ingressctl explain-code lists them all"),
    ] {
        let output = sandbox.run(&["explain-code", name]);
        let message = format!("error: `{name}` is not the code of a finding; {remedy}\n");
        assert!(output.stderr.starts_with(&message), "{}", output.stderr);
        assert!(output.stderr.lines().count() < 10, "{}", output.stderr);
        assert_eq!(output.code, Some(2));
    }
}

/// The output of `check` on a terminal.
fn on_a_terminal(sandbox: &Sandbox, variables: &[(&str, &str)]) -> String {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&terminal).expect("the other end");
    unlockpt(&terminal).expect("the other end");
    let name = ptsname(&terminal, Vec::new()).expect("its name").into_string().expect("UTF-8");
    let end = File::options().read(true).write(true).open(name).expect("the other end");
    let mut child = sandbox::ingressctl()
        .args(["check", "-f", "ingress.yaml"])
        .current_dir(sandbox.path(""))
        .env("TERM", "xterm")
        .envs(variables.iter().copied())
        .stdout(end.try_clone().expect("the other end"))
        .stderr(end)
        .spawn()
        .expect("ingressctl runs");
    let mut shown = Vec::new();
    // Reading fails once the other end of the terminal is closed.
    let _ = File::from(terminal).read_to_end(&mut shown);
    assert_eq!(child.wait().expect("its end").code(), Some(1));
    String::from_utf8(shown).expect("UTF-8").replace("\r\n", "\n")
}

#[test]
fn a_terminal_shows_the_line_and_a_caret() {
    let sandbox = Sandbox::new(&[("ingress.yaml", INGRESS)]);
    let plain = on_a_terminal(&sandbox, &[("NO_COLOR", "1")]);
    assert!(
        plain.starts_with("error[service-not-found]: Ingress default/shop: spec.rules[0]"),
        "{plain}"
    );
    let line = "         backend: {service: {name: cart, port: {number: 80}}}\n";
    let below = format!("{line}   |                                   ^^^^\n");
    assert!(plain.contains(" --> ingress.yaml:12:35\n"), "{plain}");
    assert!(
        plain.ends_with("ingressctl explain-code service-not-found explains the first\n"),
        "{plain}"
    );
    assert!(plain.contains(&below) && !plain.contains('\u{1b}'), "{plain}");
    let coloured = on_a_terminal(&sandbox, &[]);
    assert!(coloured.contains("\u{1b}["), "{coloured}");
    assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain);
    assert!(!on_a_terminal(&sandbox, &[("TERM", "dumb")]).contains('\u{1b}'));
}
