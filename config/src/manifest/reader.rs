//! Documents read into objects: lists taken apart, metadata checked.

use std::sync::Arc;

use super::kept::Kept;
use super::node::{Key, Node, Position, Value};
use super::object::{Object, locate};
use crate::finding::{Finding, Findings, quote};
use crate::object_ref::ObjectRef;

/// The namespace of an object that names none, as with `kubectl`.
const DEFAULT_NAMESPACE: &str = "default";

/// The longest name that Kubernetes knows.
const MAX_NAME_BYTES: usize = 253;

/// The most findings about one document, which may be a list of millions.
const MAX_FINDINGS: usize = 1_000;

/// One document of a file, before anything is known of it.
#[derive(Clone, Debug)]
pub struct Document {
    /// The file, as it was named to us.
    pub file: Arc<str>,
    /// Its value.
    pub root: Node,
}

impl Document {
    /// The object in this document, or the objects, if it is a `List` of them.
    /// What is not an object is an error, and left out.
    pub fn into_objects(self, objects: &mut Vec<Object>, findings: &mut Findings) {
        let Self { file, root } = self;
        let mut reader = Reader { file: &file, objects, findings, left: MAX_FINDINGS };
        reader.take(root, None, "");
    }
}

/// What an item of an `IngressList` need not say itself.
#[derive(Clone)]
struct Inherited {
    api_version: Box<str>,
    kind: Box<str>,
}

struct Reader<'a> {
    file: &'a Arc<str>,
    objects: &'a mut Vec<Object>,
    findings: &'a mut Findings,
    /// How many findings there may still be.
    left: usize,
}

