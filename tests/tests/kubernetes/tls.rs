//! HTTPS with Secrets of the API: which certificate clients get while Secrets are
//! created, changed and deleted, which Secrets are read, and who can see the keys.

mod changes;
mod keys;
mod refused;
mod restarts;
mod rights;
mod site;
mod trouble;
mod upstreams;
