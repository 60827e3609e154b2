//! What goes on around the controller must not reach those it serves: clients
//! that ask without pause, of a real Envoy, while objects change, while the API
//! or the controller is away, and while it ends. No request may fail.
//!
//! Each test has a namespace, called like the test; those that stop the API have
//! one of their own.

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
