//! What the tests of the whole need: a running `ingressctl serve`, upstreams
//! that tell what reached them, clients down to the byte, and the module
//! offline.
//!
//! Everything listens on ports of its own and ends with the test, so tests run
//! side by side.

mod client;
mod offline;
mod serving;
mod tools;
mod upstream;

pub use client::{Answer, get, raw};
pub use offline::Offline;
pub use serving::Serving;
pub use tools::{envoy, free_port, ingressctl, require_tool, workspace};
pub use upstream::Upstream;
