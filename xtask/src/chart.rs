//! The Helm chart, and the same objects as one file for `kubectl apply`. Both name the
//! images of this release.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use tempfile::TempDir;

use crate::step::{made_by, output, run, workspace};

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
    run(command(&["package", "--destination"]).arg(folder).arg(chart.path()))?;
    let release = ["template", "istio-ingress", "--namespace", "istio-system", "--include-crds"];
    let objects = output(command(&release).arg(chart.path()))?;
    fs::write(folder.join("install.yaml"), objects).context("install.yaml")
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
    use super::*;

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
