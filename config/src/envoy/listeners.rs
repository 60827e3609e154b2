//! Listeners (LDS), hardened for an edge: paths normalised or refused, a client's
//! internal headers removed before any filter sees them, every peer counted as a
//! stranger.

use std::net::SocketAddr;
use std::path::Path;

use ingress_filter::INTERNAL_HEADER_PREFIX;
use serde::Serialize;

use super::files::{Layout, Supply};
use super::tls::{ChainMatcher, DownstreamTlsContext, TlsInspector};
use super::wire::{Address, ConfigSource, Empty, Extension, Message, Seconds, messages};
use super::{FILTER_NAME, ROUTE_CONFIGURATION, STAT_PREFIX};
use crate::compile::Https;

/// What a client may claim about how it came here; believed only from the
/// proxies that are trusted.
const FORWARDING_HEADERS: [&str; 4] =
    ["x-forwarded-host", "x-forwarded-port", "x-real-ip", "forwarded"];

/// What Envoy obeys or tells. It removes by itself only some of it from a
/// stranger's request.
const ENVOY_HEADER_PREFIX: &str = "x-envoy-";

/// How much of a connection waits in memory.
const BUFFER_LIMIT: u32 = 32 * 1024;

/// `listener.v3.Listener`.
#[expect(clippy::struct_field_names, reason = "these are Envoy's names")]
#[derive(Debug, Serialize)]
pub(super) struct Listener {
    name: &'static str,
    address: Address,
    per_connection_buffer_limit_bytes: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    listener_filters: Option<[Extension<TlsInspector>; 1]>,
    filter_chains: Vec<FilterChain>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter_chain_matcher: Option<ChainMatcher>,
}

#[derive(Debug, Serialize)]
struct FilterChain {
    /// The plain one has none, by which the filter knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    filters: [Extension<HttpConnectionManager>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    transport_socket: Option<Extension<DownstreamTlsContext>>,
    /// How long a TLS handshake may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    transport_socket_connect_timeout: Option<Seconds>,
}

