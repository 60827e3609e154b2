//! Ingresses of all supported versions.
//!
//! The result depends only on the object. Other modules check whether its services exist
//! and whether it may use its hosts.

mod annotations;
mod backend;
mod class;
mod path;
mod tls;

use std::sync::Arc;

use ingress_filter::table::PathMatch;
use jiff::Timestamp;

use super::{Cursor, Located, Place, Read, Reading, host, is_named_well};
use crate::finding::{Code, quote};
use crate::manifest::{Object, Position};

pub(crate) use backend::{Backend, BackendPort};
pub(crate) use class::{CLASS_ANNOTATION, NamedClass};
pub(crate) use path::PathType;
pub(crate) use tls::{TlsEntry, TlsHost, TlsHosts};

const NAME_BACKEND: &str = "add the service and port that serve this path. The path answers 503";

/// The valid parts of an Ingress; invalid rules and paths are left out. Its class is read
/// separately, as [`NamedClass`].
#[derive(Debug)]
pub(crate) struct Ingress {
    /// The time of its creation; `None` if it does not exist yet.
    pub(crate) created: Option<Timestamp>,
    pub(crate) default_backend: Option<DefaultBackend>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) tls: Read<Vec<TlsEntry>>,
    /// Whether there are entries for TLS, valid or not.
    pub(crate) has_tls: bool,
}

/// The backend of all requests that no rule matches.
#[derive(Debug)]
pub(crate) struct DefaultBackend {
    /// `None` if it is not valid.
    pub(crate) backend: Option<Backend>,
    pub(crate) place: Place,
}

/// The paths of one host.
#[derive(Debug)]
pub(crate) struct Rule {
    /// The index of the rule, counting invalid ones.
    index: usize,
    at: Position,
    /// The host; `None` for all hosts.
    pub(crate) host: Option<Located<Box<str>>>,
    /// The paths; `None` if the default backend serves the host.
    pub(crate) paths: Option<Vec<IngressPath>>,
}

/// A path of a rule.
#[derive(Debug)]
pub(crate) struct IngressPath {
    /// The index of the rule, counting invalid ones.
    pub(crate) rule: usize,
    /// The index in the rule.
    pub(crate) index: usize,
    pub(crate) path_type: PathType,
    /// A regular expression is not checked yet.
    pub(crate) path: PathMatch,
    /// `None` if it is not valid.
    pub(crate) backend: Option<Backend>,
    pub(crate) at: Position,
}

/// The syntax of backends in a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Syntax {
    /// `serviceName`, `servicePort`.
    Flat,
    /// `service.name`, `service.port.number` or `.name`.
    Nested,
}

impl Ingress {
    /// Reads an object; `None` if no part of it can be served.
    pub(crate) fn of(object: &Object) -> Arc<Read<Option<Self>>> {
        Read::once(object, Self::read)
    }

    fn read(reading: &Reading<'_>) -> Option<Self> {
        let root = reading.root();
        let created = read_created(reading.object(), &root);
        if !is_named_well(reading.object(), &root) {
            return None;
        }
        annotations::tell_ignored(&root);
        let spec = root.required("spec", "give rules or a default backend");
        let spec = spec.filter(Cursor::expect_mapping)?;
        let syntax = Syntax::of(reading.object());
        let default_field = syntax.default_backend();
        if !syntax.refuse_other(&spec) {
            spec.only(&["rules", "tls", "ingressClassName", default_field]);
        }
        let default_backend = spec.field(default_field).map(|field| DefaultBackend {
            backend: Backend::read(&field, syntax, None),
            place: field.place(),
        });
        let rules = spec.list("rules");
        let rules = rules
            .iter()
            .filter_map(|item| Rule::read(&item.cursor(), item.index, syntax))
            .collect();
        let tls = Read::new(reading.object(), tls::read);
        let has_tls = spec.node().get("tls").is_some_and(|tls| !tls.items().is_empty());
        if default_backend.is_none() {
            tell_nothing(&spec, default_field, has_tls);
        }
        Some(Self { created, default_backend, rules, tls, has_tls })
    }
}

/// Warns if an Ingress has neither a default backend nor rules.
fn tell_nothing(spec: &Cursor<'_>, default_field: &str, has_tls: bool) {
    match spec.field("rules") {
        None => spec.report_in(
            "rules",
            Code::FieldMissing,
            format!("is missing, so nothing is served; add rules or {default_field}"),
        ),
        Some(rules) if is_empty(&rules) && !has_tls => rules.report(
            Code::NoPaths,
            format!("is empty, so this Ingress serves nothing; add rules or {default_field}"),
        ),
        Some(_) => {}
    }
}

fn read_created(object: &Object, root: &Cursor<'_>) -> Option<Timestamp> {
    let created = object.created();
    if created.is_none() && object.creation_timestamp.is_some() {
        root.report_in(
            "metadata.creationTimestamp",
            Code::CreationTimeNotValid,
            "is not a valid time, so this object counts as the newest; write it as in 2024-12-31T23:59:59Z",
        );
    }
    created
}

impl Rule {
    fn read(cursor: &Cursor<'_>, index: usize, syntax: Syntax) -> Option<Self> {
        if !cursor.expect_mapping() {
            return None;
        }
        cursor.only(&["host", "http"]);
        let host = match cursor.field("host") {
            None => None,
            Some(field) => match field.as_string()? {
                "" => None,
                text => Some(field.located(read_host(&field, text)?)),
            },
        };
        let paths = cursor.field("http").map(|_| read_paths(cursor, index, syntax));
        Some(Self { index, at: cursor.node().at, host, paths })
    }

