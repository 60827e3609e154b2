//! A node with the path of fields that leads to it. The path is formatted only for
//! a finding.

mod manner;

use std::cell::RefCell;
use std::fmt::{self, Write};

use super::{Key, Node, Object, Position};
use crate::finding::{Code, Finding, Findings, Location};
use crate::object_ref::ObjectRef;

pub(crate) use manner::{Manner, nearest};

/// The document or object that findings are about.
pub(crate) trait Subject {
    /// The root node.
    fn root(&self) -> &Node;
    /// A position in its file, if it is in a file.
    fn location(&self, at: Position) -> Option<Location>;
    /// Its name in findings, if it is an object.
    fn reference(&self) -> Option<ObjectRef>;
}

impl Subject for Object {
    fn root(&self) -> &Node {
        &self.node
    }

    fn location(&self, at: Position) -> Option<Location> {
        self.location(at)
    }

    fn reference(&self) -> Option<ObjectRef> {
        Some(self.reference())
    }
}

/// The subject that is read, and the list for its findings.
pub(crate) struct Reading<'a, S = Object> {
    subject: &'a S,
    findings: &'a RefCell<Findings>,
    manner: Manner,
}

/// A node with its path; see the module.
pub(crate) struct Cursor<'a, S = Object> {
    reading: &'a Reading<'a, S>,
    parent: Option<&'a Cursor<'a, S>>,
    step: Step<'a>,
    /// The position of its findings.
    at: Position,
    node: &'a Node,
}

// Not derived, because that would require `S: Clone`.
impl<S> Clone for Cursor<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Cursor<'_, S> {}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    Field(&'a str),
    Item(usize),
}

impl<'a> Reading<'a> {
    /// Reads an object with the rules of Kubernetes.
    pub(crate) fn new(object: &'a Object, findings: &'a RefCell<Findings>) -> Self {
        Self::in_manner(Manner::Lenient, object, findings)
    }

    /// Reads an object whose fields have protobuf names. An unknown field is an
    /// error: if it were ignored, a restriction in it would not apply.
    pub(crate) fn strict(object: &'a Object, findings: &'a RefCell<Findings>) -> Self {
        Self::in_manner(Manner::Strict, object, findings)
    }

    pub(crate) fn object(&self) -> &'a Object {
        self.subject
    }
}

impl<'a, S: Subject> Reading<'a, S> {
    pub(crate) fn in_manner(
        manner: Manner,
        subject: &'a S,
        findings: &'a RefCell<Findings>,
    ) -> Self {
        Self { subject, findings, manner }
    }

    /// The number of errors so far, in all objects.
    pub(crate) fn errors(&self) -> usize {
        self.findings.borrow().errors()
    }

    pub(crate) fn root(&'a self) -> Cursor<'a, S> {
        let node = self.subject.root();
        Cursor { reading: self, parent: None, step: Step::Root, at: node.at, node }
    }
}

impl<'a> Cursor<'a> {
    pub(crate) fn object(&self) -> &'a Object {
        self.reading.subject
    }
}

impl<'a, S: Subject> Cursor<'a, S> {
    /// The field `name`, if this is a mapping and the value is not null.
    pub(crate) fn field(&'a self, name: &'a str) -> Option<Self> {
        let mut entries = self.node.entries().iter();
        let (key, node) = entries.find(|(key, _)| self.spells(key, name))?;
        (!node.is_null()).then(|| self.child(key, node))
    }

    /// All fields of a mapping, each with its key.
    pub(crate) fn fields(&'a self) -> impl Iterator<Item = (&'a Key, Self)> {
        self.node.entries().iter().map(|(key, node)| (key, self.child(key, node)))
    }

    fn child(&'a self, key: &'a Key, node: &'a Node) -> Self {
        let at = self.reading.manner.place_of(key, node);
        let step = Step::Field(&key.name);
        Self { reading: self.reading, parent: Some(self), step, at, node }
    }

    /// Whether `key` is a spelling of `field`.
    pub(crate) fn spells(&self, key: &Key, field: &str) -> bool {
        self.reading.manner.spells(&key.name, field)
    }

    /// The mapping in the field `name`. Any other type is a finding.
    pub(crate) fn mapping(&'a self, name: &'a str) -> Option<Self> {
        self.field(name).filter(Self::expect_mapping)
    }

    /// The mapping in the field `name`. Any other type is a finding, which shows `example`.
    pub(crate) fn mapping_as(&'a self, name: &'a str, example: &str) -> Option<Self> {
        self.field(name).filter(|field| field.expect_mapping_as(example))
    }