#[derive(Debug, Serialize)]
pub(super) struct HttpConnectionManager {
    stat_prefix: &'static str,
    rds: Rds,
    http_filters: (HttpFilter, Extension<Fault>, Extension<Router>),
    upgrade_configs: [UpgradeConfig; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    access_log: Option<[Extension<StdoutAccessLog>; 1]>,
    early_header_mutation_extensions: [Extension<HeaderMutation>; 1],
    use_remote_address: bool,
    xff_num_trusted_hops: u32,
    internal_address_config: InternalAddressConfig,
    normalize_path: bool,
    merge_slashes: bool,
    path_with_escaped_slashes_action: &'static str,
    common_http_protocol_options: CommonHttpProtocolOptions,
    http2_protocol_options: Http2ProtocolOptions,
    request_headers_timeout: Seconds,
    stream_idle_timeout: Seconds,
}

#[derive(Debug, Serialize)]
struct Rds {
    route_config_name: &'static str,
    config_source: ConfigSource,
}

#[derive(Debug, Serialize)]
struct HttpFilter {
    name: &'static str,
    config_discovery: ExtensionConfigSource,
}

#[derive(Debug, Serialize)]
struct ExtensionConfigSource {
    config_source: ConfigSource,
    type_urls: [&'static str; 1],
}

/// Every address counts as external but one that nobody has. Without ranges
/// Envoy takes private and loopback clients for its own and obeys their
/// `x-envoy-*` headers.
#[derive(Debug, Serialize)]
struct InternalAddressConfig {
    cidr_ranges: [CidrRange; 1],
}

#[derive(Debug, Serialize)]
struct CidrRange {
    address_prefix: &'static str,
    prefix_len: u8,
}

#[derive(Debug, Serialize)]
struct CommonHttpProtocolOptions {
    idle_timeout: Seconds,
    headers_with_underscores_action: &'static str,
    max_headers_count: u32,
}

#[derive(Debug, Serialize)]
struct Http2ProtocolOptions {
    max_concurrent_streams: u32,
    initial_stream_window_size: u32,
    initial_connection_window_size: u32,
}

/// Waits and answers as the filter before it says in headers; a client's are
/// removed before.
#[derive(Debug, Serialize)]
struct Fault {
    delay: FaultDelay,
    abort: FaultAbort,
}

#[derive(Debug, Serialize)]
struct FaultDelay {
    header_delay: Empty,
    percentage: Percentage,
}

#[derive(Debug, Serialize)]
struct FaultAbort {
    header_abort: Empty,
    percentage: Percentage,
}

#[derive(Debug, Serialize)]
struct Percentage {
    numerator: u32,
}

/// Envoy decides on an upgrade before any filter runs; the routes refuse those
/// that no rule allows.
#[derive(Debug, Serialize)]
struct UpgradeConfig {
    upgrade_type: &'static str,
}

#[derive(Debug, Serialize)]
struct Router {}

#[derive(Debug, Serialize)]
struct HeaderMutation {
    mutations: Vec<Mutation>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Mutation {
    Remove(&'static str),
    RemoveOnMatch(RemoveOnMatch),
}

#[derive(Debug, Serialize)]
struct RemoveOnMatch {
    key_matcher: StringMatcher,
}

#[derive(Debug, Serialize)]
struct StringMatcher {
    prefix: &'static str,
    ignore_case: bool,
}

#[derive(Debug, Serialize)]
struct StdoutAccessLog {
    log_format: LogFormat,
}

#[derive(Debug, Serialize)]
struct LogFormat {
    json_format: AccessLogLine,
}

/// One line of the access log.
#[derive(Debug, Serialize)]
struct AccessLogLine {
    time: &'static str,
    client: &'static str,
    method: &'static str,
    authority: &'static str,
    path: &'static str,
    protocol: &'static str,
    status: &'static str,
    flags: &'static str,
    details: &'static str,
    bytes_received: &'static str,
    bytes_sent: &'static str,
    duration_ms: &'static str,
    request_id: &'static str,
    cluster: &'static str,
    upstream: &'static str,
    ingress_route: &'static str,
    route_rule: &'static str,
}

const ACCESS_LOG_LINE: AccessLogLine = AccessLogLine {
    time: "%START_TIME%",
    client: "%DOWNSTREAM_REMOTE_ADDRESS%",
    method: "%REQ(:METHOD)%",
    authority: "%REQ(:AUTHORITY)%",
    path: "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    protocol: "%PROTOCOL%",
    status: "%RESPONSE_CODE%",
    flags: "%RESPONSE_FLAGS%",
    details: "%RESPONSE_CODE_DETAILS%",
    bytes_received: "%BYTES_RECEIVED%",
    bytes_sent: "%BYTES_SENT%",
    duration_ms: "%DURATION%",
    request_id: "%REQ(X-REQUEST-ID)%",
    cluster: "%UPSTREAM_CLUSTER_RAW%",
    upstream: "%UPSTREAM_HOST%",
    ingress_route: "%FILTER_STATE(wasm.ingress_route:PLAIN)%",
    route_rule: "%FILTER_STATE(wasm.route_rule:PLAIN)%",
};

messages! {
    Listener = "envoy.config.listener.v3.Listener",
    HttpConnectionManager =
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    Router = "envoy.extensions.filters.http.router.v3.Router",
    HeaderMutation = "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
    StdoutAccessLog = "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
    Fault = "envoy.extensions.filters.http.fault.v3.HTTPFault",
}

/// What of the HTTP connection manager the settings decide.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectionManagerOptions<'a> {
    pub(super) routes: &'a Path,
    pub(super) filter: &'a Path,
    pub(super) trusted_hops: u32,
    pub(super) access_log: bool,
}

impl Listener {
    pub(super) fn http(address: SocketAddr, options: ConnectionManagerOptions<'_>) -> Self {
        Self {
            name: super::HTTP_LISTENER,
            address: address.into(),
            per_connection_buffer_limit_bytes: BUFFER_LIMIT,
            listener_filters: None,
            filter_chains: vec![FilterChain::plain(options)],
            filter_chain_matcher: None,
        }
    }

