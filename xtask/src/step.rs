//! The programs that a release runs.

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
    let path = output(&mut Command::new(workspace().join(script)))?;
    Ok(PathBuf::from(path.trim_end()))
}
