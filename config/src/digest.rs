//! Names for content: the same for the same content.

use std::fmt::Write as _;
use std::io;

use serde::Serialize;
use sha2::{Digest, Sha256};

/// As many bytes of a digest as a name has.
const NAME_BYTES: usize = 6;

/// `bytes` in hexadecimal, lower case.
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

/// A name for what `value` is in JSON.
///
/// # Errors
/// Where it cannot be written so.
pub(crate) fn digest_of_json(value: &impl Serialize) -> serde_json::Result<String> {
    // JSON comes in many small pieces, of which each would cost a call.
    let mut writer = io::BufWriter::new(HashWriter(Sha256::new()));
    serde_json::to_writer(&mut writer, value)?;
    let HashWriter(hasher) =
        writer.into_inner().map_err(|error| serde_json::Error::io(error.into_error()))?;
    Ok(hex(&hasher.finalize()[..NAME_BYTES]))
}

struct HashWriter(Sha256);

impl io::Write for HashWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
