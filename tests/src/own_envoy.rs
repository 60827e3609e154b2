//! A real Envoy that `ingressctl` does not start.

use std::fs;
use std::ops::Deref;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::admin::Admin;
use crate::edge::{Edge, wait_until};
use crate::process::Process;
use crate::tools::{envoy, ingressctl};

/// A real Envoy with a configuration file; stopped when dropped.
pub struct OwnEnvoy {
    process: Process,
    /// The folder for Envoy's output.
    folder: TempDir,
    edge: Edge,
}

impl OwnEnvoy {
    /// Runs Envoy with this configuration, which has one listener, or one named
    /// `http` and optionally one named `https`.
    ///
    /// # Panics
    /// If it does not become ready.
    pub fn start(config: &Path) -> Self {
        Self::start_in(config, &[])
    }

    /// As [`Self::start`], with these environment variables.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn start_in(config: &Path, environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let address_file = folder.path().join("admin-address");
        let process = Process::spawn(
            Command::new(envoy())
                .envs(environment.iter().copied())
                .args(["--disable-hot-restart", "--concurrency", "2", "--log-level", "warning"])
                .arg("--log-path")
                .arg(folder.path().join("log"))
                .arg("--admin-address-path")
                .arg(&address_file)
                .arg("-c")
                .arg(config),
        );
        let mut admin = None;
        wait_until("envoy starts", || {
            let address = fs::read_to_string(&address_file).unwrap_or_default();
            admin = address.trim().parse::<Admin>().ok();
            admin.is_some()
        });
        let admin = admin.expect("Envoy has started");
        let mut http = None;
        wait_until("envoy listens", || {
            http = admin
                .is_ready()
                .then(|| admin.listener("http").or_else(|| admin.listener("")))
                .flatten();
            http.is_some()
        });
        let (http, https) = (http.expect("it listens"), admin.listener("https"));
        Self { process, folder, edge: Edge { http, https, health: None, admin } }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The log of Envoy so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Deref for OwnEnvoy {
    type Target = Edge;

    fn deref(&self) -> &Edge {
        &self.edge
    }
}

/// The output of `envoy --mode validate` for a configuration.
///
/// # Panics
/// If Envoy cannot be run.
pub fn validate(config: &Path) -> Output {
    let mut command = Command::new(envoy());
    command.args(["--mode", "validate", "-c"]).arg(config).output().expect("envoy runs")
}

/// A folder with the output of `ingressctl compile` for `manifests`, for an Envoy
/// on free ports.
///
/// # Panics
/// If nothing is written.
pub fn compiled(manifests: &str) -> TempDir {
    compiled_with(manifests, &[])
}

/// As [`compiled`], with these flags.
///
/// # Panics
/// As [`compiled`].
pub fn compiled_with(manifests: &str, flags: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let source = folder.path().join("manifests.yaml");
    fs::write(&source, manifests).expect("a manifest is written");
    compile_with(&source, folder.path(), flags);
    folder
}

/// Runs `ingressctl compile` on the manifests at `source`, with `folder` as its
/// output.
///
/// # Panics
/// If nothing is written.
pub fn compile(source: &Path, folder: &Path) {
    compile_with(source, folder, &[]);
}

fn compile_with(source: &Path, folder: &Path, flags: &[&str]) {
    let output = Command::new(ingressctl())
        .args([
            "compile",
            "--http",
            "127.0.0.1:0",
            "--https",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
        ])
        .args(flags)
        .args(["--access-log=false", "-f"])
        .arg(source)
        .arg("-o")
        .arg(folder)
        .output()
        .expect("ingressctl runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(folder.join("bootstrap.json").is_file(), "bootstrap.json is missing: {said}");
}

/// Changes a JSON file atomically, so that a watcher reads the old or the new
/// content.
///
/// # Panics
/// If it is not JSON.
pub fn edit_json(path: &Path, edit: impl FnOnce(&mut Value)) {
    let text = fs::read(path).expect("a file");
    let mut json = serde_json::from_slice(&text).expect("JSON");
    edit(&mut json);
    let new = path.with_extension("new");
    fs::write(&new, json.to_string()).expect("a file is written");
    fs::rename(new, path).expect("a file is replaced");
}
