//! A value of a test file, and the path of fields that leads to it.

use std::cell::RefCell;
use std::sync::Arc;

use crate::finding::{Finding, Findings, Location};
use crate::manifest::{Node, Position};

/// Names at least so alike are taken for a slip of the pen.
const ALIKE: f64 = 0.8;

/// A file being read, and where its findings go.
pub(super) struct Reading {
    pub(super) file: Arc<str>,
    pub(super) findings: RefCell<Findings>,
}

/// See the module.
#[derive(Clone)]
pub(super) struct Field<'a> {
    reading: &'a Reading,
    path: String,
    /// Where its key stands, or where it begins.
    at: Position,
    node: &'a Node,
}

/// The fields of a mapping, in the order written, by their canonical names.
pub(super) struct Fields<'a>(Vec<(&'static str, Field<'a>)>);

impl<'a> Field<'a> {
    pub(super) fn root(reading: &'a Reading, node: &'a Node) -> Self {
        Self { reading, path: String::new(), at: node.at, node }
    }

    pub(super) fn node(&self) -> &'a Node {
        self.node
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn location(&self) -> Location {
        let Position { line, column } = self.at;
        Location { file: Arc::clone(&self.reading.file), line, column }
    }

    /// The fields of this mapping that are not null, with a finding for each
    /// that is not among `known`, and where this is no mapping.
    pub(super) fn fields(&self, known: &'static [&'static str]) -> Fields<'a> {
        let mut fields: Vec<(&'static str, Self)> = Vec::new();
        if self.node.as_map().is_none() {
            self.wrong_kind("a mapping");
        }
        for (key, node) in self.node.entries() {
            let field = self.child(&key.name, key.at, node);
            match known.iter().find(|known| **known == canonical(&key.name)) {
                None => field.error(unknown(&key.name, known)),
                Some(name) if fields.iter().any(|(other, _)| other == name) => {
                    field.error(format!("is given twice, in two spellings; keep one {name}"));
                }
                Some(_) if node.is_null() => {}
                Some(name) => fields.push((name, field)),
            }
        }
        Fields(fields)
    }

    /// The fields of a mapping whose names are up to the author.
    pub(super) fn entries(&self) -> Vec<(&'a str, Self)> {
        if self.node.as_map().is_none() {
            self.wrong_kind("a mapping");
        }
        let entries = self.node.entries().iter();
        entries.map(|(key, node)| (&*key.name, self.child(&key.name, key.at, node))).collect()
    }

    /// The items of this list, with a finding where it is none.
    pub(super) fn items(&self) -> Vec<Self> {
        if self.node.as_list().is_none() {
            self.wrong_kind("a list");
        }
        let items = self.node.items().iter().enumerate();
        items
            .map(|(index, node)| Self {
                reading: self.reading,
                path: format!("{}[{index}]", self.path),
                at: node.at,
                node,
            })
            .collect()
    }

    pub(super) fn string(&self) -> Option<&'a str> {
        let text = self.node.as_str();
        if text.is_none() {
            self.wrong_kind("a string");
        }
        text
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        let value = self.node.as_bool();
        if value.is_none() {
            self.wrong_kind("true or false");
        }
        value
    }

    /// A whole number; as protobuf's JSON does, also one in quotes.
    pub(super) fn integer<T: TryFrom<i128>>(&self, wanted: &str) -> Option<T> {
        let number = match (self.node.as_i64(), self.node.as_str()) {
            (Some(number), _) => Some(i128::from(number)),
            (None, Some(text)) => text.parse().ok(),
            (None, None) => None,
        };
        let number = number.and_then(|number| T::try_from(number).ok());
        if number.is_none() {
            self.wrong_kind(wanted);
        }
        number
    }

    pub(super) fn wrong_kind(&self, wanted: &str) {
        self.error(format!("is {}, but must be {wanted}", self.node.describe()));
    }

    pub(super) fn error(&self, message: impl Into<String>) {
        let finding = Finding::error(message).at(self.location());
        let finding =
            if self.path.is_empty() { finding } else { finding.field(self.path.as_str()) };
        self.reading.findings.borrow_mut().push(finding);
    }

    fn child(&self, name: &str, at: Position, node: &'a Node) -> Self {
        let path = if self.path.is_empty() { name.into() } else { format!("{}.{name}", self.path) };
        Self { reading: self.reading, path, at, node }
    }
}

impl<'a> Fields<'a> {
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

/// Protobuf's JSON has `testName` for `test_name`; the check tool's first
/// format has `:path` for `path`.
fn canonical(name: &str) -> String {
    let mut canonical = String::with_capacity(name.len());
    for character in name.strip_prefix(':').unwrap_or(name).chars() {
        if character.is_ascii_uppercase() {
            canonical.push('_');
        }
        canonical.push(character.to_ascii_lowercase());
    }
    canonical
}

fn unknown(name: &str, known: &[&str]) -> String {
    let name = canonical(name);
    let likeness = |known: &str| strsim::normalized_damerau_levenshtein(&name, known);
    let nearest = known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match nearest {
        Some(nearest) if likeness(nearest) >= ALIKE => {
            format!("unknown field; did you mean {nearest}?")
        }
        _ => format!("unknown field; known here: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_come_to_one() {
        for (name, expected) in
            [("test_name", "test_name"), ("testName", "test_name"), (":path", "path"), ("", "")]
        {
            assert_eq!(canonical(name), expected);
        }
    }

    #[test]
    fn an_unknown_field_names_what_was_meant() {
        let known = &["cluster_name", "path_redirect", "ingress"];
        for (name, expected) in [
            ("cluster_nam", "did you mean cluster_name?"),
            ("clutser_name", "did you mean cluster_name?"),
            ("clusterNames", "did you mean cluster_name?"),
            ("ingres", "did you mean ingress?"),
            ("backend", "known here: cluster_name, path_redirect, ingress"),
        ] {
            assert_eq!(unknown(name, known), format!("unknown field; {expected}"), "{name}");
        }
    }
}
