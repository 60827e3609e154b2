//! A chain and its key, in one text.

use std::time::{Duration, SystemTime};

use ingressctl::fuzzing::served_certificate;

/// The chain and the key in PEM that Envoy would get; `None` where it gets neither.
pub fn certificates(input: &[u8]) -> Option<(String, String)> {
    // Each reader takes what is its, as Envoy does.
    served_certificate(input, input, today())
}

/// A day on which the certificates of the corpus are valid, always the same.
fn today() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 21_915)
}
