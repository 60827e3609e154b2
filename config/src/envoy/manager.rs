//! The HTTP connection manager, hardened for use at the edge: it normalises or
//! rejects paths, removes internal headers of clients before any filter runs, and
//! treats every client as external.

use std::iter;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use prost::{Enumeration, Message};
use serde::Serialize;

use super::access_log::AccessLog;
use super::core::{CidrRange, ConfigSource};
use super::filter::Wasm;
use super::grpc_web::SelectiveGrpcWeb;
use super::message::{
    Any, Duration, Extension, Filter, Typed, any_message, is_unset, json_names, typed,
};
use super::protocols::{CommonHttpProtocolOptions, Http1ProtocolOptions, Http2ProtocolOptions};
use super::routes::{HeaderMatcher, RouteConfiguration};
use super::sanitising::EarlyHeaderMutation;
use super::tracing::Tracing;
use super::{FILTER_NAME, PROBE_LISTENER, ROUTE_CONFIGURATION, STAT_PREFIX};
use crate::settings::{EscapedSlashes, Settings};

/// `http_connection_manager.v3.HttpConnectionManager`.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct HttpConnectionManager {
    #[prost(string, tag = "2")]
    stat_prefix: String,
    #[prost(message, optional, tag = "3")]
    rds: Option<Rds>,
    #[prost(message, optional, tag = "4")]
    #[serde(skip_serializing_if = "is_unset")]
    route_config: Option<RouteConfiguration>,
    #[prost(message, repeated, tag = "5")]
    http_filters: Vec<HttpFilter>,
    #[prost(message, optional, tag = "7")]
    #[serde(skip_serializing_if = "is_unset")]
    tracing: Option<Tracing>,
    #[prost(message, repeated, tag = "23")]
    upgrade_configs: Vec<UpgradeConfig>,
    #[prost(message, repeated, tag = "13")]
    #[serde(skip_serializing_if = "is_unset")]
    access_log: Vec<AccessLog>,
    #[prost(message, repeated, tag = "52")]
    early_header_mutation_extensions: Vec<Extension<EarlyHeaderMutation>>,
    #[prost(message, optional, tag = "14")]
    use_remote_address: Option<bool>,
    #[prost(uint32, tag = "19")]
    xff_num_trusted_hops: u32,
    /// All clients are external, but a trusted proxy may have set the id.
    #[prost(bool, tag = "32")]
    #[serde(skip_serializing_if = "is_unset")]
    preserve_external_request_id: bool,
    #[prost(message, optional, tag = "36")]
    #[serde(skip_serializing_if = "is_unset")]
    request_id_extension: Option<RequestIdExtension>,
    #[prost(message, optional, tag = "25")]
    internal_address_config: Option<InternalAddressConfig>,
    #[prost(message, optional, tag = "30")]
    normalize_path: Option<bool>,
    #[prost(bool, tag = "33")]
    merge_slashes: bool,
    #[prost(enumeration = "EscapedSlashesAction", tag = "45")]
    #[serde(serialize_with = "EscapedSlashesAction::json")]
    path_with_escaped_slashes_action: i32,
    #[prost(message, optional, tag = "48")]
    scheme_header_transformation: Option<SchemeHeaderTransformation>,
    #[prost(message, optional, tag = "35")]
    common_http_protocol_options: Option<CommonHttpProtocolOptions>,
    #[prost(message, optional, tag = "8")]
    #[serde(skip_serializing_if = "is_unset")]
    http_protocol_options: Option<Http1ProtocolOptions>,
    #[prost(message, optional, tag = "9")]
    http2_protocol_options: Option<Http2ProtocolOptions>,
    #[prost(message, optional, tag = "41")]
    request_headers_timeout: Option<Duration>,
    #[prost(message, optional, tag = "24")]
    stream_idle_timeout: Option<Duration>,
    #[prost(message, optional, tag = "28")]
    #[serde(skip_serializing_if = "is_unset")]
    request_timeout: Option<Duration>,
}

