//! The controller on a real Kubernetes API, with kubectl as its client: an Envoy
//! next to the controller serves the created objects.
//!
//! The tests share one API server, each with a namespace named after the test.
//! Tests that need a different server, or stop it, start their own.

mod acme;
mod api_versions;
mod chart;
mod classes;
mod definition;
mod deployment;
mod envoy;
mod live;
mod page;
mod pod;
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
