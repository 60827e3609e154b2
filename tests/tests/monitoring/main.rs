//! What operators watch: `/metrics`, a real Prometheus that reads it, the alerts and the
//! dashboard.

mod access_log;
mod cost;
mod dashboard;
mod endpoint;
mod plot;
mod rig;
mod rules;
mod tracing;
