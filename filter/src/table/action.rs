//! The actions of rules.

use serde::{Deserialize, Serialize};

use super::{Destination, is_false};

/// The action for a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Forwards it to an upstream.
    Forward(Box<Forward>),
    /// Redirects the client, with 302.
    Redirect(Box<Redirect>),
    /// Responds without an upstream.
    Respond(Respond),
}

/// The upstream of a request, and how to forward it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Forward {
    /// The name of a cluster, or a list of clusters with weights.
    pub cluster: Destination,
    /// The timeout of the request, including retries; by default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Timeout>,
    /// The retries of a failed request; by default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<Retries>,
    /// Changes of the request's path and host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewrite: Option<Rewrite>,
    /// Whether a client may upgrade to WebSocket. Otherwise upgrades get 403, if
    /// Envoy allows them at all.
    #[serde(default, skip_serializing_if = "is_false")]
    pub websocket: bool,
    /// The name of a cluster that gets a copy of each request. Its responses are
    /// discarded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<String>,
    /// Headers to add to the request. Existing headers with the same name are
    /// kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub append_headers: Vec<Header>,
    /// The CORS policy: which web pages of other origins may read the response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,
    /// Injected faults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// The name of a cookie that keeps each client at one item of `cluster`, and at one
    /// endpoint if Envoy's cluster selects it by the hash of `x-ingress-session`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_cookie: Option<String>,
}

impl Forward {
    /// To `destination`, and nothing else.
    pub fn to(destination: impl Into<Destination>) -> Self {
        Self {
            cluster: destination.into(),
            timeout: None,
            retries: None,
            rewrite: None,
            websocket: false,
            mirror: None,
            append_headers: Vec::new(),
            cors: None,
            fault: None,
            session_cookie: None,
        }
    }
}

impl From<Forward> for Action {
    fn from(forward: Forward) -> Self {
        Self::Forward(Box::new(forward))
    }
}

impl From<Redirect> for Action {
    fn from(redirect: Redirect) -> Self {
        Self::Redirect(Box::new(redirect))
    }
}

/// The longest timeout or delay that a client may set, in milliseconds, unless the table
/// has another limit. By then, Envoy's stream idle timeout ends requests without progress.
pub(crate) const MAX_CLIENT_MS: u32 = 5 * 60 * 1_000;

/// The timeout of a request, including retries; then the client gets 504.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Timeout {
    /// In milliseconds, 1 or more.
    pub ms: u32,
    /// A request header that overrides the value, as milliseconds or a duration
    /// such as `1.5s`. A malformed value is ignored, and so is a value that is
    /// greater than both `ms` and `override_limit_ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_header: Option<String>,
    /// The limit for the value of that header, in milliseconds; by default five
    /// minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_limit_ms: Option<u32>,
}

impl Timeout {
    /// The longest that a request can have, in milliseconds.
    pub fn longest_ms(&self) -> u32 {
        let limit = || self.override_limit_ms.unwrap_or(MAX_CLIENT_MS);
        let of_clients = self.override_header.as_ref().map_or(0, |_| limit());
        self.ms.max(of_clients)
    }
}

/// Retries on `5xx`, `connect-failure`, `refused-stream`, and the headers that Envoy's
/// route names in `retriable_headers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Retries {
    /// The maximum number of retries.
    pub attempts: u32,
    /// The timeout of each try, in milliseconds, 1 or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_try_timeout_ms: Option<u32>,
    /// A request header that overrides `attempts`. A malformed value is ignored,
    /// and so is a value that is greater than both `attempts` and
    /// `override_limit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_header: Option<String>,
    /// The limit for the value of that header; by default 25.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_limit: Option<u32>,
}

/// Changes of path and host; at least one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rewrite {
    /// Replaces the prefix that the rule's condition on `:path` matched, or
    /// without one the prefix of the route; the whole path if that match was not
    /// a prefix. The query stays. Starts with `/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Replaces the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
}

/// The target of a redirect; at least one of `path` and `authority`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Redirect {
    /// Replaces the whole path. The query stays, unless this has one. Starts with
    /// `/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Replaces the host and port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// As [`Forward::cors`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,
}

/// A header and its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// In lower case.
    pub name: String,
    /// Visible ASCII and spaces.
    pub value: String,
}

/// Cross-origin resource sharing (the Fetch standard's CORS protocol).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Cors {
    /// The allowed origins, compared exactly; `*` allows any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow_origins: Vec<String>,
    /// The value of `access-control-allow-methods` in preflight responses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow_methods: Vec<String>,
    /// The value of `access-control-allow-headers` in preflight responses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow_headers: Vec<String>,
    /// The value of `access-control-expose-headers` in responses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expose_headers: Vec<String>,
    /// How long browsers may cache a preflight response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age_seconds: Option<u32>,
    /// Whether credentials may be sent. The response then contains the origin,
    /// never `*`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub allow_credentials: bool,
}

/// Injected faults: first the delay, then the abort; each is picked
/// independently.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Delays requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Delay>,
    /// Answers requests without an upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort: Option<Abort>,
}

/// Delays a part of the requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Delay {
    /// The number of affected requests, out of a million.
    pub per_million: u32,
    /// The delay in milliseconds, 1 or more.
    pub ms: u32,
    /// As [`Timeout::override_header`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_header: Option<String>,
    /// As [`Timeout::override_limit_ms`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_limit_ms: Option<u32>,
}

/// Answers a part of the requests without an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Abort {
    /// The number of affected requests, out of a million.
    pub per_million: u32,
    /// The status of the response.
    pub status: AbortStatus,
    /// A request header that overrides the status, with a status of the same
    /// kind. A malformed value is ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_header: Option<String>,
}

/// The status of an aborted request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AbortStatus {
    /// An HTTP status, 200 to 599.
    Http(u16),
    /// A gRPC status, 0 to 16.
    Grpc(u8),
}

/// A response of the filter, with an empty body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Respond {
    /// The status, 200 to 599.
    pub status: u16,
}
