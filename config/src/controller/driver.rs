//! Applies the content of the store to Envoy.
//!
//! [`Agenda`] decides the next task, independently of store and Envoy; the driver
//! executes it.

mod agenda;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch as channel;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

use super::known::Known;
use super::metrics::Metrics;
use super::served::Served;
use super::store::{Changes, Snapshot, Store};
use crate::budget::Level;
use crate::compile::{
    Caches, Circumstances, Compiled, Resolved, UnreadableSecrets, Where, compile_objects,
    with_endpoints,
};
use crate::finding::{Finding, Findings, Severity};
use crate::isolation::{Attempt, Isolation};
use crate::model::Gateway;
use crate::objects::ObjectName;
use crate::off_worker::off_worker;
use crate::rollout::{Change, Rollout, RolloutError};
use crate::selection::{secrets_wanted, service_names_secrets};
use crate::settings::Settings;

use agenda::{Agenda, End, Event, Step};

/// Changes that follow each other within this time are applied together.
const PAUSE: Duration = Duration::from_millis(5);

/// But no change waits longer than this for others, even with a steady stream of
/// changes.
const LONGEST_GATHERING: Duration = Duration::from_millis(100);

/// The longest sleep before the validity of certificates is checked again,
/// because the clock may be set.
const LONGEST_SLEEP: Duration = Duration::from_mins(1);

/// How long a starting controller waits for the addresses of DNS names.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(2);

/// What the driver works with.
pub(super) struct Driver {
    pub(super) store: Arc<Store>,
    pub(super) settings: Arc<Settings>,
    /// Results for certificates that were checked before.
    pub(super) caches: Arc<Caches>,
    pub(super) rollout: Rollout,
    pub(super) metrics: Arc<Metrics>,
    /// Receives the Secrets to watch.
    pub(super) wants: channel::Sender<BTreeSet<ObjectName>>,
    /// Receives the DNS names to resolve.
    pub(super) wants_resolved: channel::Sender<BTreeSet<String>>,
    /// Receives the objects of the configuration that is served.
    pub(super) served: channel::Sender<Option<Arc<Served>>>,
}

/// The state of the current update.
struct Work {
    objects: Arc<Vec<Arc<Known>>>,
    unreadable: UnreadableSecrets,
    resolved: Arc<Resolved>,
    /// The last compiled configuration.
    compiled: Option<Compiled>,
    isolation: Isolation,
    logged: Logged,
    /// The duration of the last update.
    took: Duration,
    start: Instant,
}

impl Work {
    /// Whether any Service names Secrets, so that the Services that are used matter.
    fn uses_services(&self) -> bool {
        self.objects.iter().any(|known| service_names_secrets(&known.object))
    }

    fn log_findings(&mut self) {
        let compiled = self.compiled.iter().flat_map(|compiled| &compiled.findings);
        self.logged.log(compiled.chain(self.isolation.findings()));
    }
}

impl Driver {
    /// Applies each change.
    pub(super) async fn run(mut self) {
        let mut agenda = Agenda::new(self.rollout.has_certificates());
        let mut work = Work {
            objects: Arc::default(),
            unreadable: UnreadableSecrets::new(),
            resolved: Arc::default(),
            compiled: None,
            isolation: Isolation::new(),
            logged: Logged::default(),
            took: Duration::ZERO,
            start: Instant::now(),
        };
        let mut step = Agenda::begin();
        loop {
            let event = match step {
                Step::Wait(retry) => self.wait(retry, &mut work).await,
                Step::GiveUpOnSecrets => {
                    self.store.give_up_on_secrets();
                    Event::GaveUpOnSecrets
                }
                Step::Compile => {
                    let compiled = self.compile_resolved(&mut work).await;
                    let before = work.compiled.replace(compiled);
                    // It is large, and freeing it need not block.
                    drop(spawn_blocking(move || drop(before)));
                    Event::Compiled
                }
                Step::MoveEndpoints => self.move_endpoints(&agenda, &mut work).await,
                Step::Apply => {
                    let end = self.apply(&agenda, &mut work).await;
                    work.took = work.start.elapsed();
                    // An intermediate attempt is not reported.
                    if end != End::Again {
                        work.log_findings();
                    }
                    Event::Applied(end)
                }
                Step::Report => {
                    self.report(&work);
                    Event::Reported
                }
            };
            step = agenda.next(event, Instant::now());
        }
    }

