//! What Envoy starts with: where the rest is, the admin port, and how much it
//! takes on.

use std::net::SocketAddr;
use std::path::Path;

use serde::Serialize;

use super::wire::{Address, ConfigSource, Extension, messages};

/// How many clients may be connected at once; further ones are refused, so that
/// a flood of connections cannot exhaust the memory.
const MAX_CONNECTIONS: u32 = 50_000;

/// `bootstrap.v3.Bootstrap`.
#[derive(Debug, Serialize)]
pub(super) struct Bootstrap {
    node: Node,
    admin: Admin,
    dynamic_resources: DynamicResources,
    overload_manager: OverloadManager,
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

#[derive(Debug, Serialize)]
struct DynamicResources {
    lds_config: ConfigSource,
    cds_config: ConfigSource,
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
    pub(super) fn new(admin: SocketAddr, listeners: &Path, clusters: &Path) -> Self {
        Self {
            node: Node { id: "ingress", cluster: "ingress" },
            admin: Admin { address: admin.into() },
            dynamic_resources: DynamicResources {
                lds_config: ConfigSource::file(listeners),
                cds_config: ConfigSource::file(clusters),
            },
            overload_manager: OverloadManager {
                resource_monitors: [Extension::new(
                    "envoy.resource_monitors.global_downstream_max_connections",
                    DownstreamConnections { max_active_downstream_connections: MAX_CONNECTIONS },
                )],
            },
        }
    }
}
