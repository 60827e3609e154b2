//! Reports findings as Events on their objects, for `kubectl describe ingress`.
//!
//! An Event's name is derived from the object and the finding, so a new leader
//! finds existing Events, by label, and creates no duplicates. When a finding is
//! resolved, its Event is deleted. API servers delete Events after an hour
//! (`--event-ttl` of kube-apiserver), so those of unresolved findings are
//! refreshed.
//!
//! Permissions: `create`, `patch`, `delete` and `list` on `events`, in the watched
//! namespaces, and in no others: what is found about an object elsewhere, such as
//! the default certificate, is only in the log.

mod content;
mod ledger;

use std::mem::take;
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};
use tracing::{debug, warn};

use super::api::{ApiTask, FailureLog};
use super::metrics::{Metrics, Written};
use super::reports::{Options, Outcome};
use super::retry::{Backoff, until};
use crate::cluster::{Failure, ask};

use content::Author;
use ledger::{EventWrite, Ledger};

/// The maximum number of Events. More would not help with thousands of broken
/// objects, and all of them are stored in etcd.
const MAX_EVENTS: usize = 500;

/// The least time between two requests: 20 per second.
const PACE: Duration = Duration::from_millis(50);

/// The least time between two evaluations of outcomes.
const REPLAN_PERIOD: Duration = Duration::from_secs(1);

/// The page size of lists.
const PAGE: u32 = 500;

const WRITE: ApiTask = ApiTask {
    what: "write Events on objects with findings",
    permission: "create, patch and delete on events, in all watched namespaces",
};

const LIST: ApiTask = ApiTask {
    what: "list the Events of previous leaders",
    permission: "list on events, in all watched namespaces",
};

/// Updates the Events to the findings of the newest outcome, until the sender is
/// dropped.
pub(super) async fn report(
    client: &Client,
    options: &Options,
    outcomes: watch::Receiver<Option<Arc<Outcome>>>,
    metrics: &Metrics,
) {
    let mut reporter = Reporter {
        client: client.clone(),
        author: Author::new(options),
        namespaces: options.namespaces.clone(),
        field_manager: options.field_manager.clone(),
        outcomes,
        metrics,
        ledger: Ledger::default(),
        left_out: 0,
        unlisted: apis(client, &options.namespaces),
        listing_due: Some(Instant::now()),
        listing_backoff: Backoff::for_reports(),
        backoff: Backoff::for_reports(),
        failure_log: FailureLog::default(),
    };
    reporter.run().await;
}

/// The Events of these namespaces, or of all if the list is empty.
fn apis(client: &Client, namespaces: &[String]) -> Vec<Api<Event>> {
    if namespaces.is_empty() {
        return vec![Api::all(client.clone())];
    }
    namespaces.iter().map(|namespace| Api::namespaced(client.clone(), namespace)).collect()
}

fn is_watched(namespaces: &[String], namespace: &str) -> bool {
    namespaces.is_empty() || namespaces.iter().any(|watched| watched == namespace)
}

struct Reporter<'a> {
    client: Client,
    author: Author,
    /// Empty for all namespaces.
    namespaces: Vec<String>,
    field_manager: String,
    outcomes: watch::Receiver<Option<Arc<Outcome>>>,
    metrics: &'a Metrics,
    ledger: Ledger,
    left_out: usize,
    /// Where the Events of previous leaders have not been listed.
    unlisted: Vec<Api<Event>>,
    /// When to list them: once, if it succeeds.
    listing_due: Option<Instant>,
    listing_backoff: Backoff,
    backoff: Backoff,
    failure_log: FailureLog,
}

