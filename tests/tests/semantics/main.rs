//! Which host and path an Ingress serves: each case in the offline module and
//! through a real Envoy, with the same result.

mod backends;
mod cases;
mod classes;
mod paths;
