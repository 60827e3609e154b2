//! The effect of each field of a RouteRule: on a real Envoy with real upstreams,
//! and in the offline module, with the same result.

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
