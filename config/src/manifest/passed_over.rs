//! Objects that are skipped because their kind is not read. Only their number, kind
//! and first position are recorded.

use std::collections::BTreeMap;

use crate::finding::Location;

/// The skipped objects by API version and kind. Both are empty for documents that
/// are not Kubernetes objects.
#[derive(Clone, Debug, Default)]
pub struct PassedOver(BTreeMap<(Box<str>, Box<str>), Group>);

/// Objects of one API version and kind.
#[derive(Clone, Debug)]
pub struct Group {
    /// The number of objects.
    pub number: usize,
    /// The position of the first one.
    pub first: Location,
}

impl PassedOver {
    /// The number of objects and documents.
    pub fn total(&self) -> usize {
        self.0.values().map(|group| group.number).sum()
    }

    /// The number of objects.
    pub(super) fn objects(&self) -> usize {
        self.iter().filter(|(_, kind, _)| !kind.is_empty()).map(|(.., it)| it.number).sum()
    }

    /// Each API version and kind, with its objects.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &Group)> {
        self.0.iter().map(|((api_version, kind), group)| (&**api_version, &**kind, group))
    }

    pub(super) fn add(&mut self, api_version: &str, kind: &str, at: impl FnOnce() -> Location) {
        let key = (api_version.into(), kind.into());
        self.0.entry(key).or_insert_with(|| Group { number: 0, first: at() }).number += 1;
    }

    pub(super) fn extend(&mut self, other: &Self) {
        for (key, Group { number, first }) in &other.0 {
            let group = self.0.entry(key.clone());
            group.or_insert_with(|| Group { number: 0, first: first.clone() }).number += number;
        }
    }
}
