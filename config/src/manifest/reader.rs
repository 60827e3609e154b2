//! Creates objects from documents: expands lists and checks metadata.

use std::sync::Arc;

use super::kept::Kept;
use super::node::{Key, Node, Position, Value};
use super::object::{Object, locate};
use super::source::{Manifests, ReadFailure};
use super::yaml::{Parsed, SyntaxError};
use crate::digest::digest_of;
use crate::finding::{Code, Finding, quote};
use crate::kinds;
use crate::object_ref::ObjectRef;

/// The namespace of an object without one, as with `kubectl`.
const DEFAULT_NAMESPACE: &str = "default";

/// The maximum length of a name in Kubernetes.
const MAX_NAME_BYTES: usize = 253;

/// The maximum length of `generateName` that Kubernetes uses, and the length of the
/// suffix that it adds.
const MAX_GENERATED_PREFIX: usize = 58;
const SUFFIX: usize = 5;

/// The maximum number of findings about one document, which may be a list of
/// millions.
const MAX_FINDINGS: usize = 1_000;

/// A field that must be a string is missing or has another type.
enum Missing<'n> {
    Absent,
    Wrong(&'n Node),
}

/// The fields that the items of an `IngressList` may omit.
#[derive(Clone)]
struct Inherited {
    api_version: Box<str>,
    kind: Box<str>,
}

struct Reader<'a> {
    file: &'a Arc<str>,
    manifests: &'a mut Manifests,
    /// Whether any value in the document is flawed.
    has_flaws: bool,
    /// How many more findings are allowed.
    left: usize,
}

/// Reads the object of a document, or all objects of a `List`. Objects of kinds
/// that are not read are skipped. A value that should be an object, but is not a
/// valid one, is an error and left out.
pub(super) fn take_document(file: &Arc<str>, parsed: Parsed, manifests: &mut Manifests) {
    let Parsed { root, has_flaws } = parsed;
    let mut reader = Reader { file, manifests, has_flaws, left: MAX_FINDINGS };
    // Lists of patches and of table rows are not objects.
    if root.as_list().is_some_and(|items| !items.iter().any(is_to_be_object)) {
        return reader.pass_over("", "", root.at);
    }
    reader.take(root, None, "");
}

/// Whether a mapping looks like an object, even if it has no kind.
fn is_to_be_object(node: &Node) -> bool {
    let has = |name| node.get(name).is_some_and(|field| !field.is_null());
    has("metadata") || has("apiVersion") && has("kind")
}

