//! The library of the command `ingressctl`. It compiles Kubernetes objects to a
//! route table and an Envoy configuration, and serves them.

pub mod budget;
mod cache;
mod certificates;
pub mod cli;
mod cluster;
mod commands;
pub mod compile;
mod controller;
mod digest;
pub mod envoy;
pub mod envoy_binary;
pub mod explain;
mod files;
pub mod finding;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod inspection;
mod isolation;
mod kinds;
pub mod manifest;
pub mod model;
pub mod module_image;
mod module_test;
mod monitoring;
pub mod object_ref;
mod objects;
pub mod oci;
mod off_worker;
pub mod offline_module;
mod rbac;
mod rollout;
pub mod route_test;
mod selection;
pub mod serve;
pub mod settings;
mod signals;
pub mod testing;
mod ui;
pub mod upstream;
pub mod version;
mod xds;

/// `ingress_filter.wasm`, the module that Envoy loads.
pub const MODULE: &[u8] = include_bytes!(env!("INGRESS_FILTER_WASM"));
