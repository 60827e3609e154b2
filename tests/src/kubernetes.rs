//! A real Kubernetes API, and the ingress on it: API server, kubectl, and what
//! a pod of the gateway runs. Nothing here runs pods: services get their
//! endpoints from the tests.

mod api_server;
mod assets;
mod gateway;
pub mod hostile;
pub mod ingresses;
mod kubectl;
mod namespace;
mod objects;
mod proxy;
mod writer;

pub use api_server::ApiServer;
pub use gateway::Gateway;
pub use kubectl::Kubectl;
pub use namespace::Namespace;
pub use objects::{Service, machine_ip};
pub use proxy::{ApiProxy, Asked, Verdict};
pub use writer::Writer;
