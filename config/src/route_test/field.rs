//! A value in a test file, with its path of fields.

use std::sync::Arc;

use crate::finding::Location;
use crate::manifest::{Cursor, Node, Position, Subject};
use crate::object_ref::ObjectRef;

/// A document of a test file.
pub(super) struct TestFile {
    pub(super) file: Arc<str>,
    pub(super) root: Node,
}

impl TestFile {
    fn locate(&self, Position { line, column }: Position) -> Location {
        Location { file: Arc::clone(&self.file), line, column }
    }
}

impl Subject for TestFile {
    fn root(&self) -> &Node {
        &self.root
    }

    fn location(&self, at: Position) -> Option<Location> {
        Some(self.locate(at))
    }

    fn reference(&self) -> Option<ObjectRef> {
        None
    }
}

/// A value, with its path.
pub(super) type Field<'a> = Cursor<'a, TestFile>;

impl Field<'_> {
    pub(super) fn location(&self) -> Location {
        self.subject().locate(self.at())
    }

    /// A whole number, which may be in quotes, as in protobuf's JSON.
    pub(super) fn integer<T: TryFrom<i128>>(&self, wanted: &str) -> Option<T> {
        let in_quotes = || self.node().as_str()?.parse().ok();
        let number: Option<i128> = self.node().as_i128().or_else(in_quotes);
        let number = number.and_then(|number| T::try_from(number).ok());
        if number.is_none() {
            self.wrong_kind(wanted);
        }
        number
    }
}

/// The fields of a mapping in their order, by their canonical names.
pub(super) struct Fields<'a>(Vec<(&'static str, Field<'a>)>);

impl<'a> Fields<'a> {
    /// The fields of a mapping that are not null. A field that is not among `known`, or
    /// a value that is not a mapping, becomes a finding.
    pub(super) fn of(mapping: &'a Field<'a>, known: &'static [&'static str]) -> Self {
        mapping.expect_mapping();
        mapping.only(known);
        let mut fields: Vec<(&'static str, Field<'a>)> = Vec::new();
        for (key, field) in mapping.fields().filter(|(_, field)| !field.node().is_null()) {
            let name = known.iter().find(|name| mapping.spells(key, name));
            let name = name.filter(|name| fields.iter().all(|(other, _)| other != *name));
            fields.extend(name.map(|name| (*name, field)));
        }
        Self(fields)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Field<'a>> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, field)| field)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &Field<'a>)> {
        self.0.iter().map(|(name, field)| (*name, field))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
