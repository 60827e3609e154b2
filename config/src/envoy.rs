//! The configuration of Envoy, as typed messages that libraries serialise: text of
//! manifests is never pasted into a configuration.
//!
//! [`EnvoyFiles`] is for an Envoy without a controller, the renderer for one with
//! it.

mod admin;
mod bootstrap;
mod certificates;
mod clusters;
mod core;
mod files;
mod filter;
mod listen_addr;
mod listeners;
mod manager;
mod message;
mod overload;
mod protocols;
mod render;
mod resource;
mod routes;
mod sanitising;
mod tls;

pub use admin::{Admin, AdminError, LoopbackAddr};
pub(crate) use certificates::{remove_other_certificates, write_certificates};
pub(crate) use files::prepare;
pub use files::{EnvoyFiles, Layout, Listening};
pub use listen_addr::ListenAddrError;
pub(crate) use listen_addr::parse_listen_addr;
pub(crate) use render::{Renderer, Target};
pub(crate) use resource::{Key, Kind, Named, Resource, Resources, Version};
pub(crate) use sanitising::removed;

/// The name under which the filter's configuration is discovered (ECDS).
pub const FILTER_NAME: &str = "ingress";

/// The name of the only route configuration (RDS).
pub const ROUTE_CONFIGURATION: &str = "ingress";

/// The listener for HTTP.
pub(crate) const HTTP_LISTENER: &str = "http";

/// The listener for HTTPS, where there is any certificate.
pub(crate) const HTTPS_LISTENER: &str = "https";

/// The listener that says whether requests can be sent to the others.
pub(crate) const PROBE_LISTENER: &str = "probe";

/// The statistics prefix of the HTTP connection manager.
pub const STAT_PREFIX: &str = "ingress_http";

/// How Envoy has its configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delivery {
    /// In files, with endpoints in the clusters and certificates in files of
    /// their own.
    Files,
    /// Over a stream from the controller beside it: what changes is told piece by
    /// piece, and Envoy says of each whether it takes it.
    Stream,
}
