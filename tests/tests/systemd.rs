//! The unit of systemd for `ingressctl serve`, as systemd reads it.

use std::fs;
use std::process::Command;

use ingress_tests::{ingressctl, systemd_analyze, workspace};

/// What systemd says about the text of a unit.
fn said_about(unit: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ingressctl.service");
    fs::write(&path, unit).unwrap();
    let mut verify = Command::new(systemd_analyze());
    let output = verify.args(["verify", "--man=no"]).arg(&path).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn systemd_understands_each_line_of_the_unit() {
    let unit = workspace().join("config/deploy/systemd/ingressctl.service");
    let unit = fs::read_to_string(unit).unwrap();
    // The program has to be there.
    let unit = unit.replace("/usr/local/bin/ingressctl", ingressctl().to_str().unwrap());
    assert_eq!(said_about(&unit), "");
    let misspelt = unit.replace("\nLoadCredential=", "\nLoadCredentials=");
    assert!(said_about(&misspelt).contains("LoadCredentials"));
}
