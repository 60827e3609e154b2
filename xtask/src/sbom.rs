//! Lists of all that is built in, as files in the format of `CycloneDX`
//! (<https://cyclonedx.org/docs/1.5/json/>).

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::binary::Machine;
use crate::step::{output, program, run, workspace};

const CYCLONEDX: [&str; 2] = ["cargo-cyclonedx", "0.5.9"];

/// The tool writes a file beside the `Cargo.toml` of each package.
const FILE: &str = "release.sbom";

/// The target of the module, whose dependencies differ.
const MODULE: &str = "wasm32-wasip1";

/// A package that is released.
struct Released {
    package: &'static str,
    folder: &'static str,
    target: &'static str,
}

/// Writes the lists of the command and of the module to the folder.
pub(crate) fn write(machine: Machine, folder: &Path) -> anyhow::Result<()> {
    let tool = program(&CYCLONEDX)?;
    for released in [
        Released { package: "ingressctl", folder: "config", target: machine.target() },
        Released { package: "ingress-filter", folder: "filter", target: MODULE },
    ] {
        let written = list(&tool, released.target).and_then(|()| released.keep(folder));
        remove_all()?;
        written?;
    }
    Ok(())
}

/// Writes a list beside each `Cargo.toml`, for this target.
fn list(tool: &Path, target: &str) -> anyhow::Result<()> {
    let mut cyclonedx = Command::new(tool);
    cyclonedx
        .args(["cyclonedx", "--quiet", "--quiet", "--format", "json", "--spec-version", "1.5"])
        .args(["--manifest-path", "Cargo.toml", "--no-build-deps", "--override-filename", FILE])
        .args(["--target", target])
        .env("SOURCE_DATE_EPOCH", time_of_commit()?);
    run(&mut cyclonedx)
}

impl Released {
    fn keep(&self, folder: &Path) -> anyhow::Result<()> {
        let here = format!("{}/", workspace().display());
        let path = workspace().join(self.folder).join(format!("{FILE}.json"));
        let list = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let mut list = serde_json::from_str(&list.replace(&here, "/src/"))?;
        let tree = output(Command::new("cargo").args(["tree", "--locked", "--package"]).args([
            self.package,
            "--target",
            self.target,
            "--edges=normal,no-proc-macro",
            "--prefix=none",
            "--no-dedupe",
        ]))?;
        retain(&mut list, &tree)?;
        let text = serde_json::to_string_pretty(&list)? + "\n";
        let name = self.package.replace('-', "_");
        fs::write(folder.join(format!("{name}.cdx.json")), text)?;
        Ok(())
    }
}

/// Removes what is not in the tree of this package: the tool lists what any package of the
/// workspace turns on.
fn retain(list: &mut Value, tree: &str) -> anyhow::Result<()> {
    let crates: BTreeSet<_> = tree.lines().filter_map(Crate::in_tree).collect();
    let components = list["components"].as_array_mut().context("there are no components")?;
    components.retain(|component| crates.contains(&Crate::of(component)));
    let mut listed: BTreeSet<_> = components.iter().map(Crate::of).collect();
    let mut kept: BTreeSet<_> =
        components.iter().map(|one| one["bom-ref"].clone().to_string()).collect();
    let root = &list["metadata"]["component"];
    listed.insert(Crate::of(root));
    kept.insert(root["bom-ref"].to_string());
    let missing: Vec<_> = crates.difference(&listed).collect();
    ensure!(missing.is_empty(), "the list lacks {missing:?}");
    let dependencies = list["dependencies"].as_array_mut().context("there are no dependencies")?;
    dependencies.retain(|one| kept.contains(&one["ref"].to_string()));
    for on in dependencies.iter_mut().filter_map(|one| one.get_mut("dependsOn")?.as_array_mut()) {
        on.retain(|other| kept.contains(&other.to_string()));
    }
    Ok(())
}

/// The name and the version of a crate.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Crate(String, String);

impl Crate {
    /// From a line such as `serde v1.0.229`.
    fn in_tree(line: &str) -> Option<Self> {
        let (name, version) = line.split_once(" v")?;
        let version = version.split(' ').next().unwrap_or(version);
        Some(Self(name.to_owned(), version.to_owned()))
    }

    fn of(component: &Value) -> Self {
        let text = |field| component[field].as_str().unwrap_or_default().to_owned();
        Self(text("name"), text("version"))
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_another_package_turns_on_is_removed() {
        let part = |name: &str| json!({"bom-ref": name, "name": name, "version": "1.0.0"});
        let mut list = json!({
            "metadata": {"component": part("ours")},
            "components": [part("used"), part("schemas")],
            "dependencies": [
                {"ref": "ours", "dependsOn": ["used", "schemas"]},
                {"ref": "used"},
                {"ref": "schemas", "dependsOn": ["used"]},
            ],
        });
        let tree = "ours v1.0.0 (/src/ours)\nused v1.0.0\n";
        retain(&mut list, tree).unwrap();
        assert_eq!(list["components"], json!([part("used")]));
        let dependencies = json!([{"ref": "ours", "dependsOn": ["used"]}, {"ref": "used"}]);
        assert_eq!(list["dependencies"], dependencies);
        // Another version is another crate.
        let error = retain(&mut list, &tree.replace("used v1", "used v2")).unwrap_err();
        assert!(error.to_string().contains("2.0.0"), "{error}");
    }
}
