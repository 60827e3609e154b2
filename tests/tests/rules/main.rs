//! What each field of a RouteRule does: through a real Envoy with real
//! upstreams, and through the module offline, with the same outcome.

mod changes;
mod choosing;
mod cors;
mod faults;
mod limits;
mod mirror;
mod redirect;
mod rewrite;
mod setup;
mod versions;
mod websocket;
