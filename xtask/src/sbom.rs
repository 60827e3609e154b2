//! Lists of all that is built in, as files in the format of `CycloneDX`
//! (<https://cyclonedx.org/docs/1.5/json/>).

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::binary::Machine;
use crate::step::{output, program, run, workspace};

const CYCLONEDX: [&str; 2] = ["cargo-cyclonedx", "0.5.9"];

/// The tool writes a file beside the `Cargo.toml` of each package.
const FILE: &str = "release.sbom";

/// The target of the module, whose dependencies differ.
const MODULE: &str = "wasm32-wasip1";

/// A package that is released.
struct Released {
    folder: &'static str,
    /// The name of its list.
    name: &'static str,
    target: &'static str,
    /// What is in it only for this target, so that the list is known to be for it.
    known: &'static str,
}

/// Writes the lists of the command and of the module to the folder.
pub(crate) fn write(machine: Machine, folder: &Path) -> anyhow::Result<()> {
    let tool = program(&CYCLONEDX)?;
    let target = machine.target();
    for released in [
        Released { folder: "config", name: "ingressctl", target, known: "wasmtime" },
        Released { folder: "filter", name: "ingress_filter", target: MODULE, known: "proxy-wasm" },
    ] {
        let written = list(&tool, &released).and_then(|()| released.keep(folder));
        remove_all()?;
        written?;
    }
    Ok(())
}

/// Writes a list beside each `Cargo.toml`, for the target of this package.
fn list(tool: &Path, released: &Released) -> anyhow::Result<()> {
    let mut cyclonedx = Command::new(tool);
    cyclonedx
        .args(["cyclonedx", "--quiet", "--quiet", "--format", "json", "--spec-version", "1.5"])
        .args(["--manifest-path", "Cargo.toml", "--no-build-deps", "--override-filename", FILE])
        .args(["--target", released.target])
        .env("SOURCE_DATE_EPOCH", time_of_commit()?);
    run(&mut cyclonedx)
}

impl Released {
    fn keep(&self, folder: &Path) -> anyhow::Result<()> {
        let here = format!("{}/", workspace().display());
        let path = workspace().join(self.folder).join(format!("{FILE}.json"));
        let list = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        ensure!(list.contains(self.known), "{} does not list {}", path.display(), self.known);
        let list = list.replace(&here, "/src/");
        fs::write(folder.join(format!("{}.cdx.json", self.name)), list)?;
        Ok(())
    }
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

/// In seconds since 1970, so that the same commit gives the same lists.
fn time_of_commit() -> anyhow::Result<String> {
    let time = output(Command::new("git").args(["log", "-1", "--format=%ct"]))?;
    Ok(time.trim_end().to_owned())
}
