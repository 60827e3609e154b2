//! The errors of the scripts that download tools for the tests.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use ingress_tests::{tool, workspace};

/// A machine with these programs and an empty cache.
struct Machine(tempfile::TempDir);

impl Machine {
    fn with(programs: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("bin")).unwrap();
        for program in programs {
            symlink(tool(program), folder.path().join("bin").join(program)).unwrap();
        }
        Self(folder)
    }

    /// The last line that a script prints; it must fail.
    fn error_of(&self, script: &str, assets: &Path) -> String {
        let output = Command::new(workspace().join(script))
            .env("PATH", self.0.path().join("bin"))
            .env("XDG_CACHE_HOME", self.0.path().join("cache"))
            .env("KUBEBUILDER_ASSETS", assets)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        text.lines().last().unwrap().to_owned()
    }
}

#[test]
fn where_there_are_no_packages_of_debian_the_remedy_is_another() {
    let machine = Machine::with(&["bash", "dirname", "flock", "mkdir", "rm"]);
    for (script, remedy) in [
        ("tests/debian/tools.sh", "install curl, wrk, nghttp2-client (h2load"),
        ("tests/debian/browser.sh", "chromium"),
        ("tests/debian/prometheus.sh", "install prometheus"),
        ("tests/kube/assets.sh", "set KUBEBUILDER_ASSETS to a folder with kube-apiserver, etcd"),
    ] {
        let error = machine.error_of(script, Path::new(""));
        assert!(error.contains("has no apt-get"), "{error}");
        assert!(error.contains(remedy), "{error}");
    }
}

#[test]
fn without_python_the_remedy_is_to_install_it() {
    let machine = Machine::with(&["bash", "dirname"]);
    for script in ["packages.sh", "helm.sh", "lychee.sh", "zig.sh"] {
        let error = machine.error_of(&format!("tests/python/{script}"), Path::new(""));
        assert!(error.contains("there is no python3; install Python 3.10 or later"), "{error}");
    }
}

#[test]
fn a_folder_of_programs_that_is_not_complete_is_left_alone() {
    let machine = Machine::with(&["bash", "dirname", "paste"]);
    let assets = tempfile::tempdir().unwrap();
    let error = machine.error_of("tests/kube/assets.sh", assets.path());
    let expected = format!(
        "KUBEBUILDER_ASSETS is {}, which lacks kube-apiserver etcd kubectl; unset it, or",
        assets.path().display()
    );
    assert!(error.contains(&expected), "{error}");
    assert_eq!(fs::read_dir(assets.path()).unwrap().count(), 0);
}
