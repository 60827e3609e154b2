//! A Kubernetes object: the parts that all kinds have in common.

use std::sync::Arc;

use jiff::Timestamp;

use super::kept::Kept;
use super::node::{Node, Position};
use crate::finding::{Code, Finding, Location};
use crate::object_ref::ObjectRef;

/// An object of any kind, known or unknown.
#[derive(Clone, Debug)]
pub struct Object {
    /// The name of its file, as the caller gave it; `None` if the object comes from
    /// an API.
    pub file: Option<Arc<str>>,
    /// For example `networking.k8s.io/v1`.
    pub api_version: Box<str>,
    /// For example `Ingress`.
    pub kind: Arc<str>,
    /// `metadata.name`. Not empty, but not validated.
    pub name: Arc<str>,
    /// `metadata.namespace`, or `default`; empty for an `IngressClass`, whose kind has
    /// no namespaces.
    pub namespace: Arc<str>,
    /// `metadata.creationTimestamp`, not parsed.
    pub creation_timestamp: Option<Box<str>>,
    /// `metadata.labels`, sorted by name, without those that are not strings.
    pub labels: Box<[(Box<str>, Box<str>)]>,
    /// The whole object, including the fields above.
    pub node: Node,
    /// What was parsed from it.
    pub(crate) kept: Kept,
}

impl Object {
    /// The API group: `networking.k8s.io` of `networking.k8s.io/v1`, empty for
    /// `v1`.
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    /// The version within the group: `v1` of `networking.k8s.io/v1`.
    pub fn version(&self) -> &str {
        self.api_version.split_once('/').map_or(&self.api_version, |(_, version)| version)
    }

    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        let at = self.labels.binary_search_by(|(key, _)| (**key).cmp(name)).ok()?;
        Some(&self.labels[at].1)
    }

    /// `metadata.annotations`, a mapping. Its values may be of any type.
    pub fn annotations(&self) -> Option<&Node> {
        self.node.get("metadata")?.get("annotations").filter(|node| !node.is_null())
    }

    /// One annotation, with a value of any type.
    pub fn annotation(&self, name: &str) -> Option<&Node> {
        self.annotations()?.get(name)
    }

    /// The name of the object in findings.
    pub fn reference(&self) -> ObjectRef {
        let (kind, namespace, name) = (&self.kind, &self.namespace, &self.name);
        let (namespace, name) = (Arc::clone(namespace), Arc::clone(name));
        ObjectRef { kind: Arc::clone(kind), namespace, name }
    }

    /// The creation time, if it is present and valid.
    pub fn created(&self) -> Option<Timestamp> {
        self.creation_timestamp.as_deref()?.parse().ok()
    }

    /// A position in the file of this object, if it is in a file.
    pub fn location(&self, at: Position) -> Option<Location> {
        self.file.as_ref().map(|file| locate(file, at))
    }

    /// ` at FILE:LINE:COLUMN`, for a message that names this object; empty if it is
    /// not in a file.
    pub fn at(&self, at: Position) -> String {
        self.location(at).map_or_else(String::new, |location| format!(" at {location}"))
    }

    /// A finding about one of its fields.
    pub fn finding(
        &self,
        at: Position,
        field: impl Into<String>,
        code: Code,
        message: impl Into<String>,
    ) -> Finding {
        Finding::new(code, message).at(self.location(at)).object(self.reference()).field(field)
    }
}

pub(super) fn locate(file: &Arc<str>, at: Position) -> Location {
    Location { file: Arc::clone(file), line: at.line, column: at.column }
}
