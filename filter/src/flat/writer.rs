//! Writes a table: the targets of offsets first, then the records that refer to
//! them.

use std::collections::BTreeMap;

use super::{At, Flat, FlatTable, List, Text};
use crate::error::LoadError;

pub(crate) struct Writer {
    bytes: Vec<u8>,
    /// Texts that several records refer to.
    shared: BTreeMap<Box<[u8]>, Text>,
    /// Set once an offset no longer fits into 32 bits.
    is_full: bool,
}

impl Writer {
    pub(crate) fn new() -> Self {
        Self { bytes: FlatTable::unsealed(), shared: BTreeMap::new(), is_full: false }
    }

    /// Adds a text.
    pub(crate) fn text(&mut self, text: impl AsRef<[u8]>) -> Text {
        let text = text.as_ref();
        let start = self.position();
        self.bytes.extend_from_slice(text);
        let len = self.offset(text.len());
        List::new(start, len)
    }

    /// Adds a text that several records use, and writes it only once.
    pub(crate) fn shared(&mut self, text: impl AsRef<[u8]>) -> Text {
        let text = text.as_ref();
        if let Some(known) = self.shared.get(text) {
            return *known;
        }
        let added = self.text(text);
        self.shared.insert(text.into(), added);
        added
    }

    /// Same as [`Self::shared`], for an optional text.
    pub(crate) fn shared_option(&mut self, text: Option<impl AsRef<[u8]>>) -> Option<Text> {
        text.map(|text| self.shared(text))
    }

    pub(crate) fn record<T: Flat>(&mut self, record: T) -> At<T> {
        let at = At::new(self.position());
        record.put(&mut self.bytes);
        at
    }

    pub(crate) fn list<T: Flat>(&mut self, records: &[T]) -> List<T> {
        let start = self.position();
        self.bytes.reserve(records.len().saturating_mul(T::SIZE));
        for record in records {
            record.put(&mut self.bytes);
        }
        let len = self.offset(records.len());
        List::new(start, len)
    }

    /// Completes the table with its root record.
    pub(crate) fn finish<T: Flat>(mut self, root: T) -> Result<FlatTable, LoadError> {
        let root = self.record(root);
        self.position();
        if self.is_full {
            return Err(LoadError::TooLarge);
        }
        Ok(FlatTable::seal(self.bytes, root.offset()))
    }

    fn position(&mut self) -> u32 {
        self.offset(self.bytes.len())
    }

    fn offset(&mut self, size: usize) -> u32 {
        u32::try_from(size).unwrap_or_else(|_| {
            self.is_full = true;
            u32::MAX
        })
    }
}
