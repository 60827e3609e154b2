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

/// How long Envoy may take to end by itself.
const GRACE_PERIOD: Duration = Duration::from_secs(10);

/// A running Envoy, which ends when this is dropped.
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
            // Several may run side by side.
            .arg("--disable-hot-restart")
            // A Ctrl-C at the terminal is for us, who stop Envoy in our turn.
            .process_group(0)
            .kill_on_drop(true);
        if let Some(concurrency) = concurrency {
            command.args(["--concurrency", &concurrency.to_string()]);
        }
        let child = command.spawn().with_context(|| format!("cannot run {}", envoy.display()))?;
        Ok(Self(child))
    }

    /// Waits for Envoy to end by itself.
    pub(super) async fn ended(&mut self) -> std::io::Result<ExitStatus> {
        self.0.wait().await
    }

    /// Asks Envoy to end, and makes it where it does not, or where a further
    /// signal says that it is urgent.
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
