//! Hostile requests to a real Envoy with the configuration that `ingressctl`
//! writes.

mod headers;
mod loops;
mod matrix;
mod names;
mod requests;
mod setup;
