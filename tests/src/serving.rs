//! A running `ingressctl serve`.

use std::fs;
use std::ops::Deref;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::access_log::AccessLog;
use crate::edge::Edge;
use crate::process::Process;
use crate::tools::{envoy, ingressctl};

/// `ingressctl serve` on a folder of manifests, with a real Envoy; stopped when
/// dropped.
pub struct Serving {
    process: Process,
    folder: TempDir,
    edge: Edge,
    access_log: AccessLog,
}

impl Serving {
    /// Serves `manifests`, without an access log.
    ///
    /// # Panics
    /// If it does not become ready.
    pub fn start(manifests: &str) -> Self {
        Self::start_with(manifests, &["--concurrency", "2", "--access-log=false"])
    }

    /// Serves `manifests` with these flags.
    ///
    /// # Panics
    /// If it does not become ready.
    pub fn start_with(manifests: &str, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("manifests.yaml"), manifests).expect("a manifest is written");
        let is_told = flags.contains(&"--https");
        let https: &[&str] = if is_told { &[] } else { &["--https", "127.0.0.1:0"] };
        let (process, edge, access_log) = Edge::run(
            Command::new(ingressctl())
                .args(["serve", "--http", "127.0.0.1:0", "-f"])
                .arg(folder.path())
                .arg("--envoy")
                .arg(envoy())
                .args(flags)
                .args(https),
        );
        Self { process, folder, edge, access_log }
    }

    /// The folder of the manifests.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Replaces the manifests in one step.
    ///
    /// # Panics
    /// If they cannot be written.
    pub fn replace(&self, manifests: &str) {
        // Written under a name that is not watched, then renamed: readers never see
        // a partial file.
        let new = self.folder().join("manifests.new");
        fs::write(&new, manifests).expect("a manifest is written");
        fs::rename(new, self.folder().join("manifests.yaml")).expect("a manifest is replaced");
    }

    /// The access log, if the test asked for one.
    pub fn access_log(&self) -> &AccessLog {
        &self.access_log
    }

    /// Envoy's process, a child of `ingressctl`.
    ///
    /// # Panics
    /// If it is not running.
    pub fn envoy_pid(&self) -> u32 {
        *self.process.children().first().expect("a running Envoy")
    }

    /// The process of `ingressctl`.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Asks it to end, as Ctrl-C does, and returns its exit code.
    ///
    /// # Panics
    /// If it cannot be waited for.
    pub fn interrupt(self) -> Option<i32> {
        self.process.interrupt()
    }
}

impl Deref for Serving {
    type Target = Edge;

    fn deref(&self) -> &Edge {
        &self.edge
    }
}
