//! Envoy as a child process.

use std::path::Path;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::envoy::Layout;
use crate::signals::Signals;

/// The time that Envoy may take to stop.
const GRACE_PERIOD: Duration = Duration::from_secs(10);

/// A running Envoy, which is killed when this is dropped.
pub(super) struct EnvoyProcess(Child);

impl EnvoyProcess {
    pub(super) fn start(
        envoy: &Path,
        concurrency: Option<u32>,
        layout: &Layout,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(envoy);
        command
            .arg("--config-path")
            .arg(layout.bootstrap())
            .arg("--admin-address-path")
            .arg(layout.admin_address())
            .args(["--log-level", "warning"])
            // Several instances may run in parallel.
            .arg("--disable-hot-restart")
            // Ctrl-C in the terminal reaches only this process, which then stops
            // Envoy.
            .process_group(0)
            .kill_on_drop(true);
        if let Some(concurrency) = concurrency {
            command.args(["--concurrency", &concurrency.to_string()]);
        }
        let child = command.spawn().with_context(|| format!("cannot run {}", envoy.display()))?;
        Ok(Self(child))
    }

    /// Waits for Envoy to exit by itself.
    pub(super) async fn ended(&mut self) -> std::io::Result<ExitStatus> {
        self.0.wait().await
    }

    /// Stops Envoy, and kills it if it does not stop in time or after a further
    /// signal.
    pub(super) async fn stop(mut self, signals: &mut Signals) -> anyhow::Result<ExitCode> {
        let pid = self.0.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(pid) = pid {
            kill_process(pid, Signal::TERM)?;
        }
        let ending = timeout(GRACE_PERIOD, self.0.wait());
        let has_ended = signals.unless_received(ending).await.is_some_and(|ended| ended.is_ok());
        if !has_ended {
            self.0.kill().await?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
