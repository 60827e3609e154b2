//! Clusters (CDS) and their endpoints (EDS).

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use prost::{Enumeration, Message, Oneof};
use serde::Serialize;

use super::core::{Address, ConfigSource};
use super::message::{
    Any, Duration, Empty, Filter, Socket, any_message, is_unset, json_names, typed,
};
use super::protocols::CommonHttpProtocolOptions;
use super::sanitising::MutationFilter;
use super::tls::TlsSource;
use super::upstream_tls::UpstreamTlsContext;
use crate::digest::digest_of;
use crate::model::{Balance, Cluster, Discovery, Protocol};
use crate::settings::LoadBalancing;

/// The circuit breaker limit of a cluster for connections, pending and active
/// requests. Envoy's defaults of 1,024, and of 3 retries, are for sidecars.
const MAX_CONCURRENCY: u32 = 16_384;

/// `cluster.v3.Cluster`.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct ClusterMessage {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(enumeration = "DiscoveryType", tag = "2")]
    #[serde(rename = "type", serialize_with = "DiscoveryType::json")]
    kind: i32,
    #[prost(enumeration = "LbPolicy", tag = "6")]
    #[serde(skip_serializing_if = "is_unset", serialize_with = "LbPolicy::json")]
    lb_policy: i32,
    #[prost(message, optional, tag = "3")]
    #[serde(skip_serializing_if = "is_unset")]
    eds_cluster_config: Option<EdsClusterConfig>,
    #[prost(message, optional, tag = "33")]
    #[serde(skip_serializing_if = "is_unset")]
    load_assignment: Option<ClusterLoadAssignment>,
    #[prost(enumeration = "DnsLookupFamily", tag = "17")]
    #[serde(skip_serializing_if = "is_unset", serialize_with = "DnsLookupFamily::json")]
    dns_lookup_family: i32,
    #[prost(message, optional, tag = "54")]
    #[serde(skip_serializing_if = "is_unset")]
    wait_for_warm_on_init: Option<bool>,
    #[prost(message, optional, tag = "4")]
    #[serde(skip_serializing_if = "is_unset")]
    connect_timeout: Option<Duration>,
    #[prost(message, optional, tag = "5")]
    #[serde(skip_serializing_if = "is_unset")]
    per_connection_buffer_limit_bytes: Option<u32>,
    #[prost(message, optional, tag = "10")]
    #[serde(skip_serializing_if = "is_unset")]
    circuit_breakers: Option<CircuitBreakers>,
    #[prost(message, optional, tag = "24")]
    #[serde(skip_serializing_if = "is_unset")]
    transport_socket: Option<Socket<UpstreamTlsContext>>,
    #[prost(btree_map = "string, message", tag = "36")]
    #[serde(skip_serializing_if = "is_unset")]
    typed_extension_protocol_options: BTreeMap<String, Any<HttpProtocolOptions>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
enum DiscoveryType {
    Static = 0,
    StrictDns = 1,
    Eds = 3,
}

json_names!(DiscoveryType { Static = "STATIC", StrictDns = "STRICT_DNS", Eds = "EDS" });

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
enum LbPolicy {
    RoundRobin = 0,
    LeastRequest = 1,
    RingHash = 2,
}

json_names!(LbPolicy {
    RoundRobin = "ROUND_ROBIN",
    LeastRequest = "LEAST_REQUEST",
    RingHash = "RING_HASH",
});

