//! The flat form of a route table. `config` encodes the JSON form into it, and the
//! module matches requests against its bytes in place.
//!
//! ```text
//! 0    magic    8 bytes: the word INGRESS and the version of this form
//! 8    digest   8 bytes: XXH64, seed 0, of all bytes after it
//! 16   root     4 bytes: the offset of the record `Root`
//! 20   …        records, lists of records, strings, in any order
//! ```
//!
//! Numbers are little-endian. A record is the sequence of its fields, each of a fixed
//! size. Data of variable size is elsewhere; its field has an offset from the start of
//! the table and a count. Nothing is aligned. Offset 0 means no value.
//!
//! The digest is checked once, when a table is loaded, so a damaged table is rejected.
//! Apart from that, the bytes are not trusted: every read checks its bounds, so no
//! bytes can make the module trap. If a part of the table that a request needs cannot
//! be read, the response is 503.
//!
//! ```
//! use ingress_filter::{FlatTable, Router};
//!
//! let json = br#"{
//!     "version": 1,
//!     "backends": [{"name": "web", "default": {"forward": {"cluster": "web"}}}],
//!     "default_backend": {"backend": "web"}
//! }"#;
//! let flat = FlatTable::encode(&serde_json::from_slice(json)?)?;
//!
//! let received = FlatTable::parse(flat.bytes().to_vec())?;
//! assert_eq!(received.decode()?.backends[0].name, "web");
//! assert!(Router::from_flat(received)?.find(b"a.example", b"/").unwrap().is_some());
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

mod layout;
mod writer;

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use twox_hash::XxHash64;

use crate::error::LoadError;
pub(crate) use layout::{At, Bytes, Flat, List, Records, Text, record, tags};
pub(crate) use writer::Writer;

/// The first bytes of a table; the last one is the version of the form.
const MAGIC: &[u8; 8] = b"INGRESS\x04";

/// The offset from which the digest covers the bytes.
const SEALED_FROM: usize = 16;

/// The position of the root's offset.
const ROOT_AT: At<u32> = At::new(16);

/// A route table in the flat form, with a matching digest.
#[derive(Clone, PartialEq, Eq)]
pub struct FlatTable(Vec<u8>);

impl FlatTable {
    /// Whether the bytes are a table in the flat form of any version.
    pub(crate) fn is_flat(bytes: &[u8]) -> bool {
        bytes.starts_with(b"INGRESS")
    }

    /// The version of the form that this module reads and writes, and no other.
    pub const VERSION: u8 = MAGIC[7];

    /// Reads the bytes of an encoded table.
    ///
    /// # Errors
    /// If the version is not supported, or the digest does not match.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, LoadError> {
        if !bytes.starts_with(MAGIC) {
            return Err(LoadError::FlatVersion);
        }
        let table = Self(bytes);
        if table.stored_digest() != Some(table.computed_digest()) {
            return Err(LoadError::Damaged);
        }
        Ok(table)
    }

    /// The flat form in JSON, for configurations that have to be JSON.
    ///
    /// ```
    /// use ingress_filter::{FlatTable, RouteTable};
    ///
    /// let table = FlatTable::encode(&RouteTable::empty())?;
    /// assert_eq!(FlatTable::read(table.embedded().into_bytes())?, table);
    /// # Ok::<_, ingress_filter::LoadError>(())
    /// ```
    pub fn embedded(&self) -> String {
        format!("{{\"flat\": \"{}\"}}", BASE64.encode(&self.0))
    }

    /// Reads the output of [`embedded`](Self::embedded); `None` if the bytes are
    /// something else.
    pub(crate) fn parse_embedded(json: &[u8]) -> Option<Result<Self, LoadError>> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Embedded<'j> {
            flat: Cow<'j, str>,
        }
        let Embedded { flat } = serde_json::from_slice(json).ok()?;
        let bytes = BASE64.decode(flat.as_bytes()).map_err(|_| LoadError::Damaged);
        Some(bytes.and_then(Self::parse))
    }

    /// The encoded table.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The encoded table, without copying it.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// The digest of the content. Equal tables have equal digests.
    pub fn digest(&self) -> u64 {
        self.stored_digest().unwrap_or_default()
    }

    /// An empty table, to be passed to `seal` once it has content.
    fn unsealed() -> Vec<u8> {
        [&MAGIC[..], &[0; 12]].concat()
    }

    /// Writes the root's offset and then the digest.
    fn seal(mut bytes: Vec<u8>, root: u32) -> Self {
        if let Some(place) = bytes.get_mut(16..20) {
            place.copy_from_slice(&root.to_le_bytes());
        }
        let mut table = Self(bytes);
        let digest = table.computed_digest();
        if let Some(place) = table.0.get_mut(8..SEALED_FROM) {
            place.copy_from_slice(&digest.to_le_bytes());
        }
        table
    }

    /// The root record, which refers to all others.
    pub(crate) fn root<T: Flat>(&self) -> Result<T, LoadError> {
        let bytes = self.reader();
        let root = bytes.at(ROOT_AT)?;
        Ok(bytes.at(At::new(root))?)
    }

    pub(crate) fn reader(&self) -> Bytes<'_> {
        Bytes::new(&self.0)
    }

    fn stored_digest(&self) -> Option<u64> {
        self.reader().at(At::new(8)).ok()
    }

    fn computed_digest(&self) -> u64 {
        XxHash64::oneshot(0, self.0.get(SEALED_FROM..).unwrap_or_default())
    }
}

impl std::fmt::Debug for FlatTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FlatTable({:016x}, {} bytes)", self.digest(), self.0.len())
    }
}
