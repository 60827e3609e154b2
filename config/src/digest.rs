//! Names derived from a digest of content.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// The bytes of a digest that a name contains.
const NAME_BYTES: usize = 6;

/// `bytes` in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A name for `bytes`.
pub(crate) fn digest_of(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes)[..NAME_BYTES])
}