impl From<Balance> for LbPolicy {
    fn from(balance: Balance) -> Self {
        match balance {
            Balance::Load(LoadBalancing::RoundRobin) => Self::RoundRobin,
            Balance::Load(LoadBalancing::LeastRequest) => Self::LeastRequest,
            Balance::Session => Self::RingHash,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
enum DnsLookupFamily {
    Auto = 0,
    V4Preferred = 3,
}

json_names!(DnsLookupFamily { Auto = "AUTO", V4Preferred = "V4_PREFERRED" });

#[derive(Clone, PartialEq, Message, Serialize)]
struct EdsClusterConfig {
    #[prost(message, optional, tag = "1")]
    eds_config: Option<ConfigSource>,
    #[prost(string, tag = "2")]
    service_name: String,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct CircuitBreakers {
    #[prost(message, repeated, tag = "1")]
    thresholds: Vec<Thresholds>,
}

#[expect(clippy::struct_field_names, reason = "these are Envoy's names")]
#[derive(Clone, PartialEq, Message, Serialize)]
struct Thresholds {
    #[prost(message, optional, tag = "2")]
    max_connections: Option<u32>,
    #[prost(message, optional, tag = "3")]
    max_pending_requests: Option<u32>,
    #[prost(message, optional, tag = "4")]
    max_requests: Option<u32>,
    #[prost(message, optional, tag = "5")]
    max_retries: Option<u32>,
}

#[expect(clippy::struct_field_names, reason = "these are Envoy's names")]
#[derive(Clone, PartialEq, Message, Serialize)]
struct HttpProtocolOptions {
    #[prost(message, optional, tag = "1")]
    #[serde(skip_serializing_if = "is_unset")]
    common_http_protocol_options: Option<CommonHttpProtocolOptions>,
    #[prost(message, optional, tag = "3")]
    explicit_http_config: Option<ExplicitHttpConfig>,
    #[prost(message, repeated, tag = "6")]
    #[serde(skip_serializing_if = "is_unset")]
    http_filters: Vec<UpstreamFilter>,
}

/// `http_connection_manager.v3.HttpFilter`, one of those between the router and
/// an upstream.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
enum UpstreamFilter {
    Mutation(Filter<MutationFilter>),
    Codec(Filter<UpstreamCodec>),
}

any_message!(UpstreamFilter { Mutation(Filter<MutationFilter>), Codec });

/// `filters.http.upstream_codec.v3.UpstreamCodec`, which has to be the last.
#[derive(Clone, PartialEq, Message, Serialize)]
struct UpstreamCodec {}

#[derive(Clone, PartialEq, Message, Serialize)]
struct ExplicitHttpConfig {
    #[prost(oneof = "HttpVersion", tags = "1, 2")]
    #[serde(flatten)]
    version: Option<HttpVersion>,
}

#[derive(Clone, PartialEq, Oneof, Serialize)]
enum HttpVersion {
    #[prost(message, tag = "1")]
    #[serde(rename = "http_protocol_options")]
    Http1(Empty),
    /// With prior knowledge.
    #[prost(message, tag = "2")]
    #[serde(rename = "http2_protocol_options")]
    Http2(Empty),
}

/// `endpoint.v3.ClusterLoadAssignment`.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct ClusterLoadAssignment {
    #[prost(string, tag = "1")]
    cluster_name: String,
    #[prost(message, repeated, tag = "2")]
    endpoints: Vec<LocalityLbEndpoints>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct LocalityLbEndpoints {
    #[prost(message, repeated, tag = "2")]
    lb_endpoints: Vec<LbEndpoint>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct LbEndpoint {
    #[prost(message, optional, tag = "1")]
    endpoint: Option<Endpoint>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct Endpoint {
    #[prost(message, optional, tag = "1")]
    address: Option<Address>,
}

typed! {
    ClusterMessage = "envoy.config.cluster.v3.Cluster",
    UpstreamCodec = "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec",
    HttpProtocolOptions = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
    ClusterLoadAssignment = "envoy.config.endpoint.v3.ClusterLoadAssignment",
}

impl ClusterMessage {
    pub(super) fn new(cluster: &Cluster, source: TlsSource<'_>) -> Self {
        let kind = match (&cluster.discovery, source) {
            (Discovery::Dns(..), _) => DiscoveryType::StrictDns,
            (_, TlsSource::Files(..)) => DiscoveryType::Static,
            (_, TlsSource::Stream) => DiscoveryType::Eds,
        };
        let mut message = Self::bare(&cluster.name, kind);
        message.lb_policy = LbPolicy::from(cluster.balance).into();
        message.per_connection_buffer_limit_bytes = Some(32 * 1024);
        message.connect_timeout = Some(Duration::seconds(5));
        message.circuit_breakers = Some(CircuitBreakers::generous());
        if kind == DiscoveryType::StrictDns {
            message.dns_lookup_family = DnsLookupFamily::V4Preferred.into();
        }
        message.speak(HttpProtocolOptions::for_upstreams(cluster));
        message.transport_socket = cluster.tls.as_ref().map(|tls| {
            let context = UpstreamTlsContext::new(tls, cluster.protocol, source);
            Socket::new("envoy.transport_sockets.tls", context)
        });
        if kind == DiscoveryType::Eds {
            let service_name = format!("{}#{}", cluster.name, digest_of(&message.encode_to_vec()));
            let eds_config = Some(ConfigSource::stream());
            message.eds_cluster_config = Some(EdsClusterConfig { eds_config, service_name });
        } else {
            message.load_assignment = Some(ClusterLoadAssignment::of(cluster));
        }
        message
    }

    /// The cluster of the controller at a Unix socket.
    pub(super) fn of_socket(name: &str, address: Address) -> Self {
        let mut message = Self::bare(name, DiscoveryType::Static);
        message.load_assignment = Some(ClusterLoadAssignment::new(name, [address]));
        message.speak(HttpProtocolOptions::new(HttpVersion::Http2(Empty {})));
        message
    }

    /// A cluster of the operator for gRPC, whose name Envoy resolves itself. A starting Envoy
    /// does not wait for that, because requests do not need it.
    pub(super) fn of_name(name: &str, host: &str, port: u16) -> Self {
        let mut message = Self::bare(name, DiscoveryType::StrictDns);
        message.dns_lookup_family = DnsLookupFamily::V4Preferred.into();
        message.wait_for_warm_on_init = Some(false);
        message.connect_timeout = Some(Duration::seconds(5));
        let is_address = host.parse::<IpAddr>().is_ok();
        let host = if is_address { Cow::Borrowed(host) } else { absolute(host) };
        message.load_assignment =
            Some(ClusterLoadAssignment::new(name, [Address::new(host, port)]));
        message.speak(HttpProtocolOptions::new(HttpVersion::Http2(Empty {})));
        message
    }

    fn bare(name: &str, kind: DiscoveryType) -> Self {
        Self { name: name.to_owned(), kind: kind.into(), ..Self::default() }
    }

    fn speak(&mut self, options: HttpProtocolOptions) {
        let name = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions".to_owned();
        self.typed_extension_protocol_options = BTreeMap::from([(name, Any(options))]);
    }

    /// The name of the endpoints (EDS). It contains a hash of the definition: a
    /// redefined cluster subscribes to another name, because it would get no
    /// response to the subscription of its predecessor.
    pub(super) fn endpoints_name(&self) -> Option<&str> {
        self.eds_cluster_config.as_ref().map(|config| &*config.service_name)
    }
}

impl ClusterMessage {
    /// The names of its secrets (SDS).
    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.transport_socket.iter().flat_map(|socket| socket.config().secrets())
    }
}

impl HttpProtocolOptions {
    fn new(version: HttpVersion) -> Self {
        let version = Some(version);
        Self { explicit_http_config: Some(ExplicitHttpConfig { version }), ..Self::default() }
    }

    fn for_upstreams(cluster: &Cluster) -> Self {
        let (version, has_trailers) = match cluster.protocol {
            // Envoy sends no trailers over HTTP/1.1.
            Protocol::Http1 => (HttpVersion::Http1(Empty {}), false),
            Protocol::Http2 => (HttpVersion::Http2(Empty {}), true),
        };
        Self {
            common_http_protocol_options: Some(CommonHttpProtocolOptions::for_upstreams()),
            http_filters: UpstreamFilter::sanitising(cluster.has_sessions, has_trailers),
            ..Self::new(version)
        }
    }
}

impl UpstreamFilter {
    /// A server that treats trailers as headers would use those that were removed
    /// from the headers. Intermediaries may drop them (RFC 9110 section 6.5.1),
    /// and gRPC requests have none.
    fn sanitising(session: bool, trailers: bool) -> Vec<Self> {
        let Some(mutation) = MutationFilter::of_requests(session, trailers) else {
            return Vec::new();
        };
        vec![
            Self::Mutation(Filter::new("envoy.filters.http.header_mutation", mutation)),
            Self::Codec(Filter::new("envoy.filters.http.upstream_codec", UpstreamCodec {})),
        ]
    }
}

impl CircuitBreakers {
    fn generous() -> Self {
        let most = Some(MAX_CONCURRENCY);
        let thresholds = Thresholds {
            max_connections: most,
            max_pending_requests: most,
            max_requests: most,
            max_retries: most,
        };
        Self { thresholds: vec![thresholds] }
    }
}

impl ClusterLoadAssignment {
    pub(super) fn new(name: &str, addresses: impl IntoIterator<Item = Address>) -> Self {
        let lb_endpoints = addresses
            .into_iter()
            .map(|address| LbEndpoint { endpoint: Some(Endpoint { address: Some(address) }) });
        Self {
            cluster_name: name.to_owned(),
            endpoints: vec![LocalityLbEndpoints { lb_endpoints: lb_endpoints.collect() }],
        }
    }

    /// The endpoints `name`.
    pub(super) fn discovered(name: &str, addresses: &BTreeSet<SocketAddr>) -> Self {
        Self::new(name, addresses.iter().copied().map(Address::from))
    }

    fn of(cluster: &Cluster) -> Self {
        match &cluster.discovery {
            Discovery::Addresses(addresses) | Discovery::Resolved { addresses, .. } => {
                Self::discovered(&cluster.name, addresses)
            }
            Discovery::Dns(host, port) => {
                Self::new(&cluster.name, [Address::new(absolute(host), *port)])
            }
        }
    }
}

/// A fully qualified name. Without a trailing dot, search domains would be tried
/// first: in a pod, `api.example.com` may be a Service in a namespace `com`.
fn absolute(host: &str) -> Cow<'_, str> {
    let is_qualified = host.contains('.') && !host.ends_with('.');
    if is_qualified { Cow::Owned(format!("{host}.")) } else { Cow::Borrowed(host) }
}
