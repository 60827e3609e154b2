//! The controller against a real Kubernetes API, with kubectl as its client:
//! what is created is served, by an Envoy beside the controller.
//!
//! The tests share one API server, each with a namespace of its own, called like
//! the test. Those that need another kind of server, or stop it, have their own.

mod api_versions;
mod classes;
mod definition;
mod deployment;
mod envoy;
mod live;
mod page;
mod refused;
mod resilience;
mod rights;
mod routes;
mod scale;
mod setup;
mod shared_hosts;
mod status;
mod tls;
mod upstreams;