    /// Waits for a change and those directly after it, or for the next retry, and
    /// takes the changes.
    async fn wait(&mut self, retry: Option<Duration>, work: &mut Work) -> Event {
        let recheck_at = work.compiled.as_ref().and_then(|compiled| compiled.recheck_at);
        let is_due = self.gather(retry, recheck_at, work).await;
        work.start = Instant::now();
        let Snapshot { objects, unreadable, mut awaited, resolved, mut changes } =
            self.store.take();
        (work.objects, work.unreadable) = (Arc::new(objects), unreadable);
        work.resolved = Arc::new(resolved);
        let mut is_time_for =
            |what| changes = Changes::joined(Some(Changes::of(what)), changes.take());
        if recheck_at.is_some_and(|at| at <= SystemTime::now()) {
            is_time_for("the validity of certificates");
        }
        if is_due {
            work.isolation.retry(Instant::now());
            self.rollout.retry();
            is_time_for("retry of what Envoy rejected");
        }
        let name_secrets = |changes: &Changes| {
            changes.may_name_secrets() || changes.may_use_services() && work.uses_services()
        };
        if changes.as_ref().is_some_and(name_secrets) {
            self.want_secrets(work, &mut awaited).await;
        }
        Event::Woken { changes, awaited: awaited.len() }
    }

    /// With a steady stream of changes, waits as long as the last update took, so
    /// that at least half of the time is left for other work. Returns whether
    /// rejected resources should be retried.
    async fn gather(
        &self,
        retry: Option<Duration>,
        recheck_at: Option<SystemTime>,
        work: &Work,
    ) -> bool {
        let retry_refused = work.isolation.retry_at();
        let certificates = recheck_at
            .map(|at| at.duration_since(SystemTime::now()).unwrap_or_default().min(LONGEST_SLEEP));
        let refused = retry_refused.map(|at| at.saturating_duration_since(Instant::now()));
        let longest = [retry, certificates, refused].into_iter().flatten().min();
        tokio::select! {
            () = self.store.changed() => {}
            () = sleep(longest.unwrap_or_default()), if longest.is_some() => {}
        }
        let longest = LONGEST_GATHERING.max(work.took);
        while let Some((since, until)) = self.store.waiting() {
            let quiet = PAUSE.saturating_sub(until.elapsed());
            let rest = longest.saturating_sub(since.elapsed());
            let wait = quiet.min(rest);
            if wait.is_zero() {
                break;
            }
            sleep(wait).await;
        }
        retry_refused.is_some_and(|at| at <= Instant::now())
    }

    /// Requests the Secrets that the objects name, and updates which are awaited. One
    /// that was answered after the snapshot still is, because it is not in there.
    async fn want_secrets(&self, work: &Work, awaited: &mut BTreeSet<ObjectName>) {
        let (objects, settings) = (Arc::clone(&work.objects), Arc::clone(&self.settings));
        let names = off_worker(move || {
            let objects = objects.iter().map(|known| &known.object);
            secrets_wanted(objects, &settings).value
        })
        .await;
        let new = self.store.want_secrets(&names);
        awaited.retain(|name| names.contains(name));
        awaited.extend(new);
        want(&self.wants, &names);
    }

    /// Compiles, and requests the resolution of new DNS names. The first time it
    /// waits for their addresses, because a serving Envoy would lose them. Later
    /// it does not wait for the name servers of others.
    async fn compile_resolved(&self, work: &mut Work) -> Compiled {
        let compiled = self.compile(work).await;
        want(&self.wants_resolved, &compiled.dns_names);
        if work.compiled.is_some() || compiled.dns_names.is_empty() {
            return compiled;
        }
        match timeout(RESOLVE_TIMEOUT, self.store.resolved(&compiled.dns_names)).await {
            Ok(resolved) => {
                work.resolved = Arc::new(resolved);
                self.compile(work).await
            }
            Err(_) => compiled,
        }
    }

    async fn compile(&self, work: &Work) -> Compiled {
        let (objects, unreadable) = (Arc::clone(&work.objects), work.unreadable.clone());
        let (refused, resolved) = (work.isolation.refused().clone(), Arc::clone(&work.resolved));
        let (settings, caches) = (Arc::clone(&self.settings), Arc::clone(&self.caches));
        for (kind, number) in self.store.counts() {
            self.metrics.set_objects(kind.name(), number);
        }
        let start = Instant::now();
        let compiled = off_worker(move || {
            let objects = objects.iter().map(|known| &known.object);
            let circumstances = Circumstances {
                settings: &settings,
                place: Where::Cluster(&resolved),
                now: SystemTime::now(),
                unreadable: &unreadable,
                refused: &refused,
                caches: &caches,
            };
            compile_objects(objects, Findings::new(), &circumstances)
        })
        .await;
        self.metrics.compiled(start.elapsed());
        let limits = self.settings.namespace_budget.at(Level::Namespace);
        self.metrics.set_usage(&compiled.usage, &limits);
        let https = compiled.gateway.https.as_ref();
        self.metrics.set_expiries(https, &self.settings.default_certificate);
        compiled
    }