    /// One filter chain for each certificate.
    pub(super) fn https(
        address: SocketAddr,
        https: &Https,
        options: ConnectionManagerOptions<'_>,
        layout: &Layout,
        supply: Supply,
    ) -> Self {
        let chains = https.certificates.iter().map(|(name, certificate)| {
            let context = DownstreamTlsContext::new(name, certificate, layout, supply);
            FilterChain {
                name: Some(name.clone()),
                transport_socket: Some(Extension::new("envoy.transport_sockets.tls", context)),
                transport_socket_connect_timeout: Some(Seconds(10)),
                ..FilterChain::plain(options)
            }
        });
        Self {
            name: super::HTTPS_LISTENER,
            address: address.into(),
            per_connection_buffer_limit_bytes: BUFFER_LIMIT,
            listener_filters: Some([Extension::new(
                "envoy.filters.listener.tls_inspector",
                TlsInspector {},
            )]),
            filter_chains: chains.collect(),
            filter_chain_matcher: Some(ChainMatcher::new(https)),
        }
    }
}

impl FilterChain {
    fn plain(options: ConnectionManagerOptions<'_>) -> Self {
        let manager = HttpConnectionManager::new(options);
        Self {
            name: None,
            filters: [Extension::new("envoy.filters.network.http_connection_manager", manager)],
            transport_socket: None,
            transport_socket_connect_timeout: None,
        }
    }
}

impl HttpConnectionManager {
    fn new(options: ConnectionManagerOptions<'_>) -> Self {
        Self {
            stat_prefix: STAT_PREFIX,
            rds: Rds {
                route_config_name: ROUTE_CONFIGURATION,
                config_source: ConfigSource::file(options.routes),
            },
            http_filters: (
                HttpFilter {
                    name: FILTER_NAME,
                    config_discovery: ExtensionConfigSource {
                        config_source: ConfigSource::file(options.filter),
                        type_urls: [super::extension::Wasm::TYPE_URL],
                    },
                },
                Extension::new("envoy.filters.http.fault", Fault::by_header()),
                Extension::new("envoy.filters.http.router", Router {}),
            ),
            upgrade_configs: [UpgradeConfig { upgrade_type: "websocket" }],
            access_log: options.access_log.then(|| {
                let log_format = LogFormat { json_format: ACCESS_LOG_LINE };
                [Extension::new("envoy.access_loggers.stdout", StdoutAccessLog { log_format })]
            }),
            early_header_mutation_extensions: [Extension::new(
                "envoy.http.early_header_mutation.header_mutation",
                HeaderMutation::sanitising(options.trusted_hops),
            )],
            use_remote_address: true,
            xff_num_trusted_hops: options.trusted_hops,
            internal_address_config: InternalAddressConfig {
                cidr_ranges: [CidrRange { address_prefix: "255.255.255.255", prefix_len: 32 }],
            },
            normalize_path: true,
            merge_slashes: true,
            path_with_escaped_slashes_action: "REJECT_REQUEST",
            common_http_protocol_options: CommonHttpProtocolOptions {
                idle_timeout: Seconds(3600),
                headers_with_underscores_action: "REJECT_REQUEST",
                max_headers_count: 100,
            },
            http2_protocol_options: Http2ProtocolOptions {
                max_concurrent_streams: 100,
                initial_stream_window_size: 64 * 1024,
                initial_connection_window_size: 1024 * 1024,
            },
            request_headers_timeout: Seconds(10),
            stream_idle_timeout: Seconds(300),
        }
    }
}

impl Fault {
    fn by_header() -> Self {
        let percentage = || Percentage { numerator: 100 };
        Self {
            delay: FaultDelay { header_delay: Empty {}, percentage: percentage() },
            abort: FaultAbort { header_abort: Empty {}, percentage: percentage() },
        }
    }
}

impl HeaderMutation {
    /// Removes what only the filter may say, and what only a trusted proxy may.
    fn sanitising(trusted_hops: u32) -> Self {
        let prefixes = [INTERNAL_HEADER_PREFIX, ENVOY_HEADER_PREFIX].map(|prefix| {
            Mutation::RemoveOnMatch(RemoveOnMatch {
                key_matcher: StringMatcher { prefix, ignore_case: true },
            })
        });
        let forwarding =
            FORWARDING_HEADERS.into_iter().filter(|_| trusted_hops == 0).map(Mutation::Remove);
        Self { mutations: prefixes.into_iter().chain(forwarding).collect() }
    }
}
