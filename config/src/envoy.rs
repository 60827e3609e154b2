//! The configuration of Envoy, as typed messages that libraries serialise: text of
//! manifests is never inserted into a configuration.
//!
//! [`EnvoyFiles`] is for an Envoy without a controller, the renderer for one with a
//! controller.

mod access_log;
mod admin;
mod bootstrap;
mod certificates;
mod clusters;
mod core;
mod files;
mod filter;
mod grpc_web;
mod listen_addr;
mod listeners;
mod manager;
mod matcher;
mod message;
mod overload;
mod protocols;
mod proxies;
mod render;
pub(crate) mod request_stats;
mod resource;
mod routes;
mod sanitising;
mod tls;
mod tracing;
mod upstream_tls;

pub use admin::{Admin, AdminError, LoopbackAddr};
pub(crate) use certificates::{remove_other_certificates, write_certificates};
pub use files::{EnvoyFiles, Layout, Listening};
pub(crate) use files::{StaleCollector, check_collector, prepare};
pub use listen_addr::ListenAddrError;
pub(crate) use listen_addr::parse_listen_addr;
pub(crate) use render::{Renderer, Target};
pub(crate) use resource::{Key, Kind, Named, Resource, Resources, Version};
pub(crate) use sanitising::{added, removed};

/// The name of the filter's configuration in ECDS.
pub const FILTER_NAME: &str = "ingress";

/// The name of the only route configuration (RDS).
pub const ROUTE_CONFIGURATION: &str = "ingress";

/// The listener for HTTP.
pub(crate) const HTTP_LISTENER: &str = "http";

/// The listener for HTTPS, if there is any certificate.
pub(crate) const HTTPS_LISTENER: &str = "https";

/// The listener for readiness probes.
pub(crate) const PROBE_LISTENER: &str = "probe";

/// The statistics prefix of the HTTP connection manager.
pub const STAT_PREFIX: &str = "ingress_http";

/// How Envoy gets its configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delivery {
    /// In files, with endpoints in the clusters, and certificates in separate files.
    Files,
    /// Over a stream from the controller, with only the changed resources. Envoy accepts
    /// or rejects each of them.
    Stream,
}
