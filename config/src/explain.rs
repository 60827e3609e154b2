//! How a request is routed, and why: the actual module decides, offline, and each
//! route and rule that could have matched has the reason why it did not.

mod candidates;
mod connection;
mod edge;
mod exchange;
mod explainer;
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
pub use request::{Request, RequestError};
pub use rules::RuleVerdict;

use crate::settings::Settings;

/// What happens to a request. Times are in milliseconds.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// The status, where the request is answered without an upstream.
    pub status: Option<u16>,
    /// The gRPC status of such an answer, where it has one.
    pub grpc_status: Option<u32>,
    /// The cluster it goes to.
    pub cluster: Option<String>,
    /// The clusters of which that one was drawn, where it was.
    pub split: Vec<Share>,
    /// The cluster that gets a copy.
    pub mirror: Option<String>,
    /// The host that the upstream sees.
    pub host: String,
    /// The path and query that the upstream sees.
    pub path: String,
    /// Where a redirect leads.
    pub location: Option<String>,
    /// How long the upstream may take.
    pub timeout_ms: Option<u64>,
    /// How long each try may take.
    pub per_try_timeout_ms: Option<u64>,
    /// How often the request is tried again.
    pub retries: Option<u32>,
    /// How long it waits before it goes on, or is answered.
    pub delay_ms: Option<u64>,
    /// Whether the client may upgrade to WebSocket.
    pub websocket: bool,
    /// The headers that the upstream sees, but for those that Envoy itself
    /// adds. Repeated ones are joined with `,`.
    pub request_headers: BTreeMap<String, String>,
    /// The headers that the client sees beside those of the upstream's answer
    /// or, where there is none, of that of Envoy.
    pub response_headers: BTreeMap<String, String>,
    /// The certificate that the client's connection has, by the name of its
    /// filter chain; none without TLS.
    pub certificate: Option<String>,
    /// The host of the route table under which the request is served; `*` is
    /// any.
    pub virtual_host: Option<String>,
    /// The path of the Ingress that serves the request.
    pub ingress: Option<IngressPlace>,
    /// The RouteRule that decides, as `namespace/name`.
    pub route_rule: Option<String>,
    /// Why, in a sentence.
    pub reason: String,
    /// What may be why it is not served as someone expects, such as Ingresses of
    /// other classes.
    pub hints: Vec<String>,
    /// Every route of the table, and what became of it.
    pub candidates: Vec<Candidate>,
    /// Every rule of the backend that serves the request, and what became of
    /// it.
    pub rules: Vec<RuleVerdict>,
    /// Where in the table what serves the request stands.
    #[serde(skip)]
    pub(crate) place: Option<RouteIndex>,
    /// The index of the rule that decides.
    #[serde(skip)]
    pub(crate) rule: Option<usize>,
}

/// One of several clusters, and its share of the requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Share {
    /// The cluster; without one, this share is answered with 503.
    pub cluster: Option<String>,
    /// The share, out of the sum of all weights.
    pub weight: u32,
}

/// Runs the module with `table` on one request. For several, start an
/// [`Explainer`] once.
///
/// # Errors
/// Where the module does not run, which no table or request should cause.
pub fn explain(
    table: &RouteTable,
    settings: &Settings,
    request: &Request,
) -> anyhow::Result<Explanation> {
    Explainer::new(table, settings)?.explain(request)
}
