//! A place in what a file holds: a node, and the path of fields that leads to
//! it. The path is written out only for a finding.

mod manner;

use std::cell::RefCell;
use std::fmt::{self, Write};

use super::{Key, Node, Object, Position};
use crate::finding::{Code, Finding, Findings, Location};
use crate::object_ref::ObjectRef;

pub(crate) use manner::{Manner, nearest};

/// What findings are about.
pub(crate) trait Subject {
    /// All of it.
    fn root(&self) -> &Node;
    /// A place in its file, if it is in one.
    fn location(&self, at: Position) -> Option<Location>;
    /// What findings call it, if it is an object.
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

/// What is being read, and where its findings go.
pub(crate) struct Reading<'a, S = Object> {
    subject: &'a S,
    findings: &'a RefCell<Findings>,
    manner: Manner,
}

/// See the module.
pub(crate) struct Cursor<'a, S = Object> {
    reading: &'a Reading<'a, S>,
    parent: Option<&'a Cursor<'a, S>>,
    step: Step<'a>,
    /// Where its findings are.
    at: Position,
    node: &'a Node,
}

// Derived, they would ask for a subject that can be copied.
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
    /// An object in the manner of Kubernetes.
    pub(crate) fn new(object: &'a Object, findings: &'a RefCell<Findings>) -> Self {
        Self::in_manner(Manner::Lenient, object, findings)
    }

    /// For objects whose fields go by protobuf's names. One that is unknown is
    /// an error: what it was to restrict would otherwise go on unrestricted.
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

    /// How many errors there are so far, in whatever object.
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
    /// The field `name`, if this is a mapping where it is not null.
    pub(crate) fn field(&'a self, name: &'a str) -> Option<Self> {
        let mut entries = self.node.entries().iter();
        let (key, node) = entries.find(|(key, _)| self.spells(key, name))?;
        (!node.is_null()).then(|| self.child(key, node))
    }

    /// The fields of a mapping, whatever their names, each with its key.
    pub(crate) fn fields(&'a self) -> impl Iterator<Item = (&'a Key, Self)> {
        self.node.entries().iter().map(|(key, node)| (key, self.child(key, node)))
    }

    fn child(&'a self, key: &'a Key, node: &'a Node) -> Self {
        let at = self.reading.manner.place_of(key, node);
        let step = Step::Field(&key.name);
        Self { reading: self.reading, parent: Some(self), step, at, node }
    }

    /// Whether `key` is a way to write the name `field`.
    pub(crate) fn spells(&self, key: &Key, field: &str) -> bool {
        self.reading.manner.spells(&key.name, field)
    }

    /// The mapping in the field `name`, with a finding if it is something else.
    pub(crate) fn mapping(&'a self, name: &'a str) -> Option<Self> {
        self.field(name).filter(Self::expect_mapping)
    }

    /// The items of the list in the field `name`; none where it is absent, and
    /// a finding where it is not a list.
    pub(crate) fn list(&'a self, name: &'a str) -> Vec<Item<'a, S>> {
        self.field(name).map_or_else(Vec::new, |list| list.items())
    }

    /// The items of this list, with a finding where it is none.
    pub(crate) fn items(&self) -> Vec<Item<'a, S>> {
        if self.node.as_list().is_none() {
            self.wrong_kind("a list");
        }
        let items = self.node.items().iter().enumerate();
        items.map(|(index, node)| Item { list: *self, index, node }).collect()
    }

    /// The field `name`, with a finding that gives `remedy` if it is absent.
    pub(crate) fn required(&'a self, name: &'a str, remedy: &str) -> Option<Self> {
        let field = self.field(name);
        if field.is_none() {
            self.report_in(name, Code::FieldMissing, format!("is missing; {remedy}"));
        }
        field
    }

    /// The truth value in the field `name`, with a finding if it is something
    /// else.
    pub(crate) fn boolean(&'a self, name: &'a str) -> Option<bool> {
        self.field(name)?.as_boolean()
    }

    /// This as a truth value, with a finding if it is something else.
    pub(crate) fn as_boolean(&self) -> Option<bool> {
        let value = self.node.as_bool();
        if value.is_none() {
            self.wrong_kind("true or false");
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

    /// Reports fields that are not among `known`, and those that are there in
    /// two spellings.
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

    /// Where its findings are.
    pub(crate) fn at(&self) -> Position {
        self.at
    }

    pub(crate) fn node(&self) -> &'a Node {
        self.node
    }

    pub(crate) fn report(&self, code: Code, message: impl Into<String>) {
        self.report_at(self.at, code, message);
    }

    /// A finding at `at`, such as the key of this field.
    pub(crate) fn report_at(&self, at: Position, code: Code, message: impl Into<String>) {
        self.push(Finding::new(code, message), at);
    }

    /// A finding about the field `name`, such as `metadata.name`: at its value
    /// or, where it is absent, at what should hold it.
    pub(crate) fn report_in(&self, name: &str, code: Code, message: impl Into<String>) {
        let field = match self.path() {
            path if path.is_empty() => name.to_owned(),
            path => format!("{path}.{name}"),
        };
        let at = self.node.nearest(name.split('.')).at;
        self.push_as(Finding::new(code, message), at, field);
    }

    /// An error that says what this is and what is `wanted`.
    pub(crate) fn wrong_kind(&self, wanted: &str) {
        let message = format!("is {}, but must be {wanted}", self.node.describe());
        self.report(Code::WrongType, message);
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
        let Reading { subject, findings, .. } = self.reading;
        let mut finding = finding.at(subject.location(at));
        finding.object = subject.reference();
        findings.borrow_mut().push(if field.is_empty() { finding } else { finding.field(field) });
    }

    /// Such as `spec.rules[0].http.paths[2].path`.
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

/// An item of a list, not yet a cursor: that borrows its list.
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
