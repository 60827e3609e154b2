//! What people type: flags, addresses, mistakes, and the exit codes that scripts
//! rely on.

mod sandbox;

use std::fs;

use sandbox::{INGRESS, SERVICE, Sandbox};

fn with_manifests() -> Sandbox {
    Sandbox::new(&[("ingress.yaml", INGRESS), ("service.yaml", SERVICE)])
}

const BOOLEANS: [&str; 4] =
    ["--access-log", "--cross-namespace-rules", "--external-name-services", "--regex-paths"];

#[test]
fn a_boolean_flag_leaves_the_next_word_alone() {
    let sandbox = with_manifests();
    for flag in BOOLEANS {
        for flag in [flag, &format!("{flag}=true"), &format!("{flag}=false")] {
            let arguments = ["explain", "-f", ".", flag, "http://any.example/cart"];
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

/// What `--http` makes of `address`: what it says in Envoy's configuration, or the
/// error.
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
            "2:1: error: unknown key `regexPath`; did you mean `regexPaths`?",
        ),
        ("gateway: {namespce: a}\n", "1:11: error: unknown key `namespce`; did you mean `namespace`?"),
        ("color: red\n", "1:1: error: unknown key `color`; known here: ingressClass, "),
        ("accessLog: maybe\n", "1:12: error: not a boolean; write true or false"),
        ("trustedHops: -1\n", "1:14: error: not a count; write a whole number"),
        (
            "ingressControllerMode: stric\n",
            "1:24: error: `stric` is not allowed here; did you mean `strict`?",
        ),
        ("\nclusterDomain: a b\n", "2:16: error: `a b` is not a DNS name; "),
        ("gateway:\n  name: a.b\n", "2:9: error: `a.b` is not a DNS label; "),
        ("gateway:\n  labels: {a b: c}\n", "2:"),
        ("defaultTimeout: 15\n", "1:17: error: `15` is no duration"),
        ("ingressClass: a\ningressClass: b\n", "2:1: error: the key `ingressClass` is given twice"),
        (
            "objectBudget: {path: 5}\n",
            "1:16: error: `path` is not allowed here; did you mean `paths`?",
        ),
        ("httpsPort: 70000\n", "1:12: error: not a port; write a number from 1 to 65535"),
        ("objectBudget: {paths: -1}\n", "1:23: error: not a count; "),
        ("- a\n", "1:1: error: not a mapping; write keys"),
        ("ingressClass: b: c\n", "1:16: error: "),
    ] {
        sandbox.write("settings.yaml", settings);
        let output = sandbox.run(&["check", "-f", ".", "--settings", "settings.yaml"]);
        let expected = format!("settings.yaml:{expected}");
        assert!(output.stderr.starts_with(&expected), "{expected}\n{}", output.stderr);
        assert_eq!((&*output.stdout, output.stderr.lines().count()), ("", 1), "{output:?}");
    }
    let missing = sandbox.run(&["check", "-f", ".", "--settings", "missing.yaml"]).stderr;
    assert!(missing.starts_with("missing.yaml:1:1: error: no such file or folder"), "{missing}");
}

#[test]
fn a_forgotten_f_is_hinted_at() {
    let sandbox = with_manifests();
    sandbox.write("cases.yaml", "tests: []\n");
    let url = "http://any.example/cart";
    for (arguments, hint) in [
        (&["check", "ingress.yaml"][..], "-f ingress.yaml"),
        (&["check", "-f", "service.yaml", "manifests"], "-f manifests"),
        (&["serve", "."], "-f ."),
        (&["compile", "-o", "out", "ingress.yaml"], "-f ingress.yaml"),
        (&["rbac", "ingress.yaml"], "-f ingress.yaml"),
        (&["explain", "ingress.yaml", url], "-f ingress.yaml"),
        (&["explain", url, "ingress.yaml"], "-f ingress.yaml"),
        (&["explain", "--regex-paths", url, "none.yml"], "-f none.yml"),
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
        &["explain", url],
        &["test", "cases.yaml"],
        &["compile", "-o", "cases.yaml"],
        &["table", "a.json", "b.json"],
    ] {
        let output = sandbox.run(arguments);
        assert_eq!(output.code, Some(2), "{arguments:?}: {output:?}");
        assert!(!output.stderr.contains("to read manifests"), "{arguments:?}: {}", output.stderr);
    }
}
