//! A value in a test file, with its path of fields.

use std::sync::Arc;

use crate::finding::{Code, Location};
use crate::manifest::{Cursor, Node, Position, Subject};
use crate::object_ref::ObjectRef;

/// A document of a test file.
pub(crate) struct TestFile {
    pub(crate) file: Arc<str>,
    pub(crate) root: Node,
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
pub(crate) type Field<'a> = Cursor<'a, TestFile>;

impl Field<'_> {
    pub(crate) fn location(&self) -> Location {
        self.subject().locate(self.at())
    }

    /// A whole number, which may be in quotes, as in protobuf's JSON.
    pub(crate) fn integer<T: TryFrom<i128>>(&self, wanted: &str) -> Option<T> {
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
pub(crate) struct Fields<'a>(Vec<(&'static str, Field<'a>)>);

impl<'a> Fields<'a> {
    /// The fields of a mapping that are not null. A field that is not among `known`, or
    /// a value that is not a mapping, becomes a finding.
    pub(crate) fn of(mapping: &'a Field<'a>, known: &'static [&'static str]) -> Self {
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

    pub(crate) fn get(&self, name: &str) -> Option<&Field<'a>> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, field)| field)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &Field<'a>)> {
        self.0.iter().map(|(name, field)| (*name, field))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The field `name`, which every test needs.
pub(crate) fn required<'f, 'a>(
    parent: &Field<'_>,
    fields: &'f Fields<'a>,
    name: &str,
) -> Option<&'f Field<'a>> {
    let field = fields.get(name);
    if field.is_none() && parent.node().as_map().is_some() {
        let message = format!("{name} is missing; every test needs one");
        parent.report(Code::FieldMissing, message);
    }
    field
}

/// The text of this value, which must have some.
pub(crate) fn not_empty<'a>(field: &Field<'a>) -> Option<&'a str> {
    let text = field.as_string()?;
    if text.is_empty() {
        field.report(Code::ValueEmpty, "is empty; set a value");
        return None;
    }
    Some(text)
}
