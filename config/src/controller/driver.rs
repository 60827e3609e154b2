//! From what the store knows to what Envoy serves.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch as channel;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tracing::{error, info, warn};

use super::known::Known;
use super::metrics::{self, Metrics};
use super::reports::{IngressState, Outcome, Report, Subject};
use super::retry::Backoff;
use super::store::{Changes, Snapshot, Store};
use crate::certificates::CheckCache as Memo;
use crate::compile::{
    Circumstances, Compiled, UnreadableSecrets as UnreadSecrets, compile_objects,
};
use crate::finding::{Finding, Findings, Severity};
use crate::rollout::{Change, Rollout, RolloutError};
use crate::settings::{ObjectName, Settings};

/// Changes that follow one another closer than this are one.
const PAUSE: Duration = Duration::from_millis(10);

/// But none waits longer than this for others, so that a steady stream of
/// changes starves nobody.
const LONGEST_GATHERING: Duration = Duration::from_millis(100);

/// How long to sleep at most before what certificates say is looked at again.
const LONGEST_SLEEP: Duration = Duration::from_mins(1);

/// How long what is new waits for the Secrets that it names; at the start, since
/// the last answer about one, for then they may be many. Where there is no answer
/// until then, that is one bad Secret, which must not hold up the rest.
const SECRET_PATIENCE: Duration = Duration::from_secs(5);

/// Likewise at a start where certificates of an earlier process are served: they
/// go on, and a table without them would take them away.
const RESTART_PATIENCE: Duration = Duration::from_secs(30);

/// See the module.
pub(super) struct Driver {
    pub(super) store: Arc<Store>,
    pub(super) settings: Arc<Settings>,
    /// What is known of certificates already.
    pub(super) memo: Arc<Memo>,
    pub(super) rollout: Rollout,
    pub(super) metrics: Arc<Metrics>,
    /// Gets the Secrets that are to be watched.
    pub(super) wants: channel::Sender<BTreeSet<ObjectName>>,
    /// Gets what each configuration came from that is served.
    pub(super) outcomes: channel::Sender<Option<Arc<Outcome>>>,
}

impl Driver {
    /// Applies each change, for ever.
    pub(super) async fn run(mut self) {
        let mut logged = Logged::default();
        let mut compiled: Option<Compiled> = None;
        // What is compiled and not served yet.
        let mut left: Option<Changes> = None;
        let mut is_served = false;
        let mut backoff = Backoff::for_traffic();
        let mut took = Duration::ZERO;
        let mut asking = Asking::new(self.rollout.has_certificates());
        loop {
            let recheck_at = compiled.as_ref().and_then(|compiled| compiled.recheck_at);
            let retry = || left.is_some().then(|| backoff.step());
            let retry = asking.rest().or_else(retry);
            self.gather(retry, took, recheck_at).await;
            let start = Instant::now();
            let Snapshot { objects, unread, mut changes } = self.store.take();
            if recheck_at.is_some_and(|at| at <= SystemTime::now()) {
                changes.get_or_insert_with(|| Changes::of("the validity of certificates"));
            }
            if changes.is_some() || asking.is_under_way() {
                let new = self.compile(&objects, unread).await;
                let awaited = self.store.want_secrets(&new.secrets);
                self.want(&new.secrets);
                left = Changes::joined(changes, left);
                match asking.step(awaited, compiled.is_none()) {
                    Step::GoOn => {}
                    Step::Wait => continue,
                    Step::GiveUp => {
                        self.store.give_up_on_secrets();
                        continue;
                    }
                }
                logged.log(&new.findings);
                compiled = Some(new);
            }
            let Some(compiled) = &compiled else { continue };
            if let Some(changes) = left.take() {
                let end = self.apply(compiled, &changes).await;
                took = start.elapsed();
                is_served = end == End::Served;
                match end {
                    End::Unknown => left = Some(changes),
                    End::Served | End::Rejected => backoff.reset(),
                }
            }
            // Also where only a status has changed, which is perhaps to be
            // written again.
            if is_served {
                let outcome = outcome(&objects, compiled);
                self.metrics.set_findings(&outcome.reports);
                self.outcomes.send_replace(Some(Arc::new(outcome)));
            }
        }
    }

