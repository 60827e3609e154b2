//! A real Helm, and what it renders.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use serde_json::Value;

pub(crate) const CHART: &str = "deploy/chart";

const SCRIPT: &str = "../tests/python/helm.sh";

/// The first call on a machine downloads it.
#[track_caller]
fn program() -> &'static Path {
    static PATH: LazyLock<Result<PathBuf, String>> = LazyLock::new(fetch);
    match &*PATH {
        Ok(path) => path,
        Err(error) => panic!("this test needs Helm: {error}"),
    }
}

/// The script's progress bypasses the test harness, which would capture it.
fn fetch() -> Result<PathBuf, String> {
    let mut script = Command::new(SCRIPT);
    let output = script.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("{SCRIPT}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().into())
    } else {
        Err(format!("{SCRIPT} failed; the lines above have the reason"))
    }
}

/// Runs Helm with these arguments, and without the user's configuration.
#[track_caller]
pub(crate) fn helm(arguments: &[&str]) -> Output {
    let home = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(program());
    command.args(arguments).env_clear().env("HOME", home.path());
    command.output().expect("helm runs")
}

/// Renders the chart as the release `istio-ingress` in a namespace, or returns Helm's error.
#[track_caller]
pub(crate) fn template(namespace: &str, arguments: &[&str]) -> Result<String, String> {
    let release = ["template", "istio-ingress", CHART, "--namespace", namespace];
    let output = helm(&[&release[..], arguments].concat());
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// The documents in Helm's output, without the lines that separate them.
pub(crate) fn documents(rendered: &str) -> Vec<&str> {
    let documents = rendered.split("---\n# Source: ").skip(1);
    let without_source = documents.map(|document| document.split_once('\n').expect("lines").1);
    without_source.map(|document| document.trim_matches('\n')).collect()
}

/// The objects in Helm's output.
pub(crate) fn objects(rendered: &str) -> Vec<Value> {
    let documents = documents(rendered).into_iter();
    documents.map(parsed).collect()
}

#[track_caller]
pub(crate) fn parsed(yaml: &str) -> Value {
    serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{error}: {yaml}"))
}
