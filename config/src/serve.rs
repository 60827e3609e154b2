//! Runs Envoy on manifests and keeps the two in step: what changes in the
//! manifests is swapped in without a restart.

mod admin;
mod process;
mod rollout;
mod watch;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch as channel;

use crate::compile::{Compiled, compile};
use crate::envoy::Listening;
use crate::manifest::PathSpec;
use crate::settings::Settings;

use process::EnvoyProcess;
use rollout::Rollout;
use watch::Watcher;

/// What to serve, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the manifests are.
    pub manifests: Vec<PathSpec>,
    /// The settings.
    pub settings: Settings,
    /// The addresses to listen on; a port 0 takes a free one.
    pub listening: Listening,
    /// The Envoy to run.
    pub envoy: PathBuf,
    /// How many worker threads it has; without it, one per core.
    pub concurrency: Option<u32>,
}

/// The addresses Envoy listens on, now that it does.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// For HTTP.
    pub http: SocketAddr,
    /// For the admin interface.
    pub admin: SocketAddr,
}

/// Serves until Envoy ends, or until a signal says so: then Envoy is stopped
/// and the exit code is 0. `when_ready` is called once Envoy answers.
///
/// # Errors
/// Where the manifests cannot be read at the start, or Envoy does not start.
pub async fn serve(options: &Options, when_ready: impl FnOnce(Ready)) -> anyhow::Result<ExitCode> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    // From before the first reading, so that no change is missed.
    let mut watcher =
        Watcher::new(&options.manifests).context("the manifests cannot be watched")?;
    let first = watcher.read().context("the manifests cannot be watched")?;
    let compiled = compile(&first, &options.settings);
    let mut reported = Reported::default();
    reported.print(&compiled);
    anyhow::ensure!(first.is_complete(), "nothing is served: not all manifests could be read");

    let folder = tempfile::Builder::new().prefix("ingressctl-").tempdir()?;
    let mut rollout = Rollout::prepare(folder.path(), options, &compiled)?;
    let mut envoy =
        EnvoyProcess::start(options, rollout.bootstrap(), rollout.admin_address_file())?;
    tokio::select! {
        ready = rollout.wait_until_ready() => when_ready(ready?),
        status = envoy.ended() => anyhow::bail!("envoy ended before it served: {}", status?),
        _ = interrupted.recv() => return envoy.stop().await,
        _ = terminated.recv() => return envoy.stop().await,
    }

    let mut updates = follow(watcher, options.settings.clone());
    loop {
        tokio::select! {
            changed = updates.changed() => {
                changed.context("the manifests are no longer watched")?;
                let update = Option::clone(&updates.borrow_and_update());
                if let Some(update) = update {
                    reported.print(&update.compiled);
                    apply(&update, &mut rollout).await;
                }
            }
            status = envoy.ended() => {
                let code = status?.code().and_then(|code| u8::try_from(code).ok());
                return Ok(code.map_or(ExitCode::FAILURE, ExitCode::from));
            }
            _ = interrupted.recv() => return envoy.stop().await,
            _ = terminated.recv() => return envoy.stop().await,
        }
    }
}

/// The manifests as they are after a change.
struct Update {
    compiled: Compiled,
    is_complete: bool,
}

/// Reads and compiles the manifests whenever they have changed. Whoever is slow
/// to take an update in gets the last one.
fn follow(mut watcher: Watcher, settings: Settings) -> channel::Receiver<Option<Arc<Update>>> {
    let (sender, receiver) = channel::channel(None);
    thread::spawn(move || {
        while let Ok(manifests) = watcher.changed() {
            let update = Update {
                compiled: compile(&manifests, &settings),
                is_complete: manifests.is_complete(),
            };
            if sender.send(Some(Arc::new(update))).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Takes an update in, or leaves everything as it is.
async fn apply(update: &Update, rollout: &mut Rollout<'_>) {
    if !update.is_complete {
        // What cannot be read is not what was deleted.
        eprintln!(
            "ingressctl: not all manifests could be read; what was served before is still served"
        );
        return;
    }
    let start = Instant::now();
    match rollout.apply(&update.compiled).await {
        Ok(false) => {}
        Ok(true) => eprintln!(
            "ingressctl: route table {} applied in {} ms",
            update.compiled.table.name,
            start.elapsed().as_millis()
        ),
        Err(error) => eprintln!("ingressctl: {error:#}; what was served before is still served"),
    }
}

/// The findings that were printed last, so that a change prints what is new.
#[derive(Default)]
struct Reported(BTreeSet<String>);

impl Reported {
    fn print(&mut self, compiled: &Compiled) {
        let lines: BTreeSet<_> = compiled.findings.iter().map(ToString::to_string).collect();
        for line in lines.difference(&self.0) {
            eprintln!("{line}");
        }
        if lines.is_empty() && !self.0.is_empty() {
            eprintln!("ingressctl: nothing is wrong with the manifests any more");
        }
        self.0 = lines;
    }
}
