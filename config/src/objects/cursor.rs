//! A place in an object: a node, and the path of fields that leads to it. The
//! path is written out only for a finding.

use std::cell::RefCell;
use std::fmt::{self, Write};

use crate::finding::{Finding, Findings};
use crate::manifest::{Key, Node, Object, Position};

/// An object being read, and where its findings go.
pub(crate) struct Reading<'a> {
    object: &'a Object,
    findings: &'a RefCell<Findings>,
    manner: Manner,
}

/// How names of fields are taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// As Kubernetes does; one that is unknown is a warning.
    Lenient,
    /// As protobuf does, where `httpFault` may be written `http_fault`; one
    /// that is unknown is an error.
    Strict,
}

/// See the module.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'a> {
    reading: &'a Reading<'a>,
    parent: Option<&'a Cursor<'a>>,
    step: Step<'a>,
    node: &'a Node,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    Field(&'a str),
    Item(usize),
}

impl<'a> Reading<'a> {
    pub(crate) fn new(object: &'a Object, findings: &'a RefCell<Findings>) -> Self {
        Self { object, findings, manner: Manner::Lenient }
    }

    /// For objects whose fields go by protobuf's names. One that is unknown is
    /// an error: what it was to restrict would otherwise go on unrestricted.
    pub(crate) fn strict(object: &'a Object, findings: &'a RefCell<Findings>) -> Self {
        Self { object, findings, manner: Manner::Strict }
    }

    pub(crate) fn object(&self) -> &'a Object {
        self.object
    }

    /// How many errors there are so far, in whatever object.
    pub(crate) fn errors(&self) -> usize {
        self.findings.borrow().errors()
    }

    /// Whether `written` is a way to write the name `field`.
    fn spells(&self, written: &str, field: &str) -> bool {
        written == field || (self.manner == Manner::Strict && is_snake_case_of(written, field))
    }

    pub(crate) fn root(&'a self) -> Cursor<'a> {
        Cursor { reading: self, parent: None, step: Step::Root, node: &self.object.node }
    }
}

impl<'a> Cursor<'a> {
    /// The field `name`, if this is a mapping where it is not null.
    pub(crate) fn field(&'a self, name: &'a str) -> Option<Cursor<'a>> {
        let mut entries = self.node.entries().iter();
        let (key, node) = entries.find(|(key, _)| self.reading.spells(&key.name, name))?;
        (!node.is_null()).then(|| self.child(key, node))
    }

    /// The fields of a mapping, whatever their names, each with its key.
    pub(crate) fn fields(&'a self) -> impl Iterator<Item = (&'a Key, Cursor<'a>)> {
        self.node.entries().iter().map(|(key, node)| (key, self.child(key, node)))
    }

    fn child(&'a self, key: &'a Key, node: &'a Node) -> Cursor<'a> {
        Cursor { reading: self.reading, parent: Some(self), step: Step::Field(&key.name), node }
    }

    /// The mapping in the field `name`, with a finding if it is something else.
    pub(crate) fn mapping(&'a self, name: &'a str) -> Option<Cursor<'a>> {
        self.field(name).filter(Cursor::expect_mapping)
    }

    /// The items of the list in the field `name`; none where it is absent, and
    /// a finding where it is no list.
    pub(crate) fn list(&'a self, name: &'a str) -> Vec<Item<'a>> {
        let Some(field) = self.field(name) else { return Vec::new() };
        let Some(items) = field.node.as_list() else {
            field.wrong_kind("a list");
            return Vec::new();
        };
        items.iter().enumerate().map(|(index, node)| Item { list: field, index, node }).collect()
    }

    /// The field `name`, with a finding that gives `remedy` if it is absent.
    pub(crate) fn required(&'a self, name: &'a str, remedy: &str) -> Option<Cursor<'a>> {
        let field = self.field(name);
        if field.is_none() {
            self.error_in(name, format!("is missing; {remedy}"));
        }
        field
    }

    /// The truth value in the field `name`, with a finding if it is something
    /// else.
    pub(crate) fn boolean(&'a self, name: &'a str) -> Option<bool> {
        let field = self.field(name)?;
        let value = field.node.as_bool();
        if value.is_none() {
            field.wrong_kind("true or false");
        }
        value
    }

    /// The string in the field `name`, with a finding if it is something else.
    pub(crate) fn string(&'a self, name: &'a str) -> Option<&'a str> {
        self.field(name)?.as_string()
    }

    /// This as a string, with a finding if it is something else.
    pub(crate) fn as_string(&self) -> Option<&'a str> {
        let text = self.node.as_str();
        if text.is_none() {
            self.wrong_kind("a string");
        }
        text
    }

    /// This as a port number, with a finding if it is something else.
    pub(crate) fn as_port(&self) -> Option<u16> {
        let port = self
            .node
            .as_i64()
            .and_then(|number| u16::try_from(number).ok())
            .filter(|port| *port > 0);
        if port.is_none() {
            self.wrong_kind("a port number, 1 to 65535");
        }
        port
    }

    /// Whether this is a mapping, with a finding if it is not.
    pub(crate) fn expect_mapping(&self) -> bool {
        let is_mapping = self.node.as_map().is_some();
        if !is_mapping {
            self.wrong_kind("a mapping");
        }
        is_mapping
    }

    /// Reports fields that are not among `known`: they have no effect, and are
    /// most likely misspelled.
    pub(crate) fn only(&'a self, known: &[&str]) {
        for (index, (key, field)) in self.fields().enumerate() {
            match known.iter().find(|name| self.reading.spells(&key.name, name)) {
                None => field.push(self.unknown(known), key.at),
                Some(name) => {
                    let mut earlier = self.node.entries().iter().take(index);
                    if let Some((other, _)) =
                        earlier.find(|(key, _)| self.reading.spells(&key.name, name))
                    {
                        let message =
                            format!("is also there as {}; remove one of the two", other.name);
                        field.push(Finding::error(message), key.at);
                    }
                }
            }
        }
    }

    fn unknown(&self, known: &[&str]) -> Finding {
        let known = known.join(", ");
        match self.reading.manner {
            Manner::Lenient => {
                Finding::warning(format!("unknown field, which has no effect; known here: {known}"))
            }
            Manner::Strict => Finding::error(format!("unknown field; known here: {known}")),
        }
    }

    pub(crate) fn object(&self) -> &'a Object {
        self.reading.object
    }

    pub(crate) fn node(&self) -> &'a Node {
        self.node
    }

    pub(crate) fn error(&self, message: impl Into<String>) {
        self.push(Finding::error(message), self.node.at);
    }

    /// An error at `at`, such as the key of this field.
    pub(crate) fn error_at(&self, at: Position, message: impl Into<String>) {
        self.push(Finding::error(message), at);
    }

    pub(crate) fn warning(&self, message: impl Into<String>) {
        self.push(Finding::warning(message), self.node.at);
    }

    /// An error about the field `name`, such as `metadata.name`: at its value
    /// or, where it is absent, at what should hold it.
    pub(crate) fn error_in(&self, name: &str, message: impl Into<String>) {
        self.push_in(name, Finding::error(message));
    }

    /// A warning about the field `name`, as [`Self::error_in`].
    pub(crate) fn warning_in(&self, name: &str, message: impl Into<String>) {
        self.push_in(name, Finding::warning(message));
    }

    fn push_in(&self, name: &str, finding: Finding) {
        let field = match self.path() {
            path if path.is_empty() => name.to_owned(),
            path => format!("{path}.{name}"),
        };
        self.push_as(finding, self.node.nearest(name.split('.')).at, field);
    }

    /// An error that says what this is and what is `wanted`.
    pub(crate) fn wrong_kind(&self, wanted: &str) {
        self.error(format!("is {}, but must be {wanted}", self.node.describe()));
    }

    /// What this says, with its position.
    pub(crate) fn located<T>(&self, value: T) -> Located<T> {
        Located { value, at: self.node.at }
    }

    /// This place, for what is found out later.
    pub(crate) fn place(&self) -> Place {
        Place { at: self.node.at, field: self.path() }
    }

    fn push(&self, finding: Finding, at: Position) {
        self.push_as(finding, at, self.path());
    }

    fn push_as(&self, finding: Finding, at: Position, field: String) {
        let Reading { object, findings, .. } = self.reading;
        let finding = finding.at(object.location(at)).object(object.reference());
        findings.borrow_mut().push(if field.is_empty() { finding } else { finding.field(field) });
    }

    /// Such as `spec.rules[0].http.paths[2].path`.
    fn path(&self) -> String {
        let mut path = self.parent.map(Cursor::path).unwrap_or_default();
        match self.step {
            Step::Root => {}
            Step::Field(name) if path.is_empty() => path.push_str(name),
            Step::Field(name) => {
                let _ = write!(path, ".{name}");
            }
            Step::Item(index) => {
                let _ = write!(path, "[{index}]");
            }
        }
        path
    }
}

