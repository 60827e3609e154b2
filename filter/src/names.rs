//! The headers that the filter and Envoy use to communicate.

/// Headers that start so are this project's own. A client's are removed, and
/// none reaches an upstream.
pub const INTERNAL_HEADER_PREFIX: &str = "x-ingress-";

/// Names the cluster to Envoy's only route.
pub const CLUSTER_HEADER: &str = "x-ingress-cluster";

/// Names the cluster that gets a copy.
pub const MIRROR_HEADER: &str = "x-ingress-mirror";

/// Allows an upgrade to WebSocket.
pub const WEBSOCKET_HEADER: &str = "x-ingress-websocket";

/// Says, in milliseconds, how long Envoy's router may take.
pub const TIMEOUT_HEADER: &str = "x-envoy-upstream-rq-timeout-ms";

/// Says, in milliseconds, how long each try of Envoy's router may take.
pub const PER_TRY_TIMEOUT_HEADER: &str = "x-envoy-upstream-rq-per-try-timeout-ms";

/// Says on what Envoy's router tries again.
pub const RETRY_ON_HEADER: &str = "x-envoy-retry-on";

/// Says how often Envoy's router tries again.
pub const MAX_RETRIES_HEADER: &str = "x-envoy-max-retries";

/// Says what the path was before it was rewritten.
pub const ORIGINAL_PATH_HEADER: &str = "x-envoy-original-path";

/// What Envoy says the client came by: `http` or `https`.
pub const SCHEME_HEADER: &str = "x-forwarded-proto";
