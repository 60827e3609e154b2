//! A place in an object: a node, and the path of fields that leads to it. The
//! path is written out only for a finding.

use std::cell::RefCell;
use std::fmt::Write;

use crate::finding::{Finding, Findings};
use crate::manifest::{Node, Object, Position};

/// An object being read, and where its findings go.
pub(crate) struct Reading<'a> {
    object: &'a Object,
    findings: &'a RefCell<Findings>,
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
        Self { object, findings }
    }

    pub(crate) fn root(&'a self) -> Cursor<'a> {
        Cursor { reading: self, parent: None, step: Step::Root, node: &self.object.node }
    }
}

impl<'a> Cursor<'a> {
    /// The field `name`, if this is a mapping where it is not null.
    pub(crate) fn field(&'a self, name: &'a str) -> Option<Cursor<'a>> {
        let node = self.node.get(name).filter(|node| !node.is_null())?;
        Some(Cursor { reading: self.reading, parent: Some(self), step: Step::Field(name), node })
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

    /// Warns about fields that are not among `known`: they have no effect, and
    /// are most likely misspelled.
    pub(crate) fn only(&'a self, known: &[&str]) {
        for (key, node) in
            self.node.entries().iter().filter(|(key, _)| !known.contains(&&*key.name))
        {
            let field = Cursor { parent: Some(self), step: Step::Field(&key.name), node, ..*self };
            field.push(
                Finding::warning(format!(
                    "unknown field, which has no effect; known here: {}",
                    known.join(", ")
                )),
                key.at,
            );
        }
    }

    pub(crate) fn node(&self) -> &'a Node {
        self.node
    }

    pub(crate) fn error(&self, message: impl Into<String>) {
        self.push(Finding::error(message), self.node.at);
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

    fn wrong_kind(&self, wanted: &str) {
        self.error(format!("is {}, but must be {wanted}", self.node.describe()));
    }

    fn push(&self, finding: Finding, at: Position) {
        self.push_as(finding, at, self.path());
    }

    fn push_as(&self, finding: Finding, at: Position, field: String) {
        let Reading { object, findings } = self.reading;
        let finding = finding.at(object.location(at)).object(object.describe());
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