/// A field of an object that has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) at: Position,
    field: String,
}

/// A value, and where it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Located<T> {
    pub(crate) value: T,
    pub(crate) at: Position,
}

/// The field, as findings have it.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.field)
    }
}

impl Place {
    pub(crate) fn new(at: Position, field: String) -> Self {
        Self { at, field }
    }

    /// An error about this field of `object`.
    pub(crate) fn error(&self, object: &Object, message: impl Into<String>) -> Finding {
        object.error(self.at, self.field.clone(), message)
    }

    /// A warning about this field of `object`.
    pub(crate) fn warning(&self, object: &Object, message: impl Into<String>) -> Finding {
        object.warning(self.at, self.field.clone(), message)
    }
}

/// Whether `written` is `camel` as protobuf's definitions write it: `httpFault`
/// as `http_fault`.
fn is_snake_case_of(written: &str, camel: &str) -> bool {
    let mut rest = written.bytes();
    let fits = camel.bytes().all(|byte| {
        if byte.is_ascii_uppercase() && rest.next() != Some(b'_') {
            return false;
        }
        rest.next() == Some(byte.to_ascii_lowercase())
    });
    fits && rest.next().is_none()
}

/// An item of a list, not yet a cursor: that borrows its list.
pub(crate) struct Item<'a> {
    list: Cursor<'a>,
    pub(crate) index: usize,
    node: &'a Node,
}

impl<'a> Item<'a> {
    pub(crate) fn cursor(&'a self) -> Cursor<'a> {
        Cursor {
            reading: self.list.reading,
            parent: Some(&self.list),
            step: Step::Item(self.index),
            node: self.node,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snake_case_is_the_definitions_own() {
        for (camel, snake) in [
            ("httpFault", "http_fault"),
            ("l4Fault", "l4_fault"),
            ("http2Error", "http2_error"),
            ("overrideHeaderName", "override_header_name"),
            ("match", "match"),
        ] {
            assert!(is_snake_case_of(snake, camel), "{snake}");
        }
        for (camel, other) in [
            ("httpFault", "httpfault"),
            ("httpFault", "http_Fault"),
            ("httpFault", "http__fault"),
            ("httpFault", "http_fault_"),
            ("httpFault", "http_"),
            ("httpFault", ""),
        ] {
            assert!(!is_snake_case_of(other, camel), "{other}");
        }
    }
}
