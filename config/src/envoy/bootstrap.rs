//! What Envoy starts with: where the rest is, the admin port, and how much it
//! takes on.

use std::net::SocketAddr;

use serde::Serialize;

use super::endpoint_server::{ApiConfigSource, ServerCluster};
use super::files::{Layout, Supply};
use super::wire::{Address, ConfigSource, Extension, messages};

/// How many clients may be connected at once; further ones are refused, so that
/// a flood of connections cannot exhaust the memory.
const MAX_CONNECTIONS: u32 = 50_000;

/// `bootstrap.v3.Bootstrap`.
#[derive(Debug, Serialize)]
pub(super) struct Bootstrap {
    node: Node,
    admin: Admin,
    #[serde(skip_serializing_if = "Option::is_none")]
    static_resources: Option<StaticResources>,
    dynamic_resources: DynamicResources,
    overload_manager: OverloadManager,
    deferred_stat_options: DeferredStatOptions,
}

#[derive(Debug, Serialize)]
struct Node {
    id: &'static str,
    cluster: &'static str,
}

#[derive(Debug, Serialize)]
struct Admin {
    address: Address,
}

#[expect(clippy::struct_field_names, reason = "these are Envoy's names")]
#[derive(Debug, Serialize)]
struct DynamicResources {
    lds_config: ConfigSource,
    cds_config: ConfigSource,
    #[serde(skip_serializing_if = "Option::is_none")]
    ads_config: Option<ApiConfigSource>,
}

#[derive(Debug, Serialize)]
struct StaticResources {
    clusters: [ServerCluster; 1],
}

/// Most statistics of a cluster come to be only once something happens at it;
/// with thousands of clusters, that is most of Envoy's memory.
#[derive(Debug, Serialize)]
struct DeferredStatOptions {
    enable_deferred_creation_stats: bool,
}

#[derive(Debug, Serialize)]
struct OverloadManager {
    resource_monitors: [Extension<DownstreamConnections>; 1],
}

#[derive(Debug, Serialize)]
struct DownstreamConnections {
    max_active_downstream_connections: u32,
}

messages! {
    DownstreamConnections = "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
}

impl Bootstrap {
    pub(super) fn new(admin: SocketAddr, layout: &Layout, source: Supply) -> Self {
        let is_served = source == Supply::Server;
        Self {
            node: Node { id: "ingress", cluster: "ingress" },
            admin: Admin { address: admin.into() },
            static_resources: is_served
                .then(|| StaticResources { clusters: [ServerCluster::new(&layout.socket())] }),
            dynamic_resources: DynamicResources {
                lds_config: ConfigSource::file(&layout.listeners()),
                cds_config: ConfigSource::file(&layout.clusters()),
                ads_config: is_served.then(ApiConfigSource::server),
            },
            overload_manager: OverloadManager {
                resource_monitors: [Extension::new(
                    "envoy.resource_monitors.global_downstream_max_connections",
                    DownstreamConnections { max_active_downstream_connections: MAX_CONNECTIONS },
                )],
            },
            deferred_stat_options: DeferredStatOptions { enable_deferred_creation_stats: true },
        }
    }
}
