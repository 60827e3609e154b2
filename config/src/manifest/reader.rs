//! Documents read into objects: lists taken apart, metadata checked.

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

/// The namespace of an object that names none, as with `kubectl`.
const DEFAULT_NAMESPACE: &str = "default";

/// The longest name that Kubernetes knows.
const MAX_NAME_BYTES: usize = 253;

/// How much of `generateName` Kubernetes uses, and how much it adds.
const MAX_GENERATED_PREFIX: usize = 58;
const SUFFIX: usize = 5;

/// The most findings about one document, which may be a list of millions.
const MAX_FINDINGS: usize = 1_000;

/// A field that must be a string and is not, or is absent.
enum Missing<'n> {
    Absent,
    Wrong(&'n Node),
}

/// What an item of an `IngressList` need not say itself.
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
    /// How many findings there may still be.
    left: usize,
}

/// Takes the object in a document, or the objects, if it is a `List` of them. What
/// is of a kind that is not read is passed over; what is to be an object and is
/// not is an error, and left out.
pub(super) fn take_document(file: &Arc<str>, parsed: Parsed, manifests: &mut Manifests) {
    let Parsed { root, has_flaws } = parsed;
    let mut reader = Reader { file, manifests, has_flaws, left: MAX_FINDINGS };
    // Patches and tables are lists, too.
    if root.as_list().is_some_and(|items| !items.iter().any(is_to_be_object)) {
        return reader.pass_over("", "", root.at);
    }
    reader.take(root, None, "");
}

/// Whether a mapping looks like an object, though it may not say of which kind.
fn is_to_be_object(node: &Node) -> bool {
    let has = |name| node.get(name).is_some_and(|field| !field.is_null());
    has("metadata") || has("apiVersion") && has("kind")
}

impl Reader<'_> {
    /// `path` is where in the document `node` is, empty or ending with a dot.
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

    /// What does not say of which kind it is: an error, unless it is not an object, or
    /// of a kind that is not read anyway.
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

    /// An object that is read, of which something cannot be.
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
                // The items of a plain `List` are of any kind, so each has to say.
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

    /// Name and namespace. Without them there is no telling what an object is
    /// or whose, so it is left out.
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
            // As the API server has it, whatever the manifest says.
            _ if kinds::named(kind).is_some_and(|kind| !kind.is_namespaced()) => Arc::default(),
            namespace => namespace.unwrap_or_else(|| DEFAULT_NAMESPACE.into()),
        };
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
                let (code, message) = match node.as_str() {
                    // Findings repeat it, so it must not be as long as the file.
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

/// A name such as a cluster would make of `prefix`, and the same each time.
fn generated_name(prefix: &str, file: &str, at: Position) -> Arc<str> {
    let end = prefix.floor_char_boundary(MAX_GENERATED_PREFIX);
    let place = digest_of(format!("{file}:{}:{}", at.line, at.column).as_bytes());
    format!("{}{}", &prefix[..end], &place[..SUFFIX]).into()
}

/// The field `name` of an object, or what it inherits.
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

/// The kind of the items of a list: any where it is empty. None for what is not
/// such a list, whatever it is called.
fn item_kind<'k>(api_version: &str, kind: &'k str) -> Option<&'k str> {
    let item_kind = kind.strip_suffix("List")?;
    let is_plain = item_kind.is_empty() && api_version == "v1";
    (is_plain || kinds::is_read(api_version, item_kind)).then_some(item_kind)
}

#[cfg(test)]
mod tests;