    fn want(&self, names: &BTreeSet<ObjectName>) {
        self.wants.send_if_modified(|wanted| {
            let is_modified = wanted != names;
            if is_modified {
                wanted.clone_from(names);
            }
            is_modified
        });
    }

    /// Waits for a change and for those that come right after it, or until it
    /// is time to try again. Under a steady stream of changes, as long as the
    /// last one took: then half of the time at least is left to others.
    async fn gather(
        &self,
        retry: Option<Duration>,
        took: Duration,
        recheck_at: Option<SystemTime>,
    ) {
        tokio::select! {
            () = self.store.changed() => {}
            () = until(recheck_at) => {}
            () = sleep(retry.unwrap_or_default()), if retry.is_some() => {}
        }
        let longest = LONGEST_GATHERING.max(took);
        while let Some((since, until)) = self.store.waiting() {
            let quiet = PAUSE.saturating_sub(until.elapsed());
            let rest = longest.saturating_sub(since.elapsed());
            let wait = quiet.min(rest);
            if wait.is_zero() {
                return;
            }
            sleep(wait).await;
        }
    }

    async fn compile(&self, objects: &[Arc<Known>], unread: UnreadSecrets) -> Compiled {
        let objects = objects.to_vec();
        let (settings, memo) = (Arc::clone(&self.settings), Arc::clone(&self.memo));
        for (kind, number) in self.store.counts() {
            self.metrics.set_objects(kind.name(), number);
        }
        let start = Instant::now();
        let compiling = spawn_blocking(move || {
            let objects = objects.iter().map(|known| &known.object);
            let now = SystemTime::now();
            let circumstances =
                Circumstances { settings: &settings, now, unread: &unread, memo: &memo };
            compile_objects(objects, Findings::new(), &circumstances)
        });
        // It is a pure function, made not to panic; if it did, so should we.
        let compiled =
            compiling.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        self.metrics.compiled(start.elapsed());
        compiled
    }

    /// Brings Envoy there.
    async fn apply(&mut self, compiled: &Compiled, changes: &Changes) -> End {
        let start = Instant::now();
        match self.rollout.apply(compiled).await {
            Ok(change) => {
                self.applied(change, compiled, changes, start.elapsed());
                End::Served
            }
            Err(error @ RolloutError::Rejected(_)) => {
                self.metrics.rejected();
                let because = changes.describe();
                error!(because, "{error}; what was served before is still served");
                End::Rejected
            }
            Err(error) => {
                warn!("{error}; trying again");
                End::Unknown
            }
        }
    }

    fn applied(&self, change: Change, compiled: &Compiled, changes: &Changes, took: Duration) {
        let counted = match change {
            Change::Nothing => return,
            Change::Upstreams => metrics::Change::Upstreams,
            Change::Certificates => metrics::Change::Certificates,
            Change::RouteTable => metrics::Change::RouteTable,
        };
        let waited = changes.since.elapsed();
        self.metrics.applied(counted, took);
        self.metrics.served_after(waited);
        info!(
            change = change.name(),
            table = compiled.table.name,
            because = changes.describe(),
            apply_ms = millis(took),
            event_to_traffic_ms = millis(waited),
            "applied"
        );
    }
}

/// What waits for an answer about Secrets that nothing is known of yet.
struct Asking {
    patience: Duration,
    since: Option<Instant>,
    /// How many answers.
    awaited: usize,
}

impl Asking {
    /// At a start, where certificates of an earlier process are served or not.
    fn new(has_certificates: bool) -> Self {
        let patience = if has_certificates { RESTART_PATIENCE } else { SECRET_PATIENCE };
        Self { patience, since: None, awaited: 0 }
    }

