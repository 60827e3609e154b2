//! `status.loadBalancer` of Ingresses: the addresses of the gateway.
//!
//! Only values that this controller owns by `metadata.managedFields` are ever
//! removed
//! (<https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management>).
//!
//! Permissions: `patch` on `ingresses/status`, in the groups whose Ingresses are
//! read; to publish a Service, `list` and `watch` on `services` in its namespace.

mod addresses;
mod ownership;
mod plan;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::debug;

use super::api::{ApiTask, FailureLog};
use super::metrics::{Metrics, Written};
use super::reports::{Options, Outcome};
use super::retry::{Backoff, until};
use crate::cluster::{Failure, ask};

pub(crate) use addresses::Publish;
pub(super) use ownership::is_published_by;
use plan::{Done, StatusChange, plan};

/// The maximum number of concurrent requests.
const CONCURRENCY: usize = 8;

/// The least time between the starts of two rounds: frequent changes are written
/// together, and two installations that both claim an Ingress do not write
/// continuously.
const ROUND: Duration = Duration::from_secs(1);

const WRITE: ApiTask = ApiTask {
    what: "write the status of Ingresses",
    permission: "patch on ingresses/status of networking.k8s.io and extensions",
};

/// Updates the status of all Ingresses, until the sender of outcomes is dropped.
pub(super) async fn publish(
    client: &Client,
    options: &Options,
    outcomes: watch::Receiver<Option<Arc<Outcome>>>,
    metrics: &Metrics,
) {
    let (sender, addresses) = watch::channel(None);
    let following = addresses::follow(client, options.publish.as_ref(), sender);
    let mut writer = Writer {
        client: client.clone(),
        field_manager: options.field_manager.clone(),
        outcomes,
        addresses,
        metrics,
        done: Done::default(),
        failure_log: FailureLog::default(),
    };
    tokio::select! {
        never = following => match never {},
        () = writer.run() => {}
    }
}

struct Writer<'a> {
    client: Client,
    field_manager: String,
    outcomes: watch::Receiver<Option<Arc<Outcome>>>,
    addresses: watch::Receiver<Option<addresses::Addresses>>,
    metrics: &'a Metrics,
    done: Done,
    failure_log: FailureLog,
}

impl Writer<'_> {
    async fn run(&mut self) {
        let mut backoff = Backoff::for_reports();
        let mut is_done = true;
        loop {
            // Failures wait until then; new outcomes do not.
            let retry = (!is_done).then(|| Instant::now() + backoff.step());
            let woken = tokio::select! {
                outcome = self.outcomes.changed() => outcome.is_ok(),
                // The sender lives longer than this.
                _ = self.addresses.changed() => true,
                () = until(retry) => true,
            };
            if !woken {
                return;
            }
            let start = Instant::now();
            is_done = self.round().await;
            if is_done {
                backoff.reset();
                self.failure_log.resolve(WRITE);
            }
            sleep(ROUND.saturating_sub(start.elapsed())).await;
        }
    }

    /// Writes all differences. Returns whether all writes have succeeded.
    async fn round(&mut self) -> bool {
        let Some(outcome) = self.outcomes.borrow_and_update().clone() else { return true };
        let addresses = self.addresses.borrow_and_update().clone();
        let changes = plan(&outcome.ingresses, addresses.as_ref(), &mut self.done);
        let results = self.write_all(&changes).await;
        let mut is_done = true;
        for (change, result) in results {
            match result {
                Ok(()) => {
                    self.metrics.report_written(Written::Status);
                    self.done.note(change);
                }
                // A deleted Ingress has no status; a changed one is in the next
                // outcome.
                Err(failure @ (Failure::Gone | Failure::Conflict)) => {
                    debug!(ingress = %change.ingress(), %failure, "left its status alone");
                    self.done.note(change);
                }
                Err(failure) => {
                    self.metrics.report_failed(Written::Status);
                    self.failure_log.failed(WRITE, &failure);
                    is_done = false;
                }
            }
        }
        is_done
    }

    /// The results of the writes. If there is a new outcome meanwhile, or the API
    /// is unavailable, or writes in a namespace are forbidden, the rest is left
    /// to the next round.
    async fn write_all<'c, 's>(
        &self,
        changes: &'c [StatusChange<'s>],
    ) -> Vec<(&'c StatusChange<'s>, Result<(), Failure>)> {
        let start = Instant::now();
        let is_late = || start.elapsed() >= ROUND && self.outcomes.has_changed().unwrap_or(true);
        let mut is_away = false;
        let mut forbidden = BTreeSet::new();
        let mut rest = changes.iter();
        let mut under_way = FuturesUnordered::new();
        let mut results = Vec::new();
        loop {
            while under_way.len() < CONCURRENCY && !is_away && !is_late() {
                let Some(change) = rest.next() else { break };
                if !forbidden.contains(change.namespace()) {
                    under_way.push(self.write(change));
                }
            }
            let Some((change, result)) = under_way.next().await else { return results };
            match &result {
                Err(Failure::Away(_)) => is_away = true,
                Err(Failure::Forbidden(_)) => {
                    forbidden.insert(change.namespace());
                }
                _ => {}
            }
            results.push((change, result));
        }
    }

    async fn write<'c, 's>(
        &self,
        change: &'c StatusChange<'s>,
    ) -> (&'c StatusChange<'s>, Result<(), Failure>) {
        (change, self.patch(change).await)
    }

    async fn patch(&self, change: &StatusChange<'_>) -> Result<(), Failure> {
        let object = &change.state.known.object;
        let (group, version) = object.api_version.split_once('/').unwrap_or_default();
        let kind = GroupVersionKind::gvk(group, version, "Ingress");
        let resource = ApiResource::from_gvk_with_plural(&kind, "ingresses");
        let client = self.client.clone();
        let api = Api::<DynamicObject>::namespaced_with(client, &object.namespace, &resource);
        let parameters = PatchParams {
            field_manager: Some(self.field_manager.clone()),
            ..PatchParams::default()
        };
        let patch = Patch::Merge(change.patch());
        ask(api.patch_status(&object.name, &parameters, &patch)).await?;
        debug!(ingress = %change.ingress(), "wrote its status");
        Ok(())
    }
}
