//! Clusters and their endpoints (CDS, EDS).

use std::collections::BTreeSet;
use std::net::SocketAddr;

use serde::Serialize;

use super::files::Supply;
use super::wire::{Address, AggregatedSource, Any, Empty, Message, Seconds, messages};
use crate::compile::revision;

/// A cluster as the compiler knows it: a port of a service, or of a version of
/// it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// `<service>.<namespace>.svc.<domain>|<port>`, for a version followed by
    /// `|k1=v1,k2=v2`.
    pub name: String,
    /// What its endpoints speak.
    pub protocol: Protocol,
    /// Where they are.
    pub discovery: Discovery,
}

/// What an upstream speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
}

/// Where the endpoints of a cluster are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Discovery {
    /// At these addresses, which change without touching the cluster.
    Addresses(BTreeSet<SocketAddr>),
    /// At all addresses of this DNS name, at this port.
    Dns(String, u16),
}

/// At most so many connections to one cluster, and as many requests under way
/// or waiting. Envoy's own limits of 1,024, and of 3 retries, are for a sidecar.
const MAX_CONCURRENCY: u32 = 16_384;

/// `cluster.v3.Cluster`.
#[derive(Debug, Serialize)]
pub(super) struct ClusterMessage {
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    eds_cluster_config: Option<EdsClusterConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    load_assignment: Option<ClusterLoadAssignment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dns_lookup_family: Option<&'static str>,
    lb_policy: &'static str,
    connect_timeout: Seconds,
    per_connection_buffer_limit_bytes: u32,
    circuit_breakers: CircuitBreakers,
    #[serde(skip_serializing_if = "Option::is_none")]
    typed_extension_protocol_options: Option<ProtocolOptions>,
}

#[derive(Debug, Serialize)]
struct EdsClusterConfig {
    eds_config: AggregatedSource,
    service_name: String,
}

#[derive(Debug, Serialize)]
struct CircuitBreakers {
    thresholds: [Thresholds; 1],
}

#[expect(clippy::struct_field_names, reason = "these are Envoy's names")]
#[derive(Debug, Serialize)]
struct Thresholds {
    max_connections: u32,
    max_pending_requests: u32,
    max_requests: u32,
    max_retries: u32,
}

#[derive(Debug, Serialize)]
pub(super) struct ProtocolOptions {
    #[serde(rename = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions")]
    http: Any<HttpProtocolOptions>,
}

#[derive(Debug, Serialize)]
struct HttpProtocolOptions {
    explicit_http_config: ExplicitHttpConfig,
}

#[derive(Debug, Serialize)]
struct ExplicitHttpConfig {
    http2_protocol_options: Empty,
}

/// `endpoint.v3.ClusterLoadAssignment`.
#[derive(Debug, Serialize)]
struct ClusterLoadAssignment {
    cluster_name: String,
    endpoints: [LocalityLbEndpoints; 1],
}

#[derive(Debug, Serialize)]
struct LocalityLbEndpoints {
    lb_endpoints: Vec<LbEndpoint>,
}

#[derive(Debug, Serialize)]
struct LbEndpoint {
    endpoint: Endpoint,
}

#[derive(Debug, Serialize)]
struct Endpoint {
    address: Address,
}

messages! {
    ClusterMessage = "envoy.config.cluster.v3.Cluster",
    HttpProtocolOptions = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
}

impl ClusterMessage {
    pub(super) fn new(cluster: &Cluster, source: Supply) -> Self {
        let kind = match (&cluster.discovery, source) {
            (Discovery::Dns(..), _) => "STRICT_DNS",
            (Discovery::Addresses(_), Supply::Files) => "STATIC",
            (Discovery::Addresses(_), Supply::Server) => "EDS",
        };
        let mut message = Self {
            name: cluster.name.clone(),
            kind,
            eds_cluster_config: None,
            load_assignment: (kind != "EDS").then(|| ClusterLoadAssignment::new(cluster)),
            dns_lookup_family: (kind == "STRICT_DNS").then_some("V4_PREFERRED"),
            lb_policy: "ROUND_ROBIN",
            connect_timeout: Seconds(5),
            per_connection_buffer_limit_bytes: 32 * 1024,
            circuit_breakers: CircuitBreakers {
                thresholds: [Thresholds {
                    max_connections: MAX_CONCURRENCY,
                    max_pending_requests: MAX_CONCURRENCY,
                    max_requests: MAX_CONCURRENCY,
                    max_retries: MAX_CONCURRENCY,
                }],
            },
            typed_extension_protocol_options: match cluster.protocol {
                Protocol::Http1 => None,
                Protocol::Http2 => Some(ProtocolOptions::http2()),
            },
        };
        if kind == "EDS" {
            message.eds_cluster_config = Some(EdsClusterConfig {
                eds_config: AggregatedSource::new(),
                service_name: endpoints_name(&cluster.name, &revision(&message)),
            });
        }
        message
    }
}

impl ProtocolOptions {
    /// HTTP/2 with prior knowledge.
    pub(super) fn http2() -> Self {
        let explicit_http_config = ExplicitHttpConfig { http2_protocol_options: Empty {} };
        Self { http: HttpProtocolOptions { explicit_http_config }.into_any() }
    }
}

/// The name by which Envoy asks for the endpoints of a cluster. One whose
/// definition changes asks by another name, for it gets no answer to a question
/// that its predecessor has asked before.
fn endpoints_name(cluster: &str, definition: &str) -> String {
    format!("{cluster}#{definition}")
}

/// The cluster whose endpoints are asked for by `name`.
pub(crate) fn cluster_of_endpoints(name: &str) -> &str {
    name.rsplit_once('#').map_or(name, |(cluster, _)| cluster)
}

impl ClusterLoadAssignment {
    fn new(cluster: &Cluster) -> Self {
        let addresses = match &cluster.discovery {
            Discovery::Addresses(addresses) => {
                addresses.iter().copied().map(Address::from).collect()
            }
            Discovery::Dns(name, port) => vec![Address::new(name, *port)],
        };
        let lb_endpoints =
            addresses.into_iter().map(|address| LbEndpoint { endpoint: Endpoint { address } });
        Self {
            cluster_name: cluster.name.clone(),
            endpoints: [LocalityLbEndpoints { lb_endpoints: lb_endpoints.collect() }],
        }
    }
}
