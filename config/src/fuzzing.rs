//! Access to internal modules for fuzz targets.

use std::sync::Arc;
use std::time::SystemTime;

use crate::certificates;
pub use crate::xds::{Ask, Discovery, Step};

/// The certificate that Envoy would get.
pub struct ServedCertificate {
    /// The chain in PEM, the server certificate first.
    pub chain: String,
    /// Its key in PEM.
    pub key: String,
    /// The problems that do not prevent its use.
    pub warnings: Vec<String>,
}

/// Checks a chain and its key in PEM; `None` if Envoy would not get them.
pub fn served_certificate(chain: &[u8], key: &[u8], now: SystemTime) -> Option<ServedCertificate> {
    let checked = certificates::read(chain, key, now);
    let pair = Arc::clone(&checked.certificate?.pair);
    Some(ServedCertificate {
        chain: pair.chain.clone(),
        key: pair.key.pem().to_owned(),
        warnings: checked.problems.iter().map(ToString::to_string).collect(),
    })
}
