//! What happens to the requests of a rule.

use serde::{Deserialize, Serialize};

use super::{Destination, is_false};

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It goes to an upstream.
    Forward(Box<Forward>),
    /// The client is sent elsewhere, with 302.
    Redirect(Box<Redirect>),
    /// The filter answers it, without an upstream.
    Respond(Respond),
}

/// To which upstream a request goes, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Forward {
    /// The name of a cluster, or a list of clusters with weights.
    pub cluster: Destination,
    /// How long the whole request may take, retries included; without it, for
    /// ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Timeout>,
    /// How often to try again; without it, never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<Retries>,
    /// What the upstream sees in place of the request's path and host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewrite: Option<Rewrite>,
    /// Whether a client may upgrade to WebSocket. Where Envoy allows upgrades
    /// at all, they are answered with 403 without this.
    #[serde(default, skip_serializing_if = "is_false")]
    pub websocket: bool,
    /// The name of a cluster that gets a copy of each request. Its answers are
    /// thrown away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<String>,
    /// Headers to add to the request, beside those of the same name that it
    /// has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub append_headers: Vec<Header>,
    /// Which pages of other origins may see the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,
    /// What goes wrong on purpose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
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

/// How long the whole request may take; then the client gets 504.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Timeout {
    /// In milliseconds, 1 or more.
    pub ms: u32,
    /// A header of the request that, as milliseconds or a duration such as
    /// `1.5s`, replaces it. One that is malformed is ignored, and so is one that
    /// is greater than both `ms` and `override_limit_ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_header: Option<String>,
    /// How much a client may ask for by that header, in milliseconds; five minutes
    /// if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_limit_ms: Option<u32>,
}

/// Tries again on `5xx`, `connect-failure` and `refused-stream`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Retries {
    /// How often at most, after the first try.
    pub attempts: u32,
    /// How long each try may take, in milliseconds, 1 or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_try_timeout_ms: Option<u32>,
    /// A header of the request that, as a number, replaces `attempts`. One that is
    /// malformed is ignored, and so is one that is greater than both `attempts` and
    /// `override_limit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_header: Option<String>,
    /// How much a client may ask for by that header; 25 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_limit: Option<u32>,
}

/// What the upstream sees; at least one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rewrite {
    /// Replaces the prefix that the rule's own condition on `:path` matched,
    /// or the route's where the rule has none; the whole path, where that match
    /// was no prefix. The query stays. Starts with `/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Replaces the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
}

/// Where the client is sent; at least one of `path` and `authority`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Redirect {
    /// Replaces the whole path. The query stays, unless this has one. Starts
    /// with `/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Replaces the host, port included.
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
    /// The origins that are allowed, compared exactly; `*` is any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow_origins: Vec<String>,
    /// What a preflight is told in `access-control-allow-methods`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow_methods: Vec<String>,
    /// What a preflight is told in `access-control-allow-headers`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow_headers: Vec<String>,
    /// What an answer says in `access-control-expose-headers`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expose_headers: Vec<String>,
    /// How long a preflight's answer holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age_seconds: Option<u32>,
    /// Whether credentials may be sent. The origin is then echoed, never `*`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub allow_credentials: bool,
}

/// What goes wrong on purpose, first the delay, then the abort; each drawn on
/// its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Some requests wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Delay>,
    /// Some requests are answered without an upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort: Option<Abort>,
}

/// Some requests wait before they go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Delay {
    /// How many of a million requests.
    pub per_million: u32,
    /// How long, in milliseconds, 1 or more.
    pub ms: u32,
    /// As [`Timeout::override_header`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_header: Option<String>,
    /// As [`Timeout::override_limit_ms`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_limit_ms: Option<u32>,
}

/// Some requests are answered without an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Abort {
    /// How many of a million requests.
    pub per_million: u32,
    /// With what.
    pub status: AbortStatus,
    /// A header of the request that, as a status of the same kind, replaces
    /// it. One that is malformed is ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_header: Option<String>,
}

/// What an aborted request is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AbortStatus {
    /// An HTTP status, 200 to 599.
    Http(u16),
    /// A gRPC status, 0 to 16.
    Grpc(u8),
}

/// An answer of the filter's own, with an empty body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Respond {
    /// The status, 200 to 599.
    pub status: u16,
}
