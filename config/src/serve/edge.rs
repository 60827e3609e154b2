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

/// The delay before retrying a rollout with an unknown result.
const RETRY_PERIOD: Duration = Duration::from_secs(1);

/// The longest sleep before the validity of certificates is checked again,
/// because the clock may be set.
const LONGEST_SLEEP: Duration = Duration::from_mins(1);

/// Compiles manifests outside of the async worker threads.
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

/// The running Envoy.
pub(super) struct Edge {
    rollout: Rollout,
    isolation: Isolation,
    compiler: Compiler,
    reported: Reported,
    /// When to retry a rollout with an unknown result.
    retry_at: Option<Instant>,
    /// When unchanged manifests have to be compiled again, because the validity
    /// of a certificate starts or ends.
    recheck_at: Option<SystemTime>,
}

impl Edge {
    pub(super) fn new(rollout: Rollout, compiler: Compiler, reported: Reported) -> Self {
        let isolation = Isolation::new();
        Self { rollout, isolation, compiler, reported, retry_at: None, recheck_at: None }
    }

    /// Applies the first manifests to an Envoy that was just started.
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

    /// The addresses of Envoy.
    pub(super) async fn ready(&self) -> Option<Ready> {
        self.rollout.envoy().ready().await.ok().flatten()
    }

    /// Waits until unchanged manifests have to be applied again.
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

    /// Applies manifests, or leaves everything unchanged.
    pub(super) async fn update(&mut self, manifests: &Arc<Manifests>) {
        self.retry_refused();
        self.retry_at = None;
        let compiled = self.compiler.compile(manifests, self.isolation.refused()).await;
        if !manifests.is_complete() {
            self.recheck_at = compiled.recheck_at;
            self.reported.print(compiled.findings.iter());
            // An unreadable file is not treated as deleted.
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

    /// Applies the manifests to Envoy, without what it rejects. Returns what was
    /// applied in the end.
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

/// The findings that were printed last, so that only new ones are printed.
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
