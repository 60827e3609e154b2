//! `ingressctl --version`, the command as a plugin of kubectl, and what shells complete.

mod sandbox;

use std::os::unix::fs::symlink;
use std::process::Command;

use sandbox::{Output, Sandbox};
use serde_json::{Value, json};

#[test]
fn the_version_names_all_that_has_one() {
    let sandbox = Sandbox::new(&[]);
    let output = sandbox.run(&["--version", "-o", "json"]);
    assert_eq!(output.code, Some(0), "{output:?}");
    let mut version: Value = serde_json::from_str(&output.stdout).unwrap();
    // During development, there is none.
    assert_eq!(version["commit"].take().is_null(), cfg!(debug_assertions));
    let module = sandbox.run(&["module", "-o", "module.wasm"]).stdout;
    let expected = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "commit": null,
        "module": module.trim_end(),
        "routeTable": 4,
        "routeTableJson": 1,
        "envoy": "1.40.0",
    });
    assert_eq!(version, expected);

    let text = sandbox.run(&["-V"]).stdout;
    let mut lines = text.lines();
    let name = format!("ingressctl {}", env!("CARGO_PKG_VERSION"));
    assert_eq!(lines.next(), Some(&*name), "{text}");
    assert!(text.contains(module.trim_end()) && text.contains("1.40.0"), "{text}");
}

#[test]
fn an_output_is_for_the_version_alone() {
    let sandbox = Sandbox::new(&[]);
    let output = sandbox.run(&["-o", "json"]);
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(output.stderr.contains("--version"), "{output:?}");
    // Without any argument, the help is what a user needs.
    let output = sandbox.run(&[]);
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(output.stderr.contains("ingressctl --version [-o json]"), "{output:?}");
}

#[test]
fn a_plugin_of_kubectl_is_called_as_users_call_it() {
    let sandbox = Sandbox::new(&[]);
    let plugin = sandbox.path("kubectl-ingress");
    symlink(env!("CARGO_BIN_EXE_ingressctl"), &plugin).unwrap();
    let help = Output::of(Command::new(&plugin).arg("--help"), "").stdout;
    assert!(help.contains("Usage: kubectl ingress <COMMAND>"), "{help}");
    let help = Output::of(Command::new(&plugin).args(["check", "--help"]), "").stdout;
    assert!(help.contains("Usage: kubectl ingress check "), "{help}");
}

/// What a real shell completes.
#[test]
fn bash_completes_commands_and_flags() {
    let sandbox = Sandbox::new(&[]);
    let completed = |words: &str| {
        let script = format!(
            "source <('{}' completions bash) && COMP_WORDS=({words}) \
             && COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)) \
             && _ingressctl ingressctl \"${{COMP_WORDS[-1]}}\" \"${{COMP_WORDS[-2]}}\" \
             && echo \"${{COMPREPLY[@]}}\"",
            env!("CARGO_BIN_EXE_ingressctl")
        );
        let mut bash = Command::new("bash");
        bash.args(["--norc", "-c", &script]).current_dir(sandbox.0.path());
        let output = Output::of(&mut bash, "");
        assert_eq!((output.code, &*output.stderr), (Some(0), ""), "{words}");
        output.stdout.trim_end().to_owned()
    };
    assert_eq!(completed("ingressctl expl"), "explain explain-code");
    assert_eq!(completed("ingressctl check --sett"), "--settings");
    assert_eq!(completed("ingressctl completions z"), "zsh");
}

#[test]
fn other_shells_get_a_script() {
    let sandbox = Sandbox::new(&[]);
    for (shell, mark) in [("zsh", "#compdef ingressctl"), ("fish", "complete -c ingressctl")] {
        let script = sandbox.run(&["completions", shell]).stdout;
        assert!(script.contains(mark), "{shell}: {script}");
    }
}
