//! Real clients and real upstreams, in several languages.

mod grpc;

use std::path::PathBuf;
use std::process::{Command, Output};

use ingress_tests::workspace;

/// A program of these tests.
fn program(name: &str) -> PathBuf {
    workspace().join("tests/tests/real/programs").join(name)
}

/// Runs a command, and returns what it printed.
#[track_caller]
fn run(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("it runs");
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {status}\n{stdout}\n{stderr}");
    stdout.into_owned()
}
