//! The bootstrap configuration: the sources of all other configuration, the admin
//! interface, and limits. It is only written to a file, so it has no protobuf
//! encoding.

use serde::Serialize;

use super::Delivery;
use super::admin;
use super::clusters::ClusterMessage;
use super::core::{Address, ConfigSource};
use super::files::Layout;
use super::overload::OverloadManager;
use super::tracing::COLLECTOR;
use crate::settings::{Memory, Tracing};

/// The cluster of the controller, the xDS server.
const CONTROLLER: &str = "ingress_controller";

/// `bootstrap.v3.Bootstrap`.
#[derive(Debug, Serialize)]
pub(super) struct Bootstrap {
    node: Node,
    admin: Admin,
    #[serde(skip_serializing_if = "Option::is_none")]
    static_resources: Option<StaticResources>,
    dynamic_resources: DynamicResources,
    layered_runtime: LayeredRuntime,
    overload_manager: OverloadManager,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_allocator_manager: Option<MemoryAllocatorManager>,
    deferred_stat_options: DeferredStatOptions,
    stats_eviction_interval: &'static str,
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
    clusters: Vec<ClusterMessage>,
}

/// `core.v3.ApiConfigSource`.
#[derive(Debug, Serialize)]
struct ApiConfigSource {
    api_type: &'static str,
    transport_api_version: &'static str,
    grpc_services: [GrpcService; 1],
}

#[derive(Debug, Serialize)]
struct GrpcService {
    envoy_grpc: EnvoyGrpc,
}

#[derive(Debug, Serialize)]
struct EnvoyGrpc {
    cluster_name: &'static str,
    retry_policy: RetryPolicy,
}

#[derive(Debug, Serialize)]
struct RetryPolicy {
    retry_back_off: BackOff,
}

#[derive(Debug, Serialize)]
struct BackOff {
    base_interval: &'static str,
    max_interval: &'static str,
}

#[derive(Debug, Serialize)]
struct LayeredRuntime {
    layers: [RuntimeLayer; 1],
}

#[derive(Debug, Serialize)]
struct RuntimeLayer {
    name: &'static str,
    static_layer: RuntimeFlags,
}

#[derive(Debug, Serialize)]
struct RuntimeFlags {
    #[serde(rename = "envoy.reloadable_features.grpc_timeout_returns_deadline_exceeded")]
    grpc_timeout_returns_deadline_exceeded: bool,
}

impl LayeredRuntime {
    /// By default, gRPC calls that time out get UNAVAILABLE, which clients retry.
    fn new() -> Self {
        let static_layer = RuntimeFlags { grpc_timeout_returns_deadline_exceeded: true };
        Self { layers: [RuntimeLayer { name: "ingress", static_layer }] }
    }
}

/// Creates most statistics of a cluster only when they are first used; with
/// thousands of clusters, they would use most of Envoy's memory.
#[derive(Debug, Serialize)]
struct DeferredStatOptions {
    enable_deferred_creation_stats: bool,
}

/// Returns free memory to the system.
#[derive(Debug, Serialize)]
struct MemoryAllocatorManager {
    bytes_to_release: u64,
    memory_release_interval: &'static str,
}

impl MemoryAllocatorManager {
    fn releasing() -> Self {
        Self { bytes_to_release: 32 << 20, memory_release_interval: "1s" }
    }
}

impl Bootstrap {
    pub(super) fn new(
        admin: admin::Admin,
        memory: Option<Memory>,
        layout: &Layout,
        (delivery, tracing): (Delivery, Option<&Tracing>),
    ) -> Self {
        let (lds_config, cds_config) = match delivery {
            Delivery::Stream => (ConfigSource::stream(), ConfigSource::stream()),
            Delivery::Files => {
                (ConfigSource::file(&layout.listeners()), ConfigSource::file(&layout.clusters()))
            }
        };
        let is_stream = delivery == Delivery::Stream;
        let controller = is_stream
            .then(|| ClusterMessage::of_socket(CONTROLLER, Address::pipe(&layout.socket())));
        let clusters: Vec<_> = controller.into_iter().chain(tracing.map(collector)).collect();
        Self {
            node: Node { id: "ingress", cluster: "ingress" },
            admin: Admin { address: Address::of_admin(admin, layout) },
            static_resources: (!clusters.is_empty()).then_some(StaticResources { clusters }),
            dynamic_resources: DynamicResources {
                lds_config,
                cds_config,
                ads_config: is_stream.then(ApiConfigSource::controller),
            },
            layered_runtime: LayeredRuntime::new(),
            overload_manager: OverloadManager::new(memory),
            memory_allocator_manager: memory.map(|_| MemoryAllocatorManager::releasing()),
            deferred_stat_options: DeferredStatOptions { enable_deferred_creation_stats: true },
            // Statistics of deleted Ingresses would use up the limit. Only those of requests
            // are removed, once they have not changed in such an interval.
            stats_eviction_interval: "21600s",
        }
    }
}

/// The cluster of the collector of traces.
pub(super) fn collector(Tracing { collector, .. }: &Tracing) -> ClusterMessage {
    ClusterMessage::of_name(COLLECTOR, &collector.host, collector.port)
}

impl Address {
    fn of_admin(admin: admin::Admin, layout: &Layout) -> Self {
        match admin {
            admin::Admin::Loopback(address) => address.get().into(),
            admin::Admin::Socket => Self::pipe(&layout.admin_socket()).shared_with_group(),
        }
    }
}

impl ApiConfigSource {
    /// Incremental xDS, with a short reconnect interval.
    fn controller() -> Self {
        let retry_back_off = BackOff { base_interval: "0.1s", max_interval: "1s" };
        let retry_policy = RetryPolicy { retry_back_off };
        Self {
            api_type: "DELTA_GRPC",
            transport_api_version: "V3",
            grpc_services: [GrpcService {
                envoy_grpc: EnvoyGrpc { cluster_name: CONTROLLER, retry_policy },
            }],
        }
    }
}
