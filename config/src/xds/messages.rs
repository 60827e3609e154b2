//! The messages of Envoy's v3 API that go over the wire, with the fields that
//! we read or set. Numbers and types are those of the API.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use prost::Message;

use crate::certificates::KeyPair;

/// The types of resources that are served.
pub(super) const ENDPOINTS: &str =
    "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
pub(super) const SECRETS: &str =
    "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";

/// `discovery.v3.DeltaDiscoveryRequest`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct DeltaDiscoveryRequest {
    #[prost(string, tag = "2")]
    pub(super) type_url: String,
    #[prost(string, repeated, tag = "3")]
    pub(super) resource_names_subscribe: Vec<String>,
    #[prost(string, repeated, tag = "4")]
    pub(super) resource_names_unsubscribe: Vec<String>,
    #[prost(string, tag = "6")]
    pub(super) response_nonce: String,
    #[prost(message, optional, tag = "7")]
    pub(super) error_detail: Option<Status>,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Status {
    #[prost(string, tag = "2")]
    pub(super) message: String,
}

/// `discovery.v3.DeltaDiscoveryResponse`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct DeltaDiscoveryResponse {
    #[prost(message, repeated, tag = "2")]
    pub(super) resources: Vec<Resource>,
    #[prost(string, tag = "4")]
    pub(super) type_url: String,
    #[prost(string, tag = "5")]
    pub(super) nonce: String,
}

/// `discovery.v3.Resource`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Resource {
    #[prost(string, tag = "1")]
    pub(super) version: String,
    #[prost(message, optional, tag = "2")]
    content: Option<Any>,
    #[prost(string, tag = "3")]
    pub(super) name: String,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `endpoint.v3.ClusterLoadAssignment`.
#[derive(Clone, PartialEq, Message)]
struct ClusterLoadAssignment {
    #[prost(string, tag = "1")]
    cluster_name: String,
    #[prost(message, repeated, tag = "2")]
    endpoints: Vec<LocalityLbEndpoints>,
}

#[derive(Clone, PartialEq, Message)]
struct LocalityLbEndpoints {
    #[prost(message, repeated, tag = "2")]
    lb_endpoints: Vec<LbEndpoint>,
}

#[derive(Clone, PartialEq, Message)]
struct LbEndpoint {
    #[prost(message, optional, tag = "1")]
    endpoint: Option<Endpoint>,
}

#[derive(Clone, PartialEq, Message)]
struct Endpoint {
    #[prost(message, optional, tag = "1")]
    address: Option<Address>,
}

#[derive(Clone, PartialEq, Message)]
struct Address {
    #[prost(message, optional, tag = "1")]
    socket_address: Option<SocketAddress>,
}

#[derive(Clone, PartialEq, Message)]
struct SocketAddress {
    #[prost(string, tag = "2")]
    address: String,
    #[prost(uint32, tag = "3")]
    port_value: u32,
}

/// `transport_sockets.tls.v3.Secret`. What is made of it may hold a private key,
/// which shows nowhere, for nothing here is printed.
#[derive(Clone, PartialEq, Message)]
struct Secret {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    tls_certificate: Option<TlsCertificate>,
}

#[derive(Clone, PartialEq, Message)]
struct TlsCertificate {
    #[prost(message, optional, tag = "1")]
    certificate_chain: Option<DataSource>,
    #[prost(message, optional, tag = "2")]
    private_key: Option<DataSource>,
}

#[derive(Clone, PartialEq, Message)]
struct DataSource {
    #[prost(string, tag = "3")]
    inline_string: String,
}

impl Resource {
    fn new(name: &str, version: u64, type_url: &str, message: &impl Message) -> Self {
        let content = Any { type_url: type_url.to_owned(), value: message.encode_to_vec() };
        Self { name: name.to_owned(), version: version.to_string(), content: Some(content) }
    }

    /// The certificate that Envoy asks for by `name`, and its key.
    pub(super) fn secret(name: &str, version: u64, pair: &KeyPair) -> Self {
        let inline = |text: &str| Some(DataSource { inline_string: text.to_owned() });
        let tls_certificate = TlsCertificate {
            certificate_chain: inline(&pair.chain),
            private_key: inline(pair.key.pem()),
        };
        let secret = Secret { name: name.to_owned(), tls_certificate: Some(tls_certificate) };
        Self::new(name, version, SECRETS, &secret)
    }

    /// The endpoints that Envoy asks for by `name`.
    pub(super) fn endpoints(name: &str, version: u64, addresses: &BTreeSet<SocketAddr>) -> Self {
        let lb_endpoints = addresses.iter().map(|address| LbEndpoint {
            endpoint: Some(Endpoint {
                address: Some(Address {
                    socket_address: Some(SocketAddress {
                        address: address.ip().to_string(),
                        port_value: address.port().into(),
                    }),
                }),
            }),
        });
        let message = ClusterLoadAssignment {
            cluster_name: name.to_owned(),
            endpoints: vec![LocalityLbEndpoints { lb_endpoints: lb_endpoints.collect() }],
        };
        Self::new(name, version, ENDPOINTS, &message)
    }
}
