//! What has been made, tried where it can run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::binary::Machine;
use crate::image::PROGRAM;
use crate::step::{output, run};

/// Where `chroot` is.
const SYSTEM: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// Unpacks the image of a kind of machine from an archive into an empty root, as a container
/// engine does.
pub(crate) fn unpack(archive: &Path, machine: Machine, root: &Path) -> anyhow::Result<()> {
    if root.exists() {
        fs::remove_dir_all(root)?;
    }
    fs::create_dir_all(root)?;
    let layout = tempfile::tempdir()?;
    run(Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(layout.path()))?;
    let read = |path: &Path| -> anyhow::Result<Value> {
        let bytes = fs::read(path).with_context(|| path.display().to_string())?;
        Ok(serde_json::from_slice(&bytes)?)
    };
    let blob = |descriptor: &Value| -> anyhow::Result<PathBuf> {
        let digest = descriptor["digest"].as_str().context("a descriptor has no digest")?;
        Ok(layout.path().join("blobs").join(digest.replace(':', "/")))
    };
    let names = read(&layout.path().join("index.json"))?;
    let platforms = read(&blob(&names["manifests"][0])?)?;
    let mut manifests = platforms["manifests"].as_array().into_iter().flatten();
    let of_machine = |manifest: &&Value| manifest["platform"]["architecture"] == machine.name();
    let manifest = manifests.find(of_machine).context("no image for this kind of machine")?;
    for layer in read(&blob(manifest)?)?["layers"].as_array().into_iter().flatten() {
        run(Command::new("tar").arg("-xzf").arg(blob(layer)?).arg("-C").arg(root))?;
    }
    Ok(())
}

/// Runs the command with nothing else in its root. It must contain this module, because the
/// release also has it as a file, which another build has made.
pub(crate) fn runs_alone(root: &Path, module: &str) -> anyhow::Result<()> {
    let inside = format!("/{PROGRAM}");
    // A user namespace lets any user change the root; root itself needs none.
    let mut command = if is_root()? {
        let mut command = Command::new("chroot");
        command.arg(root).arg(inside);
        command
    } else if has_namespaces() {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "chroot"]).arg(root).arg(inside);
        command
    } else {
        // Ubuntu and most containers do not allow them.
        eprintln!("user namespaces are not allowed here, so the root stays that of this machine");
        Command::new(root.join(PROGRAM))
    };
    command.args(["--version", "-o", "json"]).env_clear().env("PATH", SYSTEM);
    let printed = output(&mut command)?;
    eprint!("{printed}");
    let version: Value = serde_json::from_str(&printed)?;
    ensure!(
        version["module"] == module,
        "the command has the module {}, but the release has {module}",
        version["module"]
    );
    Ok(())
}

fn has_namespaces() -> bool {
    let tried = Command::new("unshare").args(["--map-root-user", "true"]).output();
    tried.is_ok_and(|output| output.status.success())
}

fn is_root() -> anyhow::Result<bool> {
    let id = Command::new("id").arg("-u").output()?;
    Ok(id.stdout == b"0\n")
}

/// Compares all files with their checksums.
pub(crate) fn has_checksums(folder: &Path) -> anyhow::Result<()> {
    ensure!(folder.join("SHA256SUMS").is_file(), "there are no checksums");
    run(Command::new("sha256sum").args(["--check", "--quiet", "SHA256SUMS"]).current_dir(folder))
}
