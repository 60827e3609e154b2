//! Explains how a request is routed. The same module as in Envoy decides, offline, and
//! each route and rule that does not apply has the reason.

mod candidates;
mod connection;
mod edge;
mod exchange;
mod explainer;
mod hints;
mod path;
mod reason;
mod request;
mod rules;

use std::collections::BTreeMap;

use ingress_filter::RouteTable;
use serde::Serialize;

pub(crate) use candidates::RouteIndex;
pub use candidates::{Candidate, IngressPlace};
pub(crate) use connection::server_name;
pub use explainer::Explainer;
pub(crate) use hints::hints;
pub use request::{Request, RequestError};
pub use rules::RuleVerdict;

use crate::settings::Settings;

/// The outcome of a request. Times are in milliseconds.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// The status, if the response is not from an upstream.
    pub status: Option<u16>,
    /// The gRPC status of such a response, if it has one.
    pub grpc_status: Option<u32>,
    /// The cluster of the upstream.
    pub cluster: Option<String>,
    /// The items from which the cluster was picked by weight, if there are several.
    pub split: Vec<Share>,
    /// The cluster to which the request is mirrored.
    pub mirror: Option<String>,
    /// The host that the upstream gets.
    pub host: String,
    /// The path and query that the upstream gets.
    pub path: String,
    /// The `location` of a redirect.
    pub location: Option<String>,
    /// The timeout of the request.
    pub timeout_ms: Option<u64>,
    /// The timeout of each try.
    pub per_try_timeout_ms: Option<u64>,
    /// The most retries.
    pub retries: Option<u32>,
    /// The delay of an injected fault.
    pub delay_ms: Option<u64>,
    /// Whether the client may upgrade to WebSocket.
    pub websocket: bool,
    /// The headers that the upstream gets, without those that Envoy itself adds.
    /// Repeated ones are joined with `,`.
    pub request_headers: BTreeMap<String, String>,
    /// The headers that the client gets in addition to those of the upstream's or
    /// Envoy's response.
    pub response_headers: BTreeMap<String, String>,
    /// The certificate of the client's connection, by the name of its filter chain;
    /// `None` without TLS.
    pub certificate: Option<String>,
    /// The host in the route table that matches the request; `*` matches any.
    pub virtual_host: Option<String>,
    /// The path of the Ingress that serves the request.
    pub ingress: Option<IngressPlace>,
    /// The RouteRule that applies, as `namespace/name`.
    pub route_rule: Option<String>,
    /// The reason for the outcome, as a sentence.
    pub reason: String,
    /// Further reasons why the request may not be served as expected, such as Ingresses
    /// of other classes.
    pub hints: Vec<String>,
    /// Every route of the table, and whether it serves the request.
    pub candidates: Vec<Candidate>,
    /// Every rule of the backend that serves the request, and whether it applies.
    pub rules: Vec<RuleVerdict>,
    /// The position in the table of the route that serves the request.
    #[serde(skip)]
    pub(crate) place: Option<RouteIndex>,
    /// The index of the rule that applies.
    #[serde(skip)]
    pub(crate) rule: Option<usize>,
}

/// One destination of several, and its weight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Share {
    /// The cluster; without one, the response is 503.
    pub cluster: Option<String>,
    /// The weight, relative to the sum of all weights.
    pub weight: u32,
}

/// Runs the module with `table` on one request. For several, start an
/// [`Explainer`] once.
///
/// # Errors
/// If the module fails, which no table or request should cause.
pub fn explain(
    table: &RouteTable,
    settings: &Settings,
    request: &Request,
) -> anyhow::Result<Explanation> {
    Explainer::new(table, settings)?.explain(request)
}
