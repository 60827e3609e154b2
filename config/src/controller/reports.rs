//! What goes back to the API once Envoy serves what came from it: the status of
//! Ingresses and Events. One replica writes, the one that leads; nothing here
//! can keep traffic from being served.

pub(super) mod failure;

use std::sync::Arc;

use kube::Client;
use tokio::sync::watch;

use crate::finding::Finding;

use super::events;
use super::metrics::Metrics;
use super::status::{self, Publish};

/// What the objects came to, once Envoy serves it.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) ingresses: Vec<IngressState>,
    pub(super) reports: Vec<Report>,
}

/// An Ingress as the API has it, and whether it is served.
#[derive(Clone, Debug)]
pub(super) struct IngressState {
    pub(super) api_version: String,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) resource_version: String,
    /// `status.loadBalancer.ingress` as it is now.
    pub(super) published: Vec<serde_json::Value>,
    /// Whether our field manager owns `status.loadBalancer` according to
    /// `metadata.managedFields`: see [`status::is_published_by`].
    pub(super) is_published_by_us: bool,
    pub(super) is_served: bool,
}

/// The object that a finding concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) api_version: String,
    pub(super) kind: String,
    /// Empty where the object has none.
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
}

/// A finding, and the object it concerns.
#[derive(Clone, Debug)]
pub(super) struct Report {
    pub(super) subject: Subject,
    pub(super) finding: Finding,
}

/// Who reports, and what.
#[derive(Clone, Debug)]
pub(super) struct Options {
    /// Whom `metadata.managedFields` names as the author of a status, such as
    /// `ingressctl/istio-system/istio-ingress`. At most 128 bytes.
    pub(super) field_manager: String,
    /// Where Ingresses are reached; without it, no address is written.
    pub(super) publish: Option<Publish>,
    /// What tells this installation from others, such as `namespace/lease`.
    pub(super) installation: String,
    /// `spec.controller` of our IngressClasses: who Events come from.
    pub(super) controller: String,
    /// This replica: see [`super::lease::identity`].
    pub(super) identity: String,
}

/// Reports the newest outcome for as long as this replica leads. Ends when
/// nobody can say any more who leads, or what the outcome is.
pub(super) async fn run(
    client: Client,
    options: Options,
    mut outcomes: watch::Receiver<Option<Arc<Outcome>>>,
    mut leader: watch::Receiver<bool>,
    metrics: Arc<Metrics>,
) {
    while leader.wait_for(|is_leader| *is_leader).await.is_ok() {
        metrics.set_leader(true);
        // One that was seen by an earlier term is new to this one.
        outcomes.mark_changed();
        let reporting = async {
            let statuses = status::publish(&client, &options, outcomes.clone(), &metrics);
            let events = events::report(&client, &options, outcomes.clone(), &metrics);
            tokio::join!(statuses, events);
        };
        // Dropped in the middle: another may already write.
        let has_ended = tokio::select! {
            () = reporting => true,
            lost = leader.wait_for(|is_leader| !*is_leader) => lost.is_err(),
        };
        metrics.set_leader(false);
        if has_ended {
            return;
        }
    }
}
