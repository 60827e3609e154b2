//! Which host and path an Ingress serves: each case through the module offline
//! and through a real Envoy, with the same outcome.

mod backends;
mod cases;
mod classes;
mod paths;
