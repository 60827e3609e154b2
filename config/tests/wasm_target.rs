//! The build when rustc lacks the target of the module.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A machine with a rustc, a rustup and the script. The two programs are in
/// `config/tests/wasm_target`, because a file that has just been written cannot
/// reliably be executed while other threads start processes.
struct Machine {
    folder: TempDir,
    sysroot: PathBuf,
}

impl Machine {
    fn new(sysroot: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sysroot = folder.path().join(sysroot);
        fs::create_dir_all(&sysroot).unwrap();
        // A copy, because the script updates its own timestamp.
        fs::create_dir(folder.path().join("config")).unwrap();
        fs::copy(package().join("wasm-target.sh"), folder.path().join(SCRIPT)).unwrap();
        Self { folder, sysroot }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        // In place of Cargo, a shell, whose standard error is a pipe.
        Command::new("sh")
            .args(["-c", "sh \"$@\"; exit $?", "cargo"])
            .arg(self.folder.path().join(SCRIPT))
            .env_remove("CARGO_TARGET_DIR")
            .env_remove("OUT_DIR")
            .arg("rustc")
            .args(arguments)
            .env("PATH", format!("{}:/usr/bin:/bin", package().join("tests/wasm_target").display()))
            .env("SYSROOT", &self.sysroot)
            .output()
            .unwrap()
    }

    fn asked_of_rustup(&self) -> String {
        fs::read_to_string(self.sysroot.join("rustup.log")).unwrap_or_default()
    }
}

const SCRIPT: &str = "config/wasm-target.sh";

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

const TOOLCHAIN: &str = "toolchains/1.95.0-x86_64-unknown-linux-gnu";
const ADD: &str = "target add --toolchain 1.95.0-x86_64-unknown-linux-gnu wasm32-wasip1\n";

fn assert_is_version(output: &Output) {
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "rustc was asked: -vV\n");
}

/// The last line of the script's output.
fn error(output: &Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stderr);
    text.lines().last().unwrap_or_default().to_owned()
}

#[test]
fn the_target_is_added_once_to_the_toolchain_that_builds() {
    let machine = Machine::new(TOOLCHAIN);
    let first = machine.run(&["-vV"]);
    assert_is_version(&first);
    let text = String::from_utf8_lossy(&first.stderr);
    let lines: Vec<_> = text.lines().collect();
    let added = format!("adding the Rust target wasm32-wasip1, once: rustup {}", ADD.trim_end());
    assert_eq!(lines, [added]);

    let second = machine.run(&["-vV"]);
    assert_is_version(&second);
    assert!(second.stderr.is_empty(), "{second:?}");
    assert_eq!(machine.asked_of_rustup(), ADD);
}

#[test]
fn a_first_build_says_once_how_long_it_takes() {
    let machine = Machine::new(TOOLCHAIN);
    fs::create_dir(machine.sysroot.join("wasm32-wasip1")).unwrap();
    // What Cargo runs before it compiles.
    let cargo = || [&["-vV"][..], &["-", "--print=file-names"], &["-vV"]].map(|it| machine.run(it));
    let lines = |outputs: [Output; 3]| -> Vec<_> {
        let text = |it: Output| String::from_utf8(it.stderr).unwrap();
        outputs.into_iter().map(text).filter(|text| !text.is_empty()).collect()
    };
    let first = lines(cargo());
    assert!(
        matches!(&first[..], [line] if line.starts_with("the first build takes some minutes")),
        "{first:?}"
    );
    fs::create_dir_all(machine.folder.path().join("target/module")).unwrap();
    assert_eq!(lines(cargo()), Vec::<String>::new());
}

#[test]
fn only_the_first_question_of_a_build_asks_for_the_target() {
    let machine = Machine::new(TOOLCHAIN);
    let output = machine.run(&["--crate-name", "some crate"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text, "rustc was asked: --crate-name some crate\n");
    assert_eq!(machine.asked_of_rustup(), "");
}

#[test]
fn a_target_that_rustup_cannot_add_is_named_with_the_command_that_adds_it() {
    let machine = Machine::new(TOOLCHAIN);
    fs::write(machine.sysroot.join("offline"), "").unwrap();
    let expected =
        format!("error: the Rust target wasm32-wasip1 is missing; run: rustup {}", ADD.trim_end());
    assert_eq!(error(&machine.run(&["-vV"])), expected);

    fs::remove_file(machine.sysroot.join("offline")).unwrap();
    assert_is_version(&machine.run(&["-vV"]));
}

#[test]
fn a_rustc_of_a_distribution_gets_its_own_words() {
    let machine = Machine::new("usr");
    let error = error(&machine.run(&["-vV"]));
    for part in ["wasm32-wasip1 is missing", "libstd-rust-dev-wasm32", "https://rustup.rs"] {
        assert!(error.contains(part), "{error}");
    }
    assert!(!error.contains("rustup target add"), "{error}");
    assert_eq!(machine.asked_of_rustup(), "");
}

#[test]
fn a_distribution_that_has_the_target_needs_nothing() {
    let machine = Machine::new("usr");
    fs::create_dir(machine.sysroot.join("wasm32-wasip1")).unwrap();
    assert_is_version(&machine.run(&["-vV"]));
}
