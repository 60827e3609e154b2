//! A real Envoy without `ingressctl` around it.

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

/// A real Envoy on a configuration file; stopped when dropped.
pub struct OwnEnvoy {
    process: Process,
    /// For what Envoy writes.
    folder: TempDir,
    edge: Edge,
}

impl OwnEnvoy {
    /// Runs Envoy on this configuration, which has one listener, or one named
    /// `http` and perhaps one named `https`.
    ///
    /// # Panics
    /// Where it does not get ready.
    pub fn start(config: &Path) -> Self {
        Self::start_in(config, &[])
    }

    /// As [`Self::start`], with these variables in its environment.
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
        let admin = admin.expect("it has started");
        let mut http = None;
        wait_until("envoy listens", || {
            http = admin
                .is_ready()
                .then(|| admin.listener("http").or_else(|| admin.listener("")))
                .flatten();
            http.is_some()
        });
        let (http, https) = (http.expect("it listens"), admin.listener("https"));
        Self { process, folder, edge: Edge { http, https, admin } }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// What Envoy has logged so far.
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

/// What `envoy --mode validate` says of a configuration.
///
/// # Panics
/// Where Envoy cannot be run.
pub fn validate(config: &Path) -> Output {
    let mut command = Command::new(envoy());
    command.args(["--mode", "validate", "-c"]).arg(config).output().expect("envoy runs")
}

/// A folder with what `ingressctl compile` makes of `manifests`, for an Envoy
/// that takes free ports.
///
/// # Panics
/// Where nothing is written.
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

/// Has `ingressctl` compile the manifests at `source` into `folder`.
///
/// # Panics
/// Where nothing is written.
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
    assert!(folder.join("bootstrap.json").is_file(), "nothing was compiled: {said}");
}

/// Changes a JSON file, so that a watcher sees the old one or the new.
///
/// # Panics
/// Where it is none.
pub fn edit_json(path: &Path, edit: impl FnOnce(&mut Value)) {
    let text = fs::read(path).expect("a file");
    let mut json = serde_json::from_slice(&text).expect("JSON");
    edit(&mut json);
    let new = path.with_extension("new");
    fs::write(&new, json.to_string()).expect("a file is written");
    fs::rename(new, path).expect("a file is replaced");
}