/// `core.v3.SchemeHeaderTransformation`.
#[derive(Clone, PartialEq, Message, Serialize)]
struct SchemeHeaderTransformation {
    #[prost(bool, tag = "2")]
    match_upstream: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
enum EscapedSlashesAction {
    Default = 0,
    KeepUnchanged = 1,
    RejectRequest = 2,
}

json_names!(EscapedSlashesAction {
    Default = "IMPLEMENTATION_SPECIFIC_DEFAULT",
    KeepUnchanged = "KEEP_UNCHANGED",
    RejectRequest = "REJECT_REQUEST",
});

impl From<EscapedSlashes> for EscapedSlashesAction {
    fn from(slashes: EscapedSlashes) -> Self {
        match slashes {
            EscapedSlashes::Keep => Self::KeepUnchanged,
            EscapedSlashes::Reject => Self::RejectRequest,
        }
    }
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct Rds {
    #[prost(string, tag = "2")]
    route_config_name: String,
    #[prost(message, optional, tag = "1")]
    config_source: Option<ConfigSource>,
}

/// `http_connection_manager.v3.HttpFilter`, for the filters that are used.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
enum HttpFilter {
    Discovered(DiscoveredFilter),
    HealthCheck(Filter<HealthCheck>),
    GrpcWeb(Filter<SelectiveGrpcWeb>),
    Router(Filter<Router>),
}

any_message!(HttpFilter { Discovered(DiscoveredFilter), HealthCheck, GrpcWeb, Router });

#[derive(Clone, PartialEq, Message, Serialize)]
struct DiscoveredFilter {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "5")]
    config_discovery: Option<ExtensionConfigSource>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct ExtensionConfigSource {
    #[prost(message, optional, tag = "1")]
    config_source: Option<ConfigSource>,
    #[prost(string, repeated, tag = "4")]
    type_urls: Vec<String>,
}

/// `http_connection_manager.v3.RequestIDExtension`.
#[derive(Clone, PartialEq, Message, Serialize)]
struct RequestIdExtension {
    #[prost(message, optional, tag = "1")]
    typed_config: Option<Any<UuidRequestIdConfig>>,
}

/// `request_id.uuid.v3.UuidRequestIdConfig`.
#[derive(Clone, PartialEq, Message, Serialize)]
struct UuidRequestIdConfig {
    #[prost(message, optional, tag = "1")]
    pack_trace_reason: Option<bool>,
}

impl RequestIdExtension {
    /// By default, Envoy changes a digit of the id.
    fn keeping() -> Self {
        let config = UuidRequestIdConfig { pack_trace_reason: Some(false) };
        Self { typed_config: Some(Any(config)) }
    }
}

/// Treats every address as external, except for one that no client has. Without
/// ranges, Envoy treats private and loopback addresses as internal and uses their
/// `x-envoy-*` headers.
#[derive(Clone, PartialEq, Message, Serialize)]
struct InternalAddressConfig {
    #[prost(message, repeated, tag = "2")]
    cidr_ranges: Vec<CidrRange>,
}

/// Envoy decides about upgrades before any filter runs; the routes reject those
/// that no rule allows.
#[derive(Clone, PartialEq, Message, Serialize)]
struct UpgradeConfig {
    #[prost(string, tag = "1")]
    upgrade_type: String,
}

/// `filters.http.health_check.v3.HealthCheck`.
#[derive(Clone, PartialEq, Message, Serialize)]
struct HealthCheck {
    #[prost(message, optional, tag = "1")]
    pass_through_mode: Option<bool>,
    #[prost(message, repeated, tag = "5")]
    headers: Vec<HeaderMatcher>,
}

/// `filters.http.router.v3.Router`.
#[derive(Clone, PartialEq, Message, Serialize)]
struct Router {}

typed! {
    HttpConnectionManager =
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    UuidRequestIdConfig = "envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig",
    HealthCheck = "envoy.extensions.filters.http.health_check.v3.HealthCheck",
    Router = "envoy.extensions.filters.http.router.v3.Router",
}

/// The fields of the HTTP connection manager that differ.
#[derive(Clone, Debug)]
pub(super) struct ConnectionManagerOptions<'s> {
    /// The source of the routes.
    pub(super) routes: ConfigSource,
    /// The source of the filter's configuration.
    pub(super) filter: ConfigSource,
    pub(super) settings: &'s Settings,
}

