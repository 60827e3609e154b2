//! The route tests of a file.

use super::distribution::Distribution;
use super::matcher::HeaderMatcher;
use crate::explain::Request;
use crate::finding::{Findings, Location};

/// Tests, and the findings about their files.
#[derive(Debug, Default)]
pub struct Cases {
    pub(super) cases: Vec<Case>,
    /// The findings about the files.
    pub findings: Findings,
}

impl Cases {
    /// The number of tests.
    pub fn len(&self) -> usize {
        self.cases.len()
    }

    /// Whether there are no tests.
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
    /// The field, such as `validate.cluster_name`.
    pub(super) field: String,
    pub(super) check: Check,
}

#[derive(Debug)]
pub(super) enum Check {
    /// The expected text; empty if none is expected.
    Is(Aspect, String),
    RequestHeader(HeaderMatcher),
    ResponseHeader(HeaderMatcher),
    Distribution(Distribution),
}

/// A property of the outcome with a single value.
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
