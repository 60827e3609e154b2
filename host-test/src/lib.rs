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
//! # Properties
//!
//! A module can read the properties that the test sets ([`Exchange::set_property`],
//! [`Options::property`]), those that it has set itself, and Envoy's attributes
//! `request.headers.NAME` and `response.headers.NAME`: all values of a header joined with `,`.
//!
//! # Limitations
//!
//! * No callouts: `proxy_http_call` and `proxy_grpc_*` return [`Status::Unimplemented`].
//! * No foreign functions: `proxy_call_foreign_function` returns [`Status::NotFound`].
//! * No TCP streams: the callbacks for downstream and upstream data are not run.
//! * No proxy around the module: headers are not validated, no router runs, time does not advance
//!   by itself (the caller uses [`Plugin::tick`] and [`Plugin::advance`]), and
//!   `proxy_on_queue_ready` is not run.
//!
//! Where Envoy would hide a mistake of the module, this host reports it: an allocator without
//! memory is an error, malformed pairs are rejected, and a module that has failed is not run again.

mod abi;
mod error;
mod exchange;
mod headers;
mod host_calls;
mod module;
mod options;
mod plugin;
mod record;
mod state;
mod vm;
mod wasi;

pub use abi::{BufferType, LogLevel, MapType, MetricType, Status, StreamType};
pub use error::Error;
pub use exchange::{Exchange, Outcome};
pub use headers::HeaderMap;
pub use module::{Import, Module, Optimization};
pub use options::Options;
pub use plugin::Plugin;
pub use record::{
    Activity, CallbackRun, ExchangeRecord, HostCall, LocalReply, LogLine, Message, Metric,
};
