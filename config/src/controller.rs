//! Watches the Kubernetes API and drives the Envoy beside it.
#![expect(dead_code, reason = "what fills and runs it is to come")]

mod health;
mod lease;
mod metrics;
mod reports;
mod status;