impl Reader<'_> {
    /// `path` is where in the document `node` is, empty or ending with a dot.
    fn take(&mut self, node: Node, inherited: Option<&Inherited>, path: &str) {
        if node.as_map().is_none() {
            let what = node.describe();
            let field = path.trim_end_matches('.');
            let message = format!(
                "expected a Kubernetes object, found {what}: write apiVersion, kind and metadata"
            );
            return self.error(node.at, None, field, message);
        }
        let api_version =
            self.type_field(&node, "apiVersion", inherited.map(|i| &*i.api_version), path);
        let kind = self.type_field(&node, "kind", inherited.map(|i| &*i.kind), path);
        let (Some(api_version), Some(kind)) = (api_version, kind) else {
            return;
        };
        match kind.strip_suffix("List").map(Box::from) {
            Some(item_kind) if node.get("items").is_some() => {
                self.take_list(node, &Inherited { api_version, kind: item_kind }, path);
            }
            _ => self.take_object(node, api_version, &kind, path),
        }
    }

    fn take_list(&mut self, node: Node, inherited: &Inherited, path: &str) {
        let Value::Map(entries) = node.value else {
            return;
        };
        let Some((_, items)) = entries.into_iter().find(|(key, _)| &*key.name == "items") else {
            return;
        };
        let path = format!("{path}items");
        match items.value {
            Value::List(items) => {
                // The items of a plain `List` are of any kind, so each has to say.
                let inherited = Some(inherited).filter(|list| !list.kind.is_empty());
                for (index, item) in items.into_iter().enumerate() {
                    self.take(item, inherited, &format!("{path}[{index}]."));
                }
            }
            Value::Null => {}
            _ => {
                let message = format!("must be a list of objects, not {}", items.kind_name());
                self.error(items.at, None, &path, message);
            }
        }
    }

    fn take_object(&mut self, node: Node, api_version: Box<str>, kind: &str, path: &str) {
        let Some(object) = self.identity(&node, kind, path) else {
            return;
        };
        let metadata = node.get("metadata");
        let part = |name: &str| metadata.and_then(|m| m.get(name)).filter(|node| !node.is_null());
        let mut creation_timestamp = None;
        if let Some(node) = part("creationTimestamp") {
            creation_timestamp = node.as_str().map(Box::from);
            if creation_timestamp.is_none() {
                let message = format!("must be a string, not {}: quote it", node.describe());
                self.error(
                    node.at,
                    Some(&object),
                    &format!("{path}metadata.creationTimestamp"),
                    message,
                );
            }
        }
        if let Some(node) = part("annotations").filter(|node| node.as_map().is_none()) {
            let message = format!("must be a mapping of names to strings, not {}", node.describe());
            self.error(node.at, Some(&object), &format!("{path}metadata.annotations"), message);
        }
        let labels =
            part("labels").map_or_else(Box::default, |node| self.labels(node, &object, path));
        let file = Some(Arc::clone(self.file));
        let ObjectRef { kind, namespace, name } = object;
        self.objects.push(Object {
            file,
            api_version,
            kind,
            name,
            namespace,
            creation_timestamp,
            labels,
            node,
            kept: Kept::default(),
        });
    }

    /// Name and namespace. Without them there is no telling what an object is
    /// or whose, so it is left out.
    fn identity(&mut self, node: &Node, kind: &str, path: &str) -> Option<ObjectRef> {
        let object = ObjectRef::unnamed(kind);
        let field = format!("{path}metadata");
        let Some(metadata) = node.get("metadata").filter(|node| !node.is_null()) else {
            let message = "is missing: give the object a metadata.name";
            self.error(node.at, Some(&object), &field, message);
            return None;
        };
        if metadata.as_map().is_none() {
            let message =
                format!("must be a mapping, not {}: put `name` in it", metadata.describe());
            self.error(metadata.at, Some(&object), &field, message);
            return None;
        }
        let name = self.text(metadata, "name", &object, &field)?;
        let namespace = self.text(metadata, "namespace", &object, &field)?;
        let Some(name) = name else {
            let message = if metadata.get("generateName").is_some() {
                "is missing: only a cluster can generate names, so write one"
            } else {
                "is missing: give the object a name"
            };
            self.error(metadata.at, Some(&object), &format!("{field}.name"), message);
            return None;
        };
        let namespace = namespace.unwrap_or_else(|| DEFAULT_NAMESPACE.into());
        Some(ObjectRef { namespace, name, ..object })
    }

    /// A string that may be absent (`Some(None)`), or nothing if it is wrong.
    #[allow(clippy::option_option)]
    fn text(
        &mut self,
        node: &Node,
        name: &str,
        object: &ObjectRef,
        path: &str,
    ) -> Option<Option<Arc<str>>> {
        match node.get(name) {
            None => Some(None),
            Some(node) if node.is_null() || node.as_str() == Some("") => Some(None),
            Some(node) => {
                let message = match node.as_str() {
                    // Findings repeat it, so it must not be as long as the file.
                    Some(text) if text.len() > MAX_NAME_BYTES => {
                        format!("is longer than {MAX_NAME_BYTES} characters: shorten it")
                    }
                    Some(text) => return Some(Some(text.into())),
                    None => format!("must be a string, not {}: quote it", node.describe()),
                };
                self.error(node.at, Some(object), &format!("{path}.{name}"), message);
                None
            }
        }
    }

    fn type_field(
        &mut self,
        node: &Node,
        name: &str,
        inherited: Option<&str>,
        path: &str,
    ) -> Option<Box<str>> {
        let field = format!("{path}{name}");
        match node.get(name) {
            Some(value) if !value.is_null() => match value.as_str() {
                Some(text) if !text.is_empty() => Some(text.into()),
                _ => {
                    let message =
                        format!("must be a string that is not empty, not {}", value.describe());
                    self.error(value.at, None, &field, message);
                    None
                }
            },
            _ if inherited.is_some() => inherited.map(Box::from),
            _ => {
                let message =
                    "is missing: every Kubernetes object needs apiVersion, kind and metadata.name";
                self.error(node.at, None, &field, message);
                None
            }
        }
    }

    fn labels(
        &mut self,
        labels: &Node,
        object: &ObjectRef,
        path: &str,
    ) -> Box<[(Box<str>, Box<str>)]> {
        let field = format!("{path}metadata.labels");
        if labels.as_map().is_none() {
            let message =
                format!("must be a mapping of names to strings, not {}", labels.describe());
            self.error(labels.at, Some(object), &field, message);
        }
        let mut sound: Vec<(Box<str>, Box<str>)> = Vec::with_capacity(labels.entries().len());
        for (Key { name, .. }, value) in labels.entries() {
            if let Some(text) = value.as_str() {
                sound.push(((**name).into(), text.into()));
            } else {
                let message = format!(
                    "the label {} must be a string, not {}: quote it",
                    quote(name),
                    value.describe()
                );
                self.error(value.at, Some(object), &field, message);
            }
        }
        sound.sort_unstable();
        sound.into()
    }

    fn error(
        &mut self,
        at: Position,
        object: Option<&ObjectRef>,
        field: &str,
        message: impl Into<String>,
    ) {
        let Some(left) = self.left.checked_sub(1) else {
            return;
        };
        self.left = left;
        let place = locate(self.file, at);
        if left == 0 {
            return self
                .findings
                .error(place, "too many errors in this document: correct the ones above first");
        }
        let mut finding = Finding::error(message).at(place);
        finding.object = object.cloned();
        finding.field = Some(field.to_owned()).filter(|field| !field.is_empty());
        self.findings.push(finding);
    }
}

#[cfg(test)]
mod tests;
