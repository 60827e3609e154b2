//! A thin Proxy-Wasm host: loads a module, drives HTTP exchanges through it, and records what it
//! did.
//!
//! It runs any module of Proxy-Wasm ABI 0.2.0 or 0.2.1, from Rust, C++, Go or text, and behaves
//! like Envoy. It has no network, no threads and no global state, so tests can run in parallel
//! and have the same result on every machine.
//!
//! # A first test
//!
//! Compile a [`Module`] once, start a [`Plugin`] from it, and run an exchange:
//!
//! ```
//! use proxy_wasm_test::{Message, Module, Plugin};
//!
//! // Answers every request with "418 I'm a teapot".
//! let wasm = wat::parse_str(
//!     r#"(module
//!         (import "env" "proxy_send_local_response"
//!             (func $reply (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
//!         (memory (export "memory") 1)
//!         (data (i32.const 16) "short and stout")
//!         (func (export "proxy_abi_version_0_2_1"))
//!         (func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 1024)
//!         (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
//!             (drop (call $reply
//!                 (i32.const 418) (i32.const 0) (i32.const 0) (i32.const 16) (i32.const 15)
//!                 (i32.const 0) (i32.const 0) (i32.const -1)))
//!             i32.const 1))"#,
//! )?;
//! let module = Module::new(wasm)?;
//! let plugin = Plugin::new(&module)?;
//! assert!(plugin.configure("")?);
//!
//! let record = plugin.run([(":method", "GET"), (":path", "/")], [(":status", "200")])?;
//!
//! let reply = record.local_reply.expect("a local reply");
//! assert_eq!((reply.status, &reply.body[..]), (418, &b"short and stout"[..]));
//! assert_eq!(record.response.headers.get_str(":status"), Some("418"));
//! assert_eq!(record.activity.count("proxy_send_local_response"), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Step by step
//!
//! [`Plugin::exchange`] begins an exchange that the test drives itself, piece by piece. Each step
//! returns its [`Outcome`]. Several exchanges can be open at a time, and the plugin can be ticked
//! or get a new configuration in between:
//!
//! ```
//! # use proxy_wasm_test::{Module, Outcome, Plugin};
//! # let module = Module::new(wat::parse_str(r#"(module
//! #     (memory (export "memory") 1)
//! #     (func (export "proxy_abi_version_0_2_1"))
//! #     (func (export "malloc") (param i32) (result i32) i32.const 1024))"#)?)?;
//! # let plugin = Plugin::new(&module)?;
//! let mut exchange = plugin.exchange()?;
//! exchange.set_property(&["source", "address"], "192.0.2.1:4711");
//! assert_eq!(exchange.request_headers([(":path", "/upload")], false)?, Outcome::Continue);
//! assert_eq!(exchange.request_body("first half, ", false)?, Outcome::Continue);
//! plugin.reload("another configuration")?;
//! assert_eq!(exchange.request_body("second half", true)?, Outcome::Continue);
//! assert_eq!(exchange.response_headers([(":status", "200")], true)?, Outcome::Continue);
//! let record = exchange.finish()?;
//! assert_eq!(record.request.body, b"first half, second half");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is recorded
//!
//! [`ExchangeRecord`] has the messages that the upstream and the client get, and an [`Activity`]:
//! the log, every host call in order, and the fuel that each callback used. Fuel counts
//! instructions and does not depend on the machine, so a test can check a budget for a module.
//! State that exchanges share is available from the plugin: [`Plugin::metrics`],
//! [`Plugin::tick_period`], [`Plugin::memory_size`].
//!
//! # Callouts
//!
//! HTTP and gRPC calls of a module wait until the test answers them, delays them or lets them fail:
//! [`Plugin::http_calls`], [`Plugin::answer`]; or a handler does so at once
//! ([`Options::answer_calls`]). Their timeouts expire when the test advances the clock.
//!
//! # Time
//!
//! The clock stands still, or runs with that of the machine, and the test can advance it
//! ([`Plugin::advance`]). Timers (`proxy_on_tick`) expire only then.
//!
//! # Properties
//!
//! A module can read Envoy's attributes, as far as they follow from the exchange, the properties
//! that the test sets ([`Exchange::set_property`], [`Options::property`]), and those that it has set
//! itself.
//!
//! # What it does not do
//!
//! There is no proxy around the module: headers are not validated, no router and no other filter
//! runs. Where Envoy crashes, or hides a mistake of the module, this host reports an error.

/// The example of the README.
#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;

mod abi;
mod answers;
mod attributes;
mod callouts;
mod connection;
mod error;
mod exchange;
mod headers;
mod host_calls;
mod http;
mod imports;
mod joined;
mod metrics;
mod module;
mod options;
mod plugin;
mod record;
mod shape;
mod shared;
mod state;
mod stream;
mod tcp;
mod vm;
mod wasi;

pub use abi::{
    AbiVersion, BufferType, LogLevel, MapType, MetricType, PeerType, Status, StreamType,
};
pub use callouts::{Answer, GrpcCall, HttpCall};
pub use connection::Connection;
pub use error::{Error, ErrorKind};
pub use exchange::{Exchange, Outcome};
pub use headers::HeaderMap;
pub use imports::is_provided;
pub use module::{Import, Module, Optimization};
pub use options::Options;
pub use plugin::Plugin;
pub use record::{
    Activity, CallbackRun, ConnectionRecord, ExchangeRecord, HostCall, LocalReply, LogLine,
    Message, Metric, Sent,
};
pub use shared::Host;
