//! The test harness of the whole system: a running `ingressctl serve`, upstreams
//! that report requests, clients at the byte level, and the module offline.
//!
//! All processes listen on their own ports and end with the test, so tests can run
//! in parallel.

mod access_log;
mod admin;
pub mod bench;
mod browser;
mod client;
mod echo;
mod edge;
pub mod fuzz;
mod h2;
mod helm;
mod httpbin;
mod kubernetes;
mod made;
mod meanwhile;
mod module_envoy;
pub mod naive;
mod name_server;
mod offline;
mod otlp;
mod own_envoy;
mod plugin;
mod process;
mod prometheus;
mod python;
pub mod random;
mod raw_server;
mod server;
mod serving;
mod tls;
mod tls_front;
mod tools;
mod upstream;
mod websocket;

pub use access_log::AccessLog;
pub use admin::Admin;
pub use browser::{Browser, Key};
pub use client::{Answer, KeepAlive, ask, get, raw};
pub use echo::{Echo, Echoed};
pub use edge::{Edge, wait_until};
pub use h2::{h2_flood, h2_request, h2_request_with_trailers};
pub use helm::helm;
pub use httpbin::HttpBin;
pub use kubernetes::{
    ApiProxy, ApiServer, Asked, Gateway, Kubectl, Namespace, Service, Verdict, Writer, hostile,
    ingresses, machine_ip,
};
pub use made::say;
pub use meanwhile::meanwhile;
pub use module_envoy::{foreign_modules, loads_in_envoy, module_envoy};
pub use name_server::NameServer;
pub use offline::Offline;
pub use otlp::{Collector, Span};
pub use own_envoy::{OwnEnvoy, compile, compiled, compiled_with, edit_json, validate};
pub use plugin::configuration;
pub use process::Process;
pub use prometheus::{Prometheus, promtool};
pub use python::{python, python_packages};
pub use raw_server::{answering, listen, read_head};
pub use server::Server;
pub use serving::Serving;
pub use tls::{Authority, Issued, TlsClient, TlsConnection, refuses_tls_1_1};
pub use tls_front::{Handshake, TlsFront};
pub use tools::{
    envoy, files_below, free_port, ingressctl, installed, port_below_ephemeral, systemd_analyze,
    tool, workspace,
};
pub use upstream::{Received, Upstream, is_added_by_envoy};
pub use websocket::{EchoServer, upgrade};
