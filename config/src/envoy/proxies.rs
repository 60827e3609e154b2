//! The PROXY protocol, with which load balancers report the address of the client, and the
//! load balancers that may use it.

use std::collections::BTreeMap;

use ipnet::IpNet;
use prost::{Message, Oneof};
use serde::Serialize;

use super::core::CidrRange;
use super::message::{Filter, Socket, typed};

/// `listener.proxy_protocol.v3.ProxyProtocol`: versions 1 and 2, which connections must
/// begin with.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct ProxyProtocol {}

/// `filters.network.rbac.v3.RBAC`.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct AddressFilter {
    #[prost(message, optional, tag = "1")]
    rules: Option<Rules>,
    #[prost(string, tag = "3")]
    stat_prefix: String,
}

/// `config.rbac.v3.RBAC`, which allows what a policy covers.
#[derive(Clone, PartialEq, Message, Serialize)]
struct Rules {
    #[prost(btree_map = "string, message", tag = "2")]
    policies: BTreeMap<String, Policy>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct Policy {
    #[prost(message, repeated, tag = "1")]
    permissions: Vec<Permission>,
    #[prost(message, repeated, tag = "2")]
    principals: Vec<Principal>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct Permission {
    #[prost(bool, optional, tag = "3")]
    any: Option<bool>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct Principal {
    #[prost(oneof = "Peer", tags = "10")]
    #[serde(flatten)]
    peer: Option<Peer>,
}

#[derive(Clone, PartialEq, Oneof, Serialize)]
#[serde(rename_all = "snake_case")]
enum Peer {
    /// The address of the connection, not the one that the protocol reports.
    #[prost(message, tag = "10")]
    DirectRemoteIp(CidrRange),
}

typed! {
    ProxyProtocol = "envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol",
    AddressFilter = "envoy.extensions.filters.network.rbac.v3.RBAC",
}

impl ProxyProtocol {
    pub(super) fn listener_filter() -> Socket<Self> {
        Socket::new("envoy.filters.listener.proxy_protocol", Self {})
    }
}

impl AddressFilter {
    /// Closes connections that do not come from these networks.
    pub(super) fn only_from(networks: &[IpNet]) -> Filter<Self> {
        let principal = |network: &IpNet| Principal {
            peer: Some(Peer::DirectRemoteIp(CidrRange::from(*network))),
        };
        let policy = Policy {
            permissions: vec![Permission { any: Some(true) }],
            principals: networks.iter().map(principal).collect(),
        };
        let policies = BTreeMap::from([("trusted-proxies".to_owned(), policy)]);
        let stat_prefix = "trusted_proxies".to_owned();
        let config = Self { rules: Some(Rules { policies }), stat_prefix };
        Filter::new("envoy.filters.network.rbac", config)
    }
}
