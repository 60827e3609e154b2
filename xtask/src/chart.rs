//! The Helm chart, and the same objects as one file for `kubectl apply`. Both name the
//! images of this release.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use ingressctl::oci::{Entry, archive, compress};
use tempfile::TempDir;

use crate::step::{made_by, output, run, workspace};

/// The folder in the archive of the chart.
const NAME: &str = "istio-ingress";

/// Where the images are, and which.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Images<'a> {
    pub(crate) repository: &'a str,
    pub(crate) digest: &'a str,
    /// The digest of Envoy's image; without it, a tag names that.
    pub(crate) envoy: Option<&'a str>,
}

/// Writes the archive of the chart and `install.yaml` to the folder.
pub(crate) fn write(images: Images<'_>, folder: &Path) -> anyhow::Result<()> {
    let helm = made_by("tests/python/helm.sh")?;
    let home = tempfile::tempdir()?;
    let chart = chart_with(images)?;
    let command = |arguments: &[&str]| {
        let mut command = Command::new(&helm);
        command.args(arguments).env("HOME", home.path());
        command
    };
    let packed = tempfile::tempdir()?;
    run(command(&["package", "--destination"]).arg(packed.path()).arg(chart.path()))?;
    repack(packed.path(), folder)?;
    let release = ["template", NAME, "--namespace", "istio-system", "--include-crds"];
    let objects = output(command(&release).arg(chart.path()))?;
    fs::write(folder.join("install.yaml"), objects).context("install.yaml")
}

/// Writes the archive that Helm has made to the folder. Helm puts the time into it; this one
/// depends on the files alone.
fn repack(packed: &Path, folder: &Path) -> anyhow::Result<()> {
    let made = fs::read_dir(packed)?.next().context("helm has made no archive")??;
    run(Command::new("tar").arg("-xzmf").arg(made.path()).arg("-C").arg(packed))?;
    let mut find = Command::new("find");
    let paths = output(find.args([NAME, "-type", "f"]).current_dir(packed))?;
    let mut paths: Vec<_> = paths.lines().collect();
    paths.sort_unstable();
    let contents = paths.iter().map(|path| fs::read(packed.join(path)));
    let contents: Vec<_> = contents.collect::<Result<_, _>>()?;
    let entries = paths.iter().zip(&contents);
    let entries: Vec<_> = entries
        .map(|(path, content)| Entry { path, mode: 0o644, content: Some(content) })
        .collect();
    let path = folder.join(made.file_name());
    fs::write(&path, compress(&archive(&entries)?)?).with_context(|| path.display().to_string())
}

/// A copy of the chart whose default values name these images.
fn chart_with(images: Images<'_>) -> anyhow::Result<TempDir> {
    let copy = tempfile::tempdir()?;
    let chart = workspace().join("config/deploy/chart");
    run(Command::new("cp").arg("-R").arg(chart.join(".")).arg(copy.path()))?;
    let path = copy.path().join("values.yaml");
    let mut values = fs::read_to_string(&path)?;
    set(&mut values, "  ingressctl:\n", "repository: ingressctl", images.repository)?;
    set(&mut values, "  ingressctl:\n", "digest: \"\"", images.digest)?;
    if let Some(digest) = images.envoy {
        set(&mut values, "  envoy:\n", "digest: \"\"", digest)?;
    }
    fs::write(path, values)?;
    Ok(copy)
}

/// Replaces the value of the first such field after a line, and leaves the comments.
fn set(values: &mut String, after: &str, field: &str, value: &str) -> anyhow::Result<()> {
    let start = values.find(after).with_context(|| format!("values.yaml has no {after}"))?;
    let rest = values.get(start..).unwrap_or_default();
    let at = start + rest.find(field).with_context(|| format!("values.yaml has no {field}"))?;
    let (name, _) = field.split_once(": ").context("a field")?;
    ensure!(!value.contains(['\n', '#', '"']), "{value} is not valid as a {name}");
    values.replace_range(at..at + field.len(), &format!("{name}: {value}"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_archive_does_not_depend_on_the_time() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let images = Images { repository: "ingressctl", digest: &digest, envoy: None };
        let name = concat!("istio-ingress-", env!("CARGO_PKG_VERSION"), ".tgz");
        let [one, other] = [(); 2].map(|()| {
            // The times in an archive are in seconds.
            thread::sleep(Duration::from_secs(1));
            let folder = tempfile::tempdir().unwrap();
            write(images, folder.path()).unwrap();
            fs::read(folder.path().join(name)).unwrap()
        });
        assert!(one == other && !one.is_empty(), "{} and {} bytes", one.len(), other.len());
    }

    #[test]
    fn the_values_of_the_chart_name_the_images() {
        let images = Images {
            repository: "registry.example/edge/ingressctl",
            digest: "sha256:1",
            envoy: Some("sha256:2"),
        };
        let values = fs::read_to_string(chart_with(images).unwrap().path().join("values.yaml"));
        let values = values.unwrap();
        let changed: Vec<_> = values
            .lines()
            .filter(|line| line.contains("registry.example") || line.contains("sha256:"))
            .filter(|line| !line.trim_start().starts_with('#'))
            .map(str::trim)
            .collect();
        let expected = [
            "repository: registry.example/edge/ingressctl",
            "digest: sha256:1",
            "digest: sha256:2",
        ];
        assert_eq!(changed, expected);
    }
}
