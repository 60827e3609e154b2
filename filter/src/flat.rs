//! The flat form of a route table: what `config` makes of the JSON form for the
//! module, which looks requests up in its bytes as they are.
//!
//! ```text
//! 0    magic    8 bytes: the word INGRESS and the version of this form
//! 8    digest   8 bytes: XXH64, seed 0, of all that comes after
//! 16   root     4 bytes: where the record `RouteTable` begins
//! 20   …        records, lists of records, strings, in any order
//! ```
//!
//! Numbers are little-endian. A record is its fields in a row, each of a fixed
//! size; what varies in size stands elsewhere, as an offset from the start of
//! the table and a count. Nothing is aligned. Offset 0 says that there is none.
//!
//! The digest is checked once, when a table is taken in, so a table that was
//! damaged on its way is refused. Beyond that nothing is taken on trust: every
//! read checks its bounds, so no bytes of any origin can make the module
//! trap. A request whose part of the table cannot be read is answered with 503.
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

/// What a table begins with; the last byte is the version of the form.
const MAGIC: &[u8; 8] = b"INGRESS\x02";

/// What comes before the digest's part.
const SEALED_FROM: usize = 16;

/// Where the offset of the root stands.
const ROOT_AT: At<u32> = At::new(16);

/// A route table in its flat form, whole as it was made.
#[derive(Clone, PartialEq, Eq)]
pub struct FlatTable(Vec<u8>);

impl FlatTable {
    /// Whether bytes are meant to be a table in this form, of any version.
    pub(crate) fn is_flat(bytes: &[u8]) -> bool {
        bytes.starts_with(b"INGRESS")
    }

    /// A table that was encoded before, perhaps elsewhere.
    ///
    /// # Errors
    /// Where it is of another version, or not as it was made.
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

    /// The flat form within JSON, for where a configuration has to be that.
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

    /// The table in [what `embedded` writes](Self::embedded); `None` where the
    /// bytes are something else.
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

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, to keep.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// The digest of the content: the same for the same table.
    pub fn digest(&self) -> u64 {
        self.stored_digest().unwrap_or_default()
    }

    /// A table without content, to be sealed once it has some.
    fn unsealed() -> Vec<u8> {
        [&MAGIC[..], &[0; 12]].concat()
    }

    /// Has the root stand at `root`, and everything be whole from now on.
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

    /// The record that everything else is found from.
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
