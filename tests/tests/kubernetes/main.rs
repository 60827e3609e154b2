//! The controller against a real Kubernetes API, with kubectl as its client:
//! what is created is served, by an Envoy beside the controller.
//!
//! The tests share one API server, each with a namespace of its own, called like
//! the test. Those that need another kind of server, or stop it, have their own.

mod deployment;