impl Reader<'_> {
    /// `path` is the path of `node` in the document, empty or ending with a dot.
    fn take(&mut self, node: Node, inherited: Option<&Inherited>, path: &str) {
        let (node, flaw) = node.without_flaw();
        if node.as_map().is_none() {
            let what = node.describe();
            let field = path.trim_end_matches('.');
            let message =
                format!("is {what}, not a Kubernetes object; write apiVersion, kind and metadata");
            return self.report(node.at, None, field, Code::NotAnObject, message);
        }
        let api_version = type_field(&node, "apiVersion", inherited.map(|i| &*i.api_version));
        let kind = type_field(&node, "kind", inherited.map(|i| &*i.kind));
        let (api_version, kind) = match (api_version, kind) {
            (Ok(api_version), Ok(kind)) => (api_version, kind),
            (api_version, kind) => return self.untyped(&node, api_version, kind, path),
        };
        let (api_version, kind) = (Box::from(api_version), Box::from(kind));
        match item_kind(&api_version, &kind).filter(|_| node.get("items").is_some()) {
            Some(item_kind) => {
                let kind = item_kind.into();
                if let Some(flaw) = flaw {
                    return self.fail(flaw);
                }
                self.take_list(node, &Inherited { api_version, kind }, path);
            }
            None if kinds::is_read(&api_version, &kind) => {
                let within = || node.flaw().filter(|_| self.has_flaws).cloned();
                if let Some(flaw) = flaw.or_else(within) {
                    return self.fail(flaw);
                }
                self.take_object(node, api_version, &kind, path);
            }
            None => self.pass_over(&api_version, &kind, node.at),
        }
    }

    /// A mapping without a valid kind or API version. This is an error, except if
    /// it is not an object, or its kind would not be read.
    fn untyped(
        &mut self,
        node: &Node,
        api_version: Result<&str, Missing<'_>>,
        kind: Result<&str, Missing<'_>>,
        path: &str,
    ) {
        let is_ours = match (&api_version, &kind) {
            (_, Ok(kind)) => kinds::named(kind).is_some(),
            (Ok(api_version), _) => kinds::is_known_group(api_version) && is_to_be_object(node),
            _ => is_to_be_object(node),
        };
        if !is_ours {
            return self.pass_over(api_version.unwrap_or(""), kind.unwrap_or(""), node.at);
        }
        for (name, field) in [("apiVersion", api_version), ("kind", kind)] {
            let (at, code, message) = match field {
                Ok(_) => continue,
                Err(Missing::Wrong(value)) => (
                    value.at,
                    Code::WrongType,
                    format!("must be a string that is not empty, not {}", value.describe()),
                ),
                Err(Missing::Absent) => (
                    node.at,
                    Code::FieldMissing,
                    "is missing; every Kubernetes object needs apiVersion, kind and metadata.name"
                        .into(),
                ),
            };
            self.report(at, None, &format!("{path}{name}"), code, message);
        }
    }

    /// An object of a kind that is read has a syntax error.
    fn fail(&mut self, error: SyntaxError) {
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            self.manifests.fail(ReadFailure::Syntax { file: Arc::clone(self.file), error });
        }
    }

    fn pass_over(&mut self, api_version: &str, kind: &str, at: Position) {
        self.manifests.passed_over.add(api_version, kind, || locate(self.file, at));
    }

    fn take_list(&mut self, node: Node, inherited: &Inherited, path: &str) {
        let Value::Map(entries) = node.value else {
            return;
        };
        let Some((_, items)) = entries.into_iter().find(|(key, _)| &*key.name == "items") else {
            return;
        };
        let path = format!("{path}items");
        let (items, flaw) = items.without_flaw();
        if let Some(flaw) = flaw {
            return self.fail(flaw);
        }
        match items.value {
            Value::List(items) => {
                // The items of a plain `List` may be of any kind, so each must have
                // its own.
                let inherited = Some(inherited).filter(|list| !list.kind.is_empty());
                for (index, item) in items.into_iter().enumerate() {
                    self.take(item, inherited, &format!("{path}[{index}]."));
                }
            }
            Value::Null => {}
            _ => {
                let message = format!("must be a list of objects, not {}", items.kind_name());
                self.report(items.at, None, &path, Code::NotAnObject, message);
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
                let message =
                    format!("must be a string, not {}; put it in quotes", node.describe());
                self.report(
                    node.at,
                    Some(&object),
                    &format!("{path}metadata.creationTimestamp"),
                    Code::WrongType,
                    message,
                );
            }
        }
        if let Some(node) = part("annotations").filter(|node| node.as_map().is_none()) {
            let message = format!("must be a mapping of names to strings, not {}", node.describe());
            let field = format!("{path}metadata.annotations");
            self.report(node.at, Some(&object), &field, Code::WrongType, message);
        }
        let labels =
            part("labels").map_or_else(Box::default, |node| self.labels(node, &object, path));
        let file = Some(Arc::clone(self.file));
        let ObjectRef { kind, namespace, name } = object;
        self.manifests.objects.push(Arc::new(Object {
            file,
            api_version,
            kind,
            name,
            namespace,
            creation_timestamp,
            labels,
            node,
            kept: Kept::default(),
        }));
    }

    /// Name and namespace. An object without them cannot be identified, so it is
    /// left out.
    fn identity(&mut self, node: &Node, kind: &str, path: &str) -> Option<ObjectRef> {
        let object = ObjectRef::unnamed(kind);
        let field = format!("{path}metadata");
        let Some(metadata) = node.get("metadata").filter(|node| !node.is_null()) else {
            let message = "is missing; add it with a name";
            self.report(node.at, Some(&object), &field, Code::FieldMissing, message);
            return None;
        };
        if metadata.as_map().is_none() {
            let message = format!("must be a mapping, not {}; put name in it", metadata.describe());
            self.report(metadata.at, Some(&object), &field, Code::WrongType, message);
            return None;
        }
        let name = self.text(metadata, "name", &object, &field)?;
        let namespace = self.text(metadata, "namespace", &object, &field)?;
        let generated = match &name {
            None => self.text(metadata, "generateName", &object, &field)?,
            Some(_) => None,
        };
        let generated = generated.map(|prefix| generated_name(&prefix, self.file, node.at));
        let Some(name) = name.or(generated) else {
            let message = "is missing; add a name";
            let field = format!("{field}.name");
            self.report(metadata.at, Some(&object), &field, Code::FieldMissing, message);
            return None;
        };
        let namespace = match namespace {
            // Ignores the namespace in the manifest, as the API server does.
            _ if kinds::named(kind).is_some_and(|kind| !kind.is_namespaced()) => Arc::default(),
            namespace => namespace.unwrap_or_else(|| DEFAULT_NAMESPACE.into()),
        };
        Some(ObjectRef { namespace, name, ..object })
    }

    /// A string that may be absent (`Some(None)`); `None` if it is not valid.
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
                let (code, message) = match node.as_str() {
                    // Findings repeat the name, so its length must be limited.
                    Some(text) if text.len() > MAX_NAME_BYTES => (
                        Code::NameNotValid,
                        format!("is longer than {MAX_NAME_BYTES} characters; shorten it"),
                    ),
                    Some(text) => return Some(Some(text.into())),
                    None => (
                        Code::WrongType,
                        format!("must be a string, not {}; put it in quotes", node.describe()),
                    ),
                };
                self.report(node.at, Some(object), &format!("{path}.{name}"), code, message);
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
            self.report(labels.at, Some(object), &field, Code::WrongType, message);
        }
        let mut sound: Vec<(Box<str>, Box<str>)> = Vec::with_capacity(labels.entries().len());
        for (Key { name, .. }, value) in labels.entries() {
            if let Some(text) = value.as_str() {
                sound.push(((**name).into(), text.into()));
            } else {
                let message = format!(
                    "the label {} must be a string, not {}; put it in quotes",
                    quote(name),
                    value.describe()
                );
                self.report(value.at, Some(object), &field, Code::WrongType, message);
            }
        }
        sound.sort_unstable();
        sound.into()
    }

    fn report(
        &mut self,
        at: Position,
        object: Option<&ObjectRef>,
        field: &str,
        code: Code,
        message: impl Into<String>,
    ) {
        let Some(left) = self.left.checked_sub(1) else {
            return;
        };
        self.left = left;
        let place = locate(self.file, at);
        if left == 0 {
            let message = "has too many errors in this document; correct the errors above first";
            return self.manifests.findings.report(place, Code::TooManyErrors, message);
        }
        let mut finding = Finding::new(code, message).at(place);
        finding.object = object.cloned();
        finding.field = Some(field.to_owned()).filter(|field| !field.is_empty());
        self.manifests.findings.push(finding);
    }
}

