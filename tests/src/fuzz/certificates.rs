//! A chain and its key, in one text.

use std::time::{Duration, SystemTime};

pub use ingressctl::fuzzing::ServedCertificate;
use ingressctl::fuzzing::served_certificate;

/// The certificate that Envoy would get; `None` if it gets none.
pub fn certificates(input: &[u8]) -> Option<ServedCertificate> {
    // Each reader takes its own blocks from the text, as Envoy does.
    served_certificate(input, input, today())
}

/// A day on which the certificates of the corpus are valid, always the same.
fn today() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 21_915)
}
