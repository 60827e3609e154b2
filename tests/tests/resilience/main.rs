//! Failures around the controller must not affect clients: they send requests to a
//! real Envoy without pause while objects change, while the API or the controller
//! is unavailable, and while the controller ends. No request may fail.
//!
//! Each test has a namespace named after the test; tests that stop the API start
//! their own.

mod broken_answers;
mod changes;
mod ending;
mod endpoints;
mod handover;
mod load;
mod outages;
mod replicas;
mod restarts;
mod setup;