impl Reporter<'_> {
    async fn run(&mut self) {
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let start = Instant::now();
            // Before anything is served, the findings are unknown.
            let outcome = self.outcomes.borrow_and_update().clone();
            if let Some(outcome) = outcome {
                self.list_when_due().await;
                self.select(&outcome);
                if let Err(rest) = self.perform_all(&outcome, &mut pace).await {
                    sleep(rest).await;
                    continue;
                }
            }
            let due =
                self.ledger.next_due(Instant::now()).into_iter().chain(self.listing_due).min();
            tokio::select! {
                outcome = self.outcomes.changed() => if outcome.is_err() {
                    return;
                },
                () = until(due) => {}
            }
            sleep(REPLAN_PERIOD.saturating_sub(start.elapsed())).await;
        }
    }

    async fn list_when_due(&mut self) {
        if self.listing_due.is_none_or(|due| due > Instant::now()) {
            return;
        }
        match self.list().await {
            Ok(()) => {
                self.listing_due = None;
                self.failure_log.resolve(LIST);
            }
            // Writing continues, because names identify existing Events.
            Err(failure) => {
                self.listing_due = Some(Instant::now() + self.listing_backoff.step());
                self.failure_log.failed(LIST, &failure);
            }
        }
    }

    /// Lists all of them; a failure in one namespace does not affect others.
    async fn list(&mut self) -> Result<(), Failure> {
        let mut result = Ok(());
        for events in take(&mut self.unlisted) {
            if let Err(failure) = self.list_in(&events).await {
                self.unlisted.push(events);
                result = Err(failure);
            }
        }
        result
    }

    async fn list_in(&mut self, events: &Api<Event>) -> Result<(), Failure> {
        let mut page = ListParams::default().labels(&self.author.selector()).limit(PAGE);
        loop {
            let list = ask(events.list(&page)).await?;
            for event in &list.items {
                self.ledger.found(event, Instant::now(), Timestamp::now());
            }
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => return Ok(()),
            }
        }
    }

    /// Makes the findings of `outcome` the wanted Events.
    fn select(&mut self, outcome: &Outcome) {
        let reports = outcome.reports.iter().enumerate();
        let wanted = reports
            .map(|(index, report)| (self.author.key(report), report.finding.severity, index))
            .filter(|(key, ..)| is_watched(&self.namespaces, &key.namespace));
        let left_out = self.ledger.want(wanted, MAX_EVENTS);
        if left_out != self.left_out && left_out > 0 {
            warn!(left_out, events = MAX_EVENTS, "too many findings; some have no Event");
        }
        self.left_out = left_out;
    }

    /// Writes until there is nothing left to write, or until there is a new
    /// outcome. If the API is unavailable, returns the time to wait.
    async fn perform_all(
        &mut self,
        outcome: &Outcome,
        pace: &mut Interval,
    ) -> Result<(), Duration> {
        let start = Instant::now();
        while let Some(action) = self.ledger.next(Instant::now()) {
            if start.elapsed() >= REPLAN_PERIOD && self.outcomes.has_changed().unwrap_or(true) {
                return Ok(());
            }
            pace.tick().await;
            let result = self.perform(&action, outcome).await;
            let now = Instant::now();
            match result {
                Ok(()) => {
                    self.metrics.report_written(Written::Event);
                    self.ledger.did(&action, now);
                    self.backoff.reset();
                }
                Err(Failure::Away(message)) => {
                    self.metrics.report_failed(Written::Event);
                    self.failure_log.failed(WRITE, &Failure::Away(message));
                    return Err(self.backoff.step());
                }
                Err(failure) => {
                    debug!(?action, %failure, "cannot write an Event");
                    if self.ledger.failed(&action, &failure, now) {
                        self.metrics.report_failed(Written::Event);
                        self.failure_log.failed(WRITE, &failure);
                    }
                }
            }
        }
        if !self.ledger.is_holding(Instant::now()) {
            self.failure_log.resolve(WRITE);
        }
        Ok(())
    }

    async fn perform(&self, action: &EventWrite, outcome: &Outcome) -> Result<(), Failure> {
        let key = action.key();
        let events = Api::<Event>::namespaced(self.client.clone(), &key.namespace);
        let field_manager = Some(self.field_manager.clone());
        match action {
            EventWrite::Create { key, index } => {
                let event = self.author.event(key, &outcome.reports[*index]);
                let parameters = PostParams { field_manager, ..PostParams::default() };
                ask(events.create(&parameters, &event)).await.map(drop)
            }
            EventWrite::Refresh { key, count } => {
                let parameters = PatchParams { field_manager, ..PatchParams::default() };
                let now = Time(Timestamp::now());
                let patch = Patch::Merge(json!({ "count": count, "lastTimestamp": now }));
                ask(events.patch(&key.name, &parameters, &patch)).await.map(drop)
            }
            EventWrite::Delete { key } => {
                ask(events.delete(&key.name, &DeleteParams::default())).await.map(drop)
            }
        }
    }
}