    /// The host in the spelling of the route table: `*` if the rule has none.
    pub(crate) fn host_or_any(&self) -> &str {
        self.host.as_ref().map_or("*", |host| &host.value)
    }

    /// The position of the host, or of the rule without a host.
    pub(crate) fn host_place(&self) -> Place {
        match &self.host {
            Some(host) => Place::new(host.at, format!("spec.rules[{}].host", self.index)),
            None => Place::new(self.at, format!("spec.rules[{}]", self.index)),
        }
    }
}

fn read_host(field: &Cursor<'_>, text: &str) -> Option<Box<str>> {
    let host = host::parse(text);
    let report =
        |error| field.report(Code::HostNotValid, format!("{error}. This rule is not served"));
    host.map(Box::from).map_err(report).ok()
}

/// Whether a field is an empty list.
fn is_empty(field: &Cursor<'_>) -> bool {
    field.node().as_list().is_some_and(<[_]>::is_empty)
}

fn read_paths(rule: &Cursor<'_>, index: usize, syntax: Syntax) -> Vec<IngressPath> {
    let Some(http) = rule.mapping("http") else { return Vec::new() };
    http.only(&["paths"]);
    let items = http.list("paths");
    if http.field("paths").is_none_or(|paths| is_empty(&paths)) {
        http.report_in(
            "paths",
            Code::NoPaths,
            "is empty, so this rule serves nothing; add paths, or remove http",
        );
    }
    let paths =
        items.iter().map(|item| IngressPath::read(&item.cursor(), (index, item.index), syntax));
    paths.flatten().collect()
}

impl IngressPath {
    fn read(cursor: &Cursor<'_>, (rule, index): (usize, usize), syntax: Syntax) -> Option<Self> {
        if !cursor.expect_mapping() {
            return None;
        }
        cursor.only(&["path", "pathType", "backend"]);
        let path_type = read_path_type(cursor, syntax)?;
        let field = cursor.field("path");
        if field.is_none() && path_type != PathType::ImplementationSpecific {
            let message = "is missing; write a path that starts with /";
            cursor.report_in("path", Code::FieldMissing, message);
            return None;
        }
        let place = field.as_ref().unwrap_or(cursor);
        let text = field.as_ref().map_or(Some(""), Cursor::as_string)?;
        let report = |error: path::PathError| {
            place.report(error.code(), format!("{} {error}", quote(text)));
        };
        let path = path_type.parse_path(text).map_err(report).ok()?;
        if path_type.is_literal_regex(text) {
            let text = quote(text);
            let message =
                format!("{text} looks like a regular expression, {}", path::LITERAL_REGEX);
            place.report(Code::RegexTakenLiterally, message);
        }
        let backend = cursor
            .required("backend", NAME_BACKEND)
            .and_then(|field| Backend::read(&field, syntax, Some((rule, index))));
        Some(Self { rule, index, path_type, path, backend, at: place.node().at })
    }

    /// The position of its text.
    pub(crate) fn place(&self) -> Place {
        let field = format!("spec.rules[{}].http.paths[{}].path", self.rule, self.index);
        Place::new(self.at, field)
    }
}

/// The path's type, which only `networking.k8s.io/v1` requires.
fn read_path_type(cursor: &Cursor<'_>, syntax: Syntax) -> Option<PathType> {
    match cursor.field("pathType") {
        Some(field) => {
            let path_type = PathType::parse(field.as_string()?);
            path_type.map_err(|error| field.report(Code::PathTypeUnknown, error.to_string())).ok()
        }
        None if syntax == Syntax::Flat => Some(PathType::ImplementationSpecific),
        None => {
            cursor.report_in(
                "pathType",
                Code::FieldMissing,
                "is missing; networking.k8s.io/v1 requires Exact, Prefix or ImplementationSpecific",
            );
            None
        }
    }
}

impl Syntax {
    fn of(object: &Object) -> Self {
        if object.version() == "v1" { Self::Nested } else { Self::Flat }
    }

    /// The field of the default backend.
    fn default_backend(self) -> &'static str {
        match self {
            Self::Flat => "backend",
            Self::Nested => "defaultBackend",
        }
    }

    fn backend_example(self) -> &'static str {
        match self {
            Self::Flat => "{serviceName: web, servicePort: 80}",
            Self::Nested => "{service: {name: web, port: {number: 80}}}",
        }
    }

    /// The fields of the other syntax, with their equivalent in this one.
    fn renamed(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Flat => {
                &[("defaultBackend", "backend"), ("service", "serviceName and servicePort")]
            }
            Self::Nested => &[
                ("backend", "defaultBackend"),
                ("serviceName", "service.name"),
                ("servicePort", "service.port.number, or service.port.name"),
            ],
        }
    }

    /// Whether there are fields of the other syntax; adds a finding for each.
    fn refuse_other(self, cursor: &Cursor<'_>) -> bool {
        let version = &cursor.object().api_version;
        let mut is_other = false;
        for (other, own) in self.renamed() {
            if let Some(field) = cursor.field(other) {
                let message = format!("is not a field of {version}; use {own}");
                field.report(Code::FieldOfOtherVersion, message);
                is_other = true;
            }
        }
        is_other
    }
}