impl HttpConnectionManager {
    /// For a listener that clients reach at `port`.
    pub(super) fn new(options: &ConnectionManagerOptions<'_>, port: u16) -> Self {
        let settings = options.settings;
        let hops = settings.trusted_hops;
        let name = "envoy.http.early_header_mutation.header_mutation";
        Self {
            stat_prefix: STAT_PREFIX.to_owned(),
            rds: Some(Rds {
                route_config_name: ROUTE_CONFIGURATION.to_owned(),
                config_source: Some(options.routes.clone()),
            }),
            route_config: None,
            http_filters: HttpFilter::chain(options),
            upgrade_configs: vec![UpgradeConfig { upgrade_type: "websocket".to_owned() }],
            tracing: Tracing::of(settings),
            access_log: AccessLog::all(settings),
            early_header_mutation_extensions: vec![Extension::new(
                name,
                EarlyHeaderMutation::new(settings, port),
            )],
            use_remote_address: Some(true),
            xff_num_trusted_hops: hops,
            preserve_external_request_id: hops > 0,
            // Envoy keeps the decision about tracing in a digit of the id.
            request_id_extension: (hops > 0 && settings.tracing.is_none())
                .then(RequestIdExtension::keeping),
            internal_address_config: Some(InternalAddressConfig::nobody()),
            normalize_path: Some(true),
            merge_slashes: true,
            path_with_escaped_slashes_action: EscapedSlashesAction::from(settings.escaped_slashes)
                .into(),
            // Some servers reject another scheme than that of the connection.
            scheme_header_transformation: Some(SchemeHeaderTransformation { match_upstream: true }),
            common_http_protocol_options: Some(CommonHttpProtocolOptions::for_clients(
                settings.headers_with_underscores,
            )),
            http_protocol_options: Some(Http1ProtocolOptions::new()),
            http2_protocol_options: Some(Http2ProtocolOptions::new()),
            request_headers_timeout: Some(Duration::seconds(10)),
            stream_idle_timeout: Some(settings.stream_idle_timeout.into()),
            request_timeout: settings.request_timeout.map(Duration::from),
        }
    }
}

impl HttpConnectionManager {
    /// Has separate statistics, because draining does not wait for probes.
    pub(super) fn answering_probes() -> Self {
        Self {
            stat_prefix: PROBE_LISTENER.to_owned(),
            route_config: Some(RouteConfiguration::empty(PROBE_LISTENER)),
            http_filters: vec![HttpFilter::answering("/ready"), HttpFilter::router()],
            request_headers_timeout: Some(Duration::seconds(10)),
            stream_idle_timeout: Some(Duration::seconds(10)),
            ..Self::default()
        }
    }
}

impl HttpFilter {
    fn chain(options: &ConnectionManagerOptions<'_>) -> Vec<Self> {
        let grpc_web = options.settings.grpc_web.then(Self::grpc_web);
        let discovered = iter::once(Self::discovered(&options.filter));
        discovered.chain(grpc_web).chain([Self::router()]).collect()
    }

    fn grpc_web() -> Self {
        Self::GrpcWeb(Filter::new("envoy.filters.http.grpc_web", SelectiveGrpcWeb::by_cluster()))
    }

    fn router() -> Self {
        Self::Router(Filter::new("envoy.filters.http.router", Router {}))
    }

    fn answering(path: &str) -> Self {
        let headers = vec![HeaderMatcher::exact(":path", path)];
        let check = HealthCheck { pass_through_mode: Some(false), headers };
        Self::HealthCheck(Filter::new("envoy.filters.http.health_check", check))
    }

    fn discovered(source: &ConfigSource) -> Self {
        let source = ExtensionConfigSource {
            config_source: Some(source.clone()),
            type_urls: vec![Wasm::TYPE_URL.to_owned()],
        };
        Self::Discovered(DiscoveredFilter {
            name: FILTER_NAME.to_owned(),
            config_discovery: Some(source),
        })
    }
}

impl InternalAddressConfig {
    fn nobody() -> Self {
        Self { cidr_ranges: vec![CidrRange::from(IpNet::from(IpAddr::V4(Ipv4Addr::BROADCAST)))] }
    }
}
