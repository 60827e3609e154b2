//! The configuration of Envoy, as typed values that a library serialises: no
//! text of a manifest is ever pasted into a configuration.
//!
//! Only the fields that the ingress sets are here, under the names of Envoy's
//! v3 API.

mod bootstrap;
mod certificates;
mod clusters;
mod endpoint_server;
mod extension;
mod files;
mod listeners;
mod routes;
mod tls;
mod wire;
mod writing;

pub(crate) use certificates::{
    KeyPairs, read_secrets, remove_other_certificates, write_certificates, write_secrets,
};
pub(crate) use clusters::cluster_of_endpoints;
pub use clusters::{Cluster, Discovery, Protocol};
pub use files::{Endpoints, EnvoyFiles, Layout, LeftCluster, Listening, Resource, Supply};
pub use writing::write_atomically;
pub(crate) use writing::{remove_unfinished, write_if_changed};

/// The name under which the filter's configuration is discovered (ECDS).
pub const FILTER_NAME: &str = "ingress";

/// The name of the only route configuration (RDS).
pub const ROUTE_CONFIGURATION: &str = "ingress";

/// The listener for HTTP.
pub(crate) const HTTP_LISTENER: &str = "http";

/// The listener for HTTPS, where there is any certificate.
pub(crate) const HTTPS_LISTENER: &str = "https";

/// The statistics prefix of the HTTP connection manager.
pub const STAT_PREFIX: &str = "ingress_http";