    /// The items of the list in the field `name`; empty if it is absent. Any other
    /// type is a finding.
    pub(crate) fn list(&'a self, name: &'a str) -> Vec<Item<'a, S>> {
        self.field(name).map_or_else(Vec::new, |list| list.items())
    }

    /// The items of this list. Any other type is a finding.
    pub(crate) fn items(&self) -> Vec<Item<'a, S>> {
        if self.node.as_list().is_none() {
            self.wrong_kind("a list");
        }
        let items = self.node.items().iter().enumerate();
        items.map(|(index, node)| Item { list: *self, index, node }).collect()
    }

    /// The field `name`. If it is absent, that is a finding with `remedy`.
    pub(crate) fn required(&'a self, name: &'a str, remedy: &str) -> Option<Self> {
        let field = self.field(name);
        if field.is_none() {
            self.report_in(name, Code::FieldMissing, format!("is missing; {remedy}"));
        }
        field
    }

    /// The boolean in the field `name`. Any other type is a finding.
    pub(crate) fn boolean(&'a self, name: &'a str) -> Option<bool> {
        self.field(name)?.as_boolean()
    }

    /// This value as a boolean. Any other type is a finding.
    pub(crate) fn as_boolean(&self) -> Option<bool> {
        let value = self.node.as_bool();
        if value.is_none() {
            self.wrong_kind("true or false");
        }
        value
    }

    /// The string in the field `name`. Any other type is a finding.
    pub(crate) fn string(&'a self, name: &'a str) -> Option<&'a str> {
        self.field(name)?.as_string()
    }

    /// This value as a string. Any other type is a finding.
    pub(crate) fn as_string(&self) -> Option<&'a str> {
        let text = self.node.as_str();
        if text.is_none() {
            self.wrong_kind("a string");
        }
        text
    }

    /// This value as a port number. Any other value is a finding.
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

    /// Whether this is a mapping. Any other type is a finding.
    pub(crate) fn expect_mapping(&self) -> bool {
        self.expect_mapping_that_is("a mapping")
    }

    /// Whether this is a mapping. Any other type is a finding, which shows `example`.
    pub(crate) fn expect_mapping_as(&self, example: &str) -> bool {
        self.expect_mapping_that_is(&format!("a mapping, as in {example}"))
    }

    fn expect_mapping_that_is(&self, wanted: &str) -> bool {
        let is_mapping = self.node.as_map().is_some();
        if !is_mapping {
            self.wrong_kind(wanted);
        }
        is_mapping
    }

    /// Reports fields that are not in `known`, and fields that occur in two
    /// spellings.
    pub(crate) fn only(&'a self, known: &[&str]) {
        let manner = self.reading.manner;
        for (index, (key, field)) in self.fields().enumerate() {
            let Some(name) = known.iter().find(|name| self.spells(key, name)) else {
                field.push(manner.unknown(&key.name, known), key.at);
                continue;
            };
            let mut earlier = self.node.entries().iter().take(index);
            if let Some((other, _)) = earlier.find(|(key, _)| self.spells(key, name)) {
                field.push(manner.twice(name, &other.name), key.at);
            }
        }
    }

    pub(crate) fn subject(&self) -> &'a S {
        self.reading.subject
    }

    /// The position of its findings.
    pub(crate) fn at(&self) -> Position {
        self.at
    }

    pub(crate) fn node(&self) -> &'a Node {
        self.node
    }

    pub(crate) fn report(&self, code: Code, message: impl Into<String>) {
        self.report_at(self.at, code, message);
    }

    /// Reports a finding at `at`, for example at the key of this field.
    pub(crate) fn report_at(&self, at: Position, code: Code, message: impl Into<String>) {
        self.push(Finding::new(code, message), at);
    }

    /// Reports a finding about the field `name`, such as `metadata.name`, at the
    /// position of its value or, if it is absent, of the nearest field that
    /// contains it.
    pub(crate) fn report_in(&self, name: &str, code: Code, message: impl Into<String>) {
        let field = match self.path() {
            path if path.is_empty() => name.to_owned(),
            path => format!("{path}.{name}"),
        };
        let at = self.node.nearest(name.split('.')).at;
        self.push_as(Finding::new(code, message), at, field);
    }

    /// Reports that this value has the wrong type, and which is `wanted`.
    pub(crate) fn wrong_kind(&self, wanted: &str) {
        let message = format!("is {}, but must be {wanted}", self.node.describe());
        self.report(Code::WrongType, message);
    }

    /// `value` with the position of this node.
    pub(crate) fn located<T>(&self, value: T) -> Located<T> {
        Located { value, at: self.node.at }
    }

    /// The position and path of this node, for later findings.
    pub(crate) fn place(&self) -> Place {
        Place { at: self.node.at, field: self.path() }
    }

    fn push(&self, finding: Finding, at: Position) {
        self.push_as(finding, at, self.path());
    }

    fn push_as(&self, finding: Finding, at: Position, field: String) {
        let Reading { subject, findings, .. } = self.reading;
        let mut finding = finding.at(subject.location(at));
        finding.object = subject.reference();
        findings.borrow_mut().push(if field.is_empty() { finding } else { finding.field(field) });
    }

    /// For example `spec.rules[0].http.paths[2].path`.
    pub(crate) fn path(&self) -> String {
        let mut path = self.parent.map(Self::path).unwrap_or_default();
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

/// The position and path of a field, without a cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) at: Position,
    field: String,
}

/// A value and its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Located<T> {
    pub(crate) value: T,
    pub(crate) at: Position,
}

/// The path of the field, as in findings.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.field)
    }
}

impl Place {
    pub(crate) fn new(at: Position, field: String) -> Self {
        Self { at, field }
    }

    /// A finding about this field of `object`.
    pub(crate) fn finding(
        &self,
        object: &Object,
        code: Code,
        message: impl Into<String>,
    ) -> Finding {
        object.finding(self.at, self.field.clone(), code, message)
    }
}

/// An item of a list. It becomes a cursor only on demand, because the cursor
/// borrows the list.
pub(crate) struct Item<'a, S = Object> {
    list: Cursor<'a, S>,
    pub(crate) index: usize,
    node: &'a Node,
}

impl<'a, S> Item<'a, S> {
    pub(crate) fn cursor(&'a self) -> Cursor<'a, S> {
        let (list, node) = (&self.list, self.node);
        let step = Step::Item(self.index);
        Cursor { reading: list.reading, parent: Some(list), step, at: node.at, node }
    }
}
