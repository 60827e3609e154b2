//! The route table of the ingress, the matcher built from it, and the decision
//! that it makes for a request. Compiled to `wasm32-wasip1`, this is
//! `ingress_filter.wasm`, the module that any unmodified Envoy can load; natively
//! it is a library that is independent of a Proxy-Wasm host.
//!
//! ```
//! use ingress_filter::{Router, Verdict};
//!
//! let router = Router::load(br#"{
//!     "version": 1,
//!     "backends": [{"name": "web", "default": {"forward": {"cluster": "web"}}}],
//!     "virtual_hosts": [{
//!         "hosts": ["foo.example.com"],
//!         "routes": [{"match": {"prefix": "/status"}, "backend": "web"}]
//!     }]
//! }"#)?;
//! let headers = [
//!     (":authority".to_owned(), b"foo.example.com:8080".to_vec()),
//!     (":path".to_owned(), b"/status/200?x=y".to_vec()),
//! ];
//! let Verdict::Forward(forward) = router.decide(&headers[..]).verdict else { panic!() };
//! assert_eq!(forward.cluster, "web");
//! # Ok::<_, ingress_filter::LoadError>(())
//! ```

mod action;
mod authority;
mod decision;
pub mod duration;
mod encoder;
mod error;
mod escapes;
mod flat;
mod headers;
#[cfg(target_family = "wasm")]
mod module;
pub mod names;
mod pattern;
mod ports;
mod random;
mod request;
mod router;
mod rules;
mod subnet;
pub mod table;
mod trie;
mod verdict;
mod view;

pub use authority::host as host_of;
pub use decision::Decision;
pub use encoder::Compile;
pub use error::LoadError;
pub use flat::FlatTable;
pub use headers::{HeaderEdit, is_cookie_name};
pub use pattern::{Pattern, PatternError};
pub use request::Request;
pub use router::{Matched, NoHost, Router};
#[cfg(not(target_family = "wasm"))]
pub use rules::Unmet;
pub use subnet::{Subnet, SubnetError};
pub use table::{DEFAULT_CERTIFICATE, RouteTable};
pub use verdict::{Forwarding, Outcome, Verdict};