/// A name like those that Kubernetes generates from `prefix`, but the same each
/// time.
fn generated_name(prefix: &str, file: &str, at: Position) -> Arc<str> {
    let end = prefix.floor_char_boundary(MAX_GENERATED_PREFIX);
    let place = digest_of(format!("{file}:{}:{}", at.line, at.column).as_bytes());
    format!("{}{}", &prefix[..end], &place[..SUFFIX]).into()
}

/// The field `name` of an object, or the inherited value.
fn type_field<'n>(
    node: &'n Node,
    name: &str,
    inherited: Option<&'n str>,
) -> Result<&'n str, Missing<'n>> {
    match node.get(name) {
        Some(value) if !value.is_null() => {
            value.as_str().filter(|text| !text.is_empty()).ok_or(Missing::Wrong(value))
        }
        _ => inherited.ok_or(Missing::Absent),
    }
}

/// The kind of the items of a list; empty if they may be of any kind. `None` if
/// this is not a list of objects that are read, even if its name ends in `List`.
fn item_kind<'k>(api_version: &str, kind: &'k str) -> Option<&'k str> {
    let item_kind = kind.strip_suffix("List")?;
    let is_plain = item_kind.is_empty() && api_version == "v1";
    (is_plain || kinds::is_read(api_version, item_kind)).then_some(item_kind)
}

#[cfg(test)]
mod tests;
