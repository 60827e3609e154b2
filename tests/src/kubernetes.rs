//! A real Kubernetes API and the gateway on it: API server, kubectl, and the
//! processes of a gateway pod. Pods do not run here: the tests write the endpoints
//! of services.

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
