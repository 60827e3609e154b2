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
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_script_that_cannot_be_run_is_named() {
        let error = made_by("tests/missing.sh").unwrap_err();
        assert!(error.starts_with("tests/missing.sh: No such file"), "{error}");
    }

    /// What a script says of a program of Debian that prints this and fails.
    fn said_of(printed: &str) -> Result<PathBuf, String> {
        let folder = tempfile::tempdir().unwrap();
        let executable = |name: &str, script: &str| {
            let path = folder.path().join(name);
            fs::write(&path, script).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
            path
        };
        let fail = if printed.is_empty() { "" } else { "exit 1" };
        let script = format!("#!/bin/sh\ncat >&2 <<'TEXT'\n{printed}\nTEXT\n{fail}\n");
        let program = executable("chromium", &script);
        let packages = workspace().join("tests/debian/packages.sh");
        let script = executable(
            "browser.sh",
            &format!(
                "#!/usr/bin/env bash\nset -euo pipefail\n. '{}'\nrequire_runs '{}' 'install it'\necho /made\n",
                packages.display(),
                program.display()
            ),
        );
        made_by(script.to_str().unwrap())
    }

    #[test]
    fn a_c_library_that_is_too_old_is_named() {
        assert_eq!(said_of(""), Ok("/made".into()));
        let line = |version| format!("chromium: libc.so.6: version `GLIBC_{version}' not found");
        let error = said_of(&[line("2.9"), line("2.36"), line("2.34")].join("\n")).unwrap_err();
        assert!(error.contains("chromium of Debian bookworm needs glibc 2.36, but"), "{error}");
        assert!(error.contains("this system has ") && error.ends_with("; install it"), "{error}");
        let error = said_of("one\nno such library").unwrap_err();
        assert!(error.ends_with("cannot be run: no such library; install it"), "{error}");
    }
}
