//! The headers that the filter and Envoy use to communicate.

/// The prefix of the project's own headers. They are removed from clients' requests, and
/// not sent to upstreams.
pub const INTERNAL_HEADER_PREFIX: &str = "x-ingress-";

/// The cluster, for Envoy's only route.
pub const CLUSTER_HEADER: &str = "x-ingress-cluster";

/// The cluster that gets a copy of the request.
pub const MIRROR_HEADER: &str = "x-ingress-mirror";

/// Allows an upgrade to WebSocket.
pub const WEBSOCKET_HEADER: &str = "x-ingress-websocket";

/// The hash of the client's session, by which Envoy selects the endpoint.
pub const SESSION_HEADER: &str = "x-ingress-session";

/// The timeout of Envoy's router for the request, in milliseconds.
pub const TIMEOUT_HEADER: &str = "x-envoy-upstream-rq-timeout-ms";

/// The timeout of Envoy's router for each try, in milliseconds.
pub const PER_TRY_TIMEOUT_HEADER: &str = "x-envoy-upstream-rq-per-try-timeout-ms";

/// The conditions on which Envoy's router retries.
pub const RETRY_ON_HEADER: &str = "x-envoy-retry-on";

/// The maximum number of retries of Envoy's router.
pub const MAX_RETRIES_HEADER: &str = "x-envoy-max-retries";

/// The path before it was rewritten.
pub const ORIGINAL_PATH_HEADER: &str = "x-envoy-original-path";

/// The host that Envoy gives to requests without one, which HTTP/1.0 allows. The filter
/// treats it as an empty one.
pub const NO_HOST: &str = "no-host.invalid";

/// The scheme of the client according to Envoy: `http` or `https`.
pub const SCHEME_HEADER: &str = "x-forwarded-proto";
