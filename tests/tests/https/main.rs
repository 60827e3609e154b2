//! HTTPS through a real Envoy, seen by clients that verify certificates.

mod certificates;
mod changes;
mod coalescing;
mod keys;
mod plaintext;
mod protocols;
mod refused;
mod scale;
mod setup;
