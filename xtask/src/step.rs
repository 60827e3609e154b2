//! The programs that a release runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

/// The root of the workspace.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Tells what comes next, because the steps take minutes.
pub(crate) fn step(what: &str) {
    eprintln!("== {what}");
}

/// Runs a command in the workspace, with its output on standard error.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = output(command)?;
    eprint!("{output}");
    Ok(())
}

/// Runs a command in the workspace and returns its standard output.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    let program = PathBuf::from(command.get_program());
    let shown = program.display().to_string();
    let command = command.stdin(Stdio::null()).stderr(Stdio::inherit());
    if command.get_current_dir().is_none() {
        command.current_dir(workspace());
    }
    let output = command.output().with_context(|| format!("{shown} cannot be run"))?;
    ensure!(output.status.success(), "{shown}: {}", output.status);
    String::from_utf8(output.stdout).with_context(|| format!("the output of {shown}"))
}

/// What a script of this workspace makes or finds, which it prints the path of.
pub(crate) fn made_by(script: &str) -> anyhow::Result<PathBuf> {
    made(&mut Command::new(workspace().join(script)))
}

/// A program of crates.io: its name, its version, and flags of `cargo install`.
pub(crate) fn program(arguments: &[&str]) -> anyhow::Result<PathBuf> {
    made(Command::new(workspace().join("tests/cargo/tool.sh")).args(arguments))
}

fn made(script: &mut Command) -> anyhow::Result<PathBuf> {
    Ok(PathBuf::from(output(script)?.trim_end()))
}

/// Makes this folder empty. It is deleted only if we made it, which its file `sign` says.
pub(crate) fn make_empty(folder: &Path, sign: &str) -> anyhow::Result<()> {
    let sign = folder.join(sign);
    if folder.exists() {
        let is_ours = sign.is_file() || fs::read_dir(folder)?.next().is_none();
        ensure!(
            is_ours,
            "nothing was deleted: {} is not empty, and there is no {}, so this is something else; delete it, or name another folder",
            folder.display(),
            sign.display()
        );
        fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    fs::create_dir_all(folder)?;
    // First, in case what comes next is stopped.
    fs::write(&sign, "").with_context(|| sign.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_we_made_is_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let ours = folder.path().join("dist");
        // New, then one that was stopped.
        make_empty(&ours, "sign").unwrap();
        fs::write(ours.join("a"), "").unwrap();
        make_empty(&ours, "sign").unwrap();
        assert!(!ours.join("a").exists());
        fs::write(folder.path().join("mine"), "").unwrap();
        let error = make_empty(folder.path(), "sign").unwrap_err().to_string();
        assert!(error.contains("nothing was deleted") && ours.exists(), "{error}");
        fs::remove_file(folder.path().join("mine")).unwrap();
        fs::remove_dir_all(&ours).unwrap();
        make_empty(folder.path(), "sign").unwrap();
    }
}