    fn is_under_way(&self) -> bool {
        self.since.is_some()
    }

    /// How much longer to wait.
    fn rest(&self) -> Option<Duration> {
        self.since.map(|since| self.patience.saturating_sub(since.elapsed()))
    }

    /// What to do, where so many answers are awaited.
    fn step(&mut self, awaited: usize, is_start: bool) -> Step {
        let before = std::mem::replace(&mut self.awaited, awaited);
        if awaited == 0 {
            self.since = None;
            self.patience = SECRET_PATIENCE;
            return Step::GoOn;
        }
        if is_start && awaited < before {
            self.since = None;
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        if since.elapsed() < self.patience { Step::Wait } else { Step::GiveUp }
    }
}

enum Step {
    GoOn,
    Wait,
    GiveUp,
}

/// What became of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Served,
    Rejected,
    /// To be tried again.
    Unknown,
}

/// Waits for that time. A clock may be set, so it is looked at now and then.
async fn until(time: Option<SystemTime>) {
    let Some(time) = time else { return pending().await };
    while let Ok(rest) = time.duration_since(SystemTime::now()) {
        sleep(rest.min(LONGEST_SLEEP)).await;
    }
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}

/// What to tell the API of what is served.
fn outcome(objects: &[Arc<Known>], compiled: &Compiled) -> Outcome {
    let ingresses = objects.iter().filter(|known| &*known.object.kind == "Ingress");
    let ingresses = ingresses.map(|known| ingress_state(known, compiled)).collect();
    let found: HashSet<_> =
        compiled.findings.iter().filter_map(|finding| finding.object.as_ref()).collect();
    let subjects = objects.iter().filter_map(|known| {
        let object = known.object.reference();
        // What is wrong with an Ingress of another class is not ours to tell.
        let is_foreign = &*object.kind == "Ingress" && !compiled.ingresses.contains_key(&object);
        let is_told = !is_foreign && found.contains(&object);
        is_told.then_some((object, known))
    });
    let subjects: HashMap<_, _> = subjects.collect();
    let reports = compiled.findings.iter().filter_map(|finding| {
        let known = subjects.get(finding.object.as_ref()?)?;
        Some(Report { subject: subject(known), finding: finding.clone() })
    });
    Outcome { ingresses, reports: reports.collect() }
}

fn ingress_state(known: &Known, compiled: &Compiled) -> IngressState {
    IngressState {
        api_version: known.object.api_version.to_string(),
        namespace: known.object.namespace.to_string(),
        name: known.object.name.to_string(),
        resource_version: known.resource_version.clone(),
        published: known.published.clone(),
        is_published_by_us: known.is_published_by_us,
        is_served: compiled.ingresses.get(&known.object.reference()).copied().unwrap_or(false),
    }
}

fn subject(known: &Known) -> Subject {
    Subject {
        api_version: known.object.api_version.to_string(),
        kind: known.object.kind.to_string(),
        namespace: known.object.namespace.to_string(),
        name: known.object.name.to_string(),
        uid: known.uid.clone(),
    }
}

/// The findings that were logged, so that each change logs what is new.
#[derive(Default)]
struct Logged(BTreeSet<Finding>);

impl Logged {
    fn log(&mut self, findings: &[Finding]) {
        let now: BTreeSet<_> = findings.iter().cloned().collect();
        for finding in now.difference(&self.0) {
            let object = finding.object.as_ref().map(ToString::to_string).unwrap_or_default();
            let field = finding.field.as_deref().unwrap_or_default();
            match finding.severity {
                Severity::Error => error!(object, field, "{}", finding.message),
                Severity::Warning => warn!(object, field, "{}", finding.message),
            }
        }
        let fixed = self.0.difference(&now).count();
        if fixed > 0 {
            info!(fixed, left = now.len(), "findings are gone");
        }
        self.0 = now;
    }
}
