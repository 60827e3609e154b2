//! What fuzz targets need of the rooms that are nobody else's to use.

use std::sync::Arc;
use std::time::SystemTime;

use crate::certificates;
pub use crate::xds::{Ask, Discovery, Step};

/// A chain and its key in PEM, as Envoy would get them; `None` where it gets neither.
pub fn served_certificate(chain: &[u8], key: &[u8], now: SystemTime) -> Option<(String, String)> {
    let certificate = certificates::read(chain, key, now).certificate?;
    let pair = Arc::clone(&certificate.pair);
    Some((pair.chain.clone(), pair.key.pem().to_owned()))
}