    /// Updates endpoints if nothing else has changed.
    async fn move_endpoints(&self, agenda: &Agenda, work: &mut Work) -> Event {
        let (Some(mut compiled), Some(moved)) = (work.compiled.take(), agenda.moved()) else {
            return Event::EndpointsSayMore;
        };
        let (objects, moved) = (Arc::clone(&work.objects), moved.clone());
        let (settings, resolved) = (Arc::clone(&self.settings), Arc::clone(&work.resolved));
        let (compiled, is_moved) = off_worker(move || {
            let objects = objects.iter().map(|known| &known.object);
            let place = Where::Cluster(&resolved);
            let gateway = with_endpoints(&compiled, &moved, (&settings, place), objects);
            let is_moved = gateway.is_some();
            if let Some(gateway) = gateway {
                compiled.gateway = gateway;
            }
            (compiled, is_moved)
        })
        .await;
        work.compiled = Some(compiled);
        if is_moved { Event::Compiled } else { Event::EndpointsSayMore }
    }

    /// Applies the configuration to Envoy.
    async fn apply(&mut self, agenda: &Agenda, work: &mut Work) -> End {
        let Some(compiled) = &work.compiled else { return End::Unknown };
        let start = Instant::now();
        let gateway = &compiled.gateway;
        let objects = work.objects.iter().map(|known| &known.object);
        match work.isolation.attempt(&mut self.rollout, gateway, objects).await {
            Attempt::Served(change) => {
                self.applied(change, gateway, agenda.changes(), start.elapsed());
                End::Served
            }
            Attempt::Again { is_refused, .. } => {
                if is_refused {
                    self.metrics.rejected();
                }
                End::Again
            }
            Attempt::Failed(error @ RolloutError::Refused(..)) => {
                self.metrics.rejected();
                let because = agenda.changes().map(Changes::describe).unwrap_or_default();
                error!(because, "{error}; the previous configuration stays in use");
                End::Refused
            }
            Attempt::Failed(error) => {
                warn!("{error}; retrying");
                End::Unknown
            }
        }
    }

    fn applied(
        &self,
        change: Change,
        gateway: &Gateway,
        changes: Option<&Changes>,
        took: Duration,
    ) {
        if change == Change::Nothing {
            return;
        }
        self.metrics.applied(change, took);
        let Some(changes) = changes else { return };
        let waited = changes.since.elapsed();
        self.metrics.served_after(waited);
        info!(
            change = change.name(),
            table = gateway.table.name,
            because = changes.describe(),
            apply_ms = millis(took),
            event_to_traffic_ms = millis(waited),
            "applied"
        );
    }

    /// Publishes what is served, even if only a status has changed, which may
    /// have to be written again.
    fn report(&self, work: &Work) {
        let Some(compiled) = &work.compiled else { return };
        let served = Served {
            objects: Arc::clone(&work.objects),
            ingresses: Arc::clone(&compiled.ingresses),
            findings: compiled.findings.iter().chain(work.isolation.findings()).cloned().collect(),
        };
        self.served.send_replace(Some(Arc::new(served)));
    }
}

/// Requests these names if they have changed.
fn want<T: Clone + PartialEq>(wants: &channel::Sender<BTreeSet<T>>, names: &BTreeSet<T>) {
    wants.send_if_modified(|wanted| {
        let is_modified = wanted != names;
        if is_modified {
            wanted.clone_from(names);
        }
        is_modified
    });
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}

/// The findings that were logged, so that only new ones are logged.
#[derive(Default)]
struct Logged(BTreeSet<Finding>);

impl Logged {
    fn log<'f>(&mut self, findings: impl Iterator<Item = &'f Finding>) {
        let now: BTreeSet<_> = findings.cloned().collect();
        for finding in now.difference(&self.0) {
            let object = finding.object.as_ref().map(ToString::to_string).unwrap_or_default();
            let field = finding.field.as_deref().unwrap_or_default();
            let code = finding.code.as_str();
            match finding.severity {
                Severity::Error => error!(object, field, code, "{}", finding.message),
                Severity::Warning => warn!(object, field, code, "{}", finding.message),
                Severity::Note => info!(object, field, code, "{}", finding.message),
            }
        }
        let fixed = self.0.difference(&now).count();
        if fixed > 0 {
            info!(fixed, left = now.len(), "findings resolved");
        }
        self.0 = now;
    }
}
