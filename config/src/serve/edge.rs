//! The running Envoy of `serve`, and its updates.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use tokio::time::sleep;

use crate::compile::{Caches, Circumstances, Compiled, Refused, compile_manifests};
use crate::envoy::{Kind, Listening};
use crate::finding::Finding;
use crate::isolation::{Attempt, Isolation};
use crate::manifest::Manifests;
use crate::off_worker::off_worker;
use crate::rollout::{Change, Ready, Rollout, RolloutError};
use crate::settings::Settings;

/// When a rollout whose end is not known is tried again.
const RETRY_PERIOD: Duration = Duration::from_secs(1);

/// How long to sleep at most before what certificates say is looked at again: a
/// clock may be set.
const LONGEST_SLEEP: Duration = Duration::from_mins(1);

/// Compiles manifests, off the threads that serve.
pub(super) struct Compiler {
    settings: Arc<Settings>,
    caches: Arc<Caches>,
}

impl Compiler {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings: Arc::new(settings), caches: Arc::default() }
    }

    pub(super) async fn compile(&self, manifests: &Arc<Manifests>, refused: &Refused) -> Compiled {
        let (settings, caches) = (Arc::clone(&self.settings), Arc::clone(&self.caches));
        let (manifests, refused) = (Arc::clone(manifests), refused.clone());
        off_worker(move || {
            let circumstances = Circumstances::of_manifests(&settings, &refused, &caches);
            compile_manifests(&manifests, &circumstances)
        })
        .await
    }
}

/// See the module.
pub(super) struct Edge {
    rollout: Rollout,
    isolation: Isolation,
    compiler: Compiler,
    reported: Reported,
    /// When a rollout whose end is not known is tried again.
    retry_at: Option<Instant>,
    /// When the same manifests may come to something else, since certificates
    /// begin and end to be valid.
    recheck_at: Option<SystemTime>,
}

impl Edge {
    pub(super) fn new(rollout: Rollout, compiler: Compiler, reported: Reported) -> Self {
        let isolation = Isolation::new();
        Self { rollout, isolation, compiler, reported, retry_at: None, recheck_at: None }
    }

    /// Takes in the first manifests, of an Envoy that has just been started.
    pub(super) async fn start(
        &mut self,
        manifests: &Arc<Manifests>,
        compiled: Compiled,
        listening: Listening,
    ) -> anyhow::Result<Ready> {
        self.rollout.wait_until_started().await?;
        match self.bring(manifests, compiled).await {
            Err(RolloutError::Refused(key, _)) if key.kind == Kind::Listeners => {
                let Listening { http, https, .. } = listening;
                anyhow::bail!("Envoy cannot listen on {http} or {https}; see its log")
            }
            result => drop(result?),
        }
        self.ready().await.context("Envoy does not listen; see its log")
    }

    /// Where Envoy listens.
    pub(super) async fn ready(&self) -> Option<Ready> {
        self.rollout.envoy().ready().await.ok().flatten()
    }

    /// Waits until the same manifests are to be taken in again.
    pub(super) async fn due(&self) {
        loop {
            match self.rest() {
                None => std::future::pending().await,
                Some(Duration::ZERO) => return,
                Some(rest) => sleep(rest.min(LONGEST_SLEEP)).await,
            }
        }
    }

    fn rest(&self) -> Option<Duration> {
        let retries = self.retry_at.into_iter().chain(self.isolation.retry_at());
        let retries = retries.map(|at| at.saturating_duration_since(Instant::now()));
        let recheck =
            self.recheck_at.map(|at| at.duration_since(SystemTime::now()).unwrap_or_default());
        retries.chain(recheck).min()
    }

    /// Takes manifests in, or leaves everything as it is.
    pub(super) async fn update(&mut self, manifests: &Arc<Manifests>) {
        self.retry_refused();
        self.retry_at = None;
        let compiled = self.compiler.compile(manifests, self.isolation.refused()).await;
        if !manifests.is_complete() {
            self.recheck_at = compiled.recheck_at;
            self.reported.print(compiled.findings.iter());
            // What cannot be read is not what was deleted.
            eprintln!(
                "ingressctl: some manifests could not be read; the previous configuration stays in use"
            );
            return;
        }
        let start = Instant::now();
        let result = self.bring(manifests, compiled).await;
        let took = start.elapsed().as_millis();
        match result {
            Ok((Change::Nothing, _)) => {}
            Ok((Change::Upstreams, _)) => eprintln!("ingressctl: upstreams applied in {took} ms"),
            Ok((Change::Certificates, _)) => {
                eprintln!("ingressctl: certificates applied in {took} ms");
            }
            Ok((Change::RouteTable, compiled)) => {
                let table = &compiled.gateway.table.name;
                eprintln!("ingressctl: route table {table} applied in {took} ms");
            }
            Err(error @ RolloutError::Refused(..)) => {
                eprintln!("ingressctl: {error}; the previous configuration stays in use");
            }
            Err(error) => {
                eprintln!("ingressctl: {error}; retrying");
                self.retry_at = Some(Instant::now() + RETRY_PERIOD);
            }
        }
    }

    /// Brings Envoy to what the manifests come to, without what it refuses of
    /// that. Gives what that is, in the end.
    async fn bring(
        &mut self,
        manifests: &Arc<Manifests>,
        mut compiled: Compiled,
    ) -> Result<(Change, Compiled), RolloutError> {
        let mut changed = Change::Nothing;
        loop {
            self.recheck_at = compiled.recheck_at;
            let objects = manifests.objects();
            let Self { rollout, isolation, .. } = self;
            match isolation.attempt(rollout, &compiled.gateway, objects).await {
                Attempt::Again { change, .. } => {
                    changed = changed.max(change);
                    compiled = self.compiler.compile(manifests, self.isolation.refused()).await;
                }
                Attempt::Served(change) => {
                    let more = self.isolation.findings();
                    self.reported.print(compiled.findings.iter().chain(more));
                    return Ok((changed.max(change), compiled));
                }
                Attempt::Failed(error) => {
                    self.reported.print(compiled.findings.iter());
                    return Err(error);
                }
            }
        }
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
pub(super) struct Reported(BTreeSet<String>);

impl Reported {
    pub(super) fn print<'f>(&mut self, findings: impl Iterator<Item = &'f Finding>) {
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
