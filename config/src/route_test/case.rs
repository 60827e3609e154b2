//! A route test as read.

use super::distribution::Distribution;
use super::matcher::HeaderMatcher;
use crate::explain::Request;
use crate::finding::{Findings, Location};

/// Tests, and what is wrong with the files they come from.
#[derive(Debug, Default)]
pub struct Cases {
    pub(super) cases: Vec<Case>,
    /// What to tell the author.
    pub findings: Findings,
}

impl Cases {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.cases.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.cases.is_empty()
    }
}

/// A request, and its expected outcome.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) at: Location,
    pub(super) request: Request,
    pub(super) expectations: Vec<Expectation>,
}

/// One expectation of a request.
#[derive(Debug)]
pub(super) struct Expectation {
    pub(super) at: Location,
    /// Such as `validate.cluster_name`.
    pub(super) field: String,
    pub(super) check: Check,
}

#[derive(Debug)]
pub(super) enum Check {
    /// The expected text; empty where none is expected.
    Is(Aspect, String),
    RequestHeader(HeaderMatcher),
    ResponseHeader(HeaderMatcher),
    Distribution(Distribution),
}

/// What can be said of a request in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aspect {
    Cluster,
    VirtualCluster,
    VirtualHost,
    RouteMetadata,
    Host,
    Path,
    Location,
    RedirectStatus,
    Status,
    GrpcStatus,
    Timeout,
    PerTryTimeout,
    Retries,
    Delay,
    Mirror,
    Ingress,
    Rule,
    Websocket,
}
