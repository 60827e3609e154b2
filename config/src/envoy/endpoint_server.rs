//! The server that Envoy has endpoints from, as Envoy is told of it.

use std::path::Path;

use serde::Serialize;

use super::clusters::ProtocolOptions;

/// The cluster of the server that Envoy has endpoints from.
const SERVER: &str = "ingress_endpoints";

/// `cluster.v3.Cluster` of the server.
#[derive(Debug, Serialize)]
pub(super) struct ServerCluster {
    name: &'static str,
    load_assignment: PipeAssignment,
    typed_extension_protocol_options: ProtocolOptions,
}

#[derive(Debug, Serialize)]
struct PipeAssignment {
    cluster_name: &'static str,
    endpoints: [PipeEndpoints; 1],
}

#[derive(Debug, Serialize)]
struct PipeEndpoints {
    lb_endpoints: [PipeEndpoint; 1],
}

#[derive(Debug, Serialize)]
struct PipeEndpoint {
    endpoint: PipeAt,
}

#[derive(Debug, Serialize)]
struct PipeAt {
    address: PipeAddress,
}

#[derive(Debug, Serialize)]
struct PipeAddress {
    pipe: Pipe,
}

#[derive(Debug, Serialize)]
struct Pipe {
    path: String,
}

/// `core.v3.ApiConfigSource`.
#[derive(Debug, Serialize)]
pub(super) struct ApiConfigSource {
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

impl ServerCluster {
    pub(super) fn new(socket: &Path) -> Self {
        let address = PipeAddress { pipe: Pipe { path: socket.display().to_string() } };
        Self {
            name: SERVER,
            load_assignment: PipeAssignment {
                cluster_name: SERVER,
                endpoints: [PipeEndpoints {
                    lb_endpoints: [PipeEndpoint { endpoint: PipeAt { address } }],
                }],
            },
            typed_extension_protocol_options: ProtocolOptions::http2(),
        }
    }
}

impl ApiConfigSource {
    /// Only what has changed goes over the wire, and a server that comes back
    /// is found soon.
    pub(super) fn server() -> Self {
        Self {
            api_type: "DELTA_GRPC",
            transport_api_version: "V3",
            grpc_services: [GrpcService {
                envoy_grpc: EnvoyGrpc {
                    cluster_name: SERVER,
                    retry_policy: RetryPolicy {
                        retry_back_off: BackOff { base_interval: "0.1s", max_interval: "1s" },
                    },
                },
            }],
        }
    }
}
