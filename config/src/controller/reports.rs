//! What goes back to the API once Envoy serves what came from it: the status of
//! Ingresses and Events. One replica writes, the one that leads; nothing here
//! can keep traffic from being served.

pub(super) mod failure;

use crate::finding::Finding;

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
    /// `metadata.managedFields`.
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
