//! Tools that tests need and the machine may lack: scripts create them once, in
//! the cache.

use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::tools::workspace;

/// Runs a script of this crate that creates or finds a folder, and returns the path
/// that it prints. Its progress bypasses the test harness, which would capture it.
pub(crate) fn made_by(script: &str) -> Result<PathBuf, String> {
    let failed = |error: io::Error| format!("{script}: {error}");
    let mut child = Command::new(workspace().join(script))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut last = String::new();
    for line in child.stderr.take().into_iter().flat_map(|pipe| BufReader::new(pipe).lines()) {
        last = line.map_err(failed)?;
        say(&last);
    }
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().into())
    } else {
        Err(format!("{script} failed: {last}"))
    }
}

/// The result, for a test that needs it. The error is kept, so that all tests of a
/// binary fail with it after one try.
///
/// # Panics
/// If the script failed.
#[track_caller]
pub(crate) fn needed<'a>(what: &str, made: &'a Result<PathBuf, String>) -> &'a Path {
    match made {
        Ok(path) => path,
        Err(error) => panic!("this test needs {what}: {error}"),
    }
}

/// Prints a line at once; the test harness captures `eprintln!` until a test has
/// failed.
pub fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_that_cannot_be_run_is_named() {
        let error = made_by("tests/missing.sh").unwrap_err();
        assert!(error.starts_with("tests/missing.sh: No such file"), "{error}");
    }
}
