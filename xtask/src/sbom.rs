//! Lists of all that is built in, as files in the format of `CycloneDX`
//! (<https://cyclonedx.org/docs/1.5/json/>).

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::binary::Machine;
use crate::step::{output, run, workspace};

const CYCLONEDX: (&str, &str) = ("cargo-cyclonedx", "0.5.9");

/// The tool writes a file beside the `Cargo.toml` of each package.
const FILE: &str = "release.sbom";

/// The packages that are released, and the names of their lists.
const RELEASED: [(&str, &str); 2] = [("config", "ingressctl"), ("filter", "ingress_filter")];

/// Writes the lists of the command and of the module to the folder.
pub(crate) fn write(machine: Machine, folder: &Path) -> anyhow::Result<()> {
    install()?;
    let mut cyclonedx = Command::new("cargo");
    cyclonedx
        .args(["cyclonedx", "--quiet", "--quiet", "--format", "json", "--spec-version", "1.5"])
        .args(["--manifest-path", "Cargo.toml", "--no-build-deps", "--override-filename", FILE])
        .args(["--target", machine.target()])
        .env("SOURCE_DATE_EPOCH", time_of_commit()?);
    let written = run(&mut cyclonedx).and_then(|()| keep_released(folder));
    remove_all()?;
    written
}

fn keep_released(folder: &Path) -> anyhow::Result<()> {
    let here = format!("{}/", workspace().display());
    for (package, name) in RELEASED {
        let path = workspace().join(package).join(format!("{FILE}.json"));
        let list = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        ensure!(list.contains("\"components\""), "{} lists nothing", path.display());
        let list = list.replace(&here, "/src/");
        fs::write(folder.join(format!("{name}.cdx.json")), list)?;
    }
    Ok(())
}

fn remove_all() -> anyhow::Result<()> {
    for entry in fs::read_dir(workspace())? {
        let path = entry?.path().join(format!("{FILE}.json"));
        if path.is_file() {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Installs the tool if it is missing.
fn install() -> anyhow::Result<()> {
    let (program, version) = CYCLONEDX;
    if Command::new(program).arg("--version").output().is_ok() {
        return Ok(());
    }
    let package = format!("{program}@{version}");
    run(Command::new("cargo").args(["install", "--quiet", "--locked", &package]))
}

/// In seconds since 1970, so that the same commit gives the same lists.
fn time_of_commit() -> anyhow::Result<String> {
    let time = output(Command::new("git").args(["log", "-1", "--format=%ct"]))?;
    Ok(time.trim_end().to_owned())
}
