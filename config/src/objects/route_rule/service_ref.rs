//! References to a service or a version of it (`IstioService`).

use std::sync::Arc;

use super::values::visible;
use crate::finding::{Code, quote};
use crate::objects::{Cursor, Labels, Place, check_label, is_dns_label, is_dns_subdomain};

/// The services that a rule may name, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) cluster_domain: Arc<str>,
    /// Whether it may name services of other namespaces.
    pub(crate) cross_namespace: bool,
}

/// A service; with `labels`, a version of it.
#[derive(Debug)]
pub(crate) struct ServiceRef {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) labels: Labels,
    pub(crate) place: Place,
}

/// The fields of an `IstioService`, before a missing namespace is replaced by the default.
pub(super) struct Named {
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    pub(super) labels: Labels,
}

/// The maximum number of labels of a version, because the name of its cluster contains
/// them.
const MAX_LABELS: usize = 16;

impl ServiceRef {
    pub(super) fn read(cursor: &Cursor<'_>, scope: &Scope) -> Option<Self> {
        let Named { name, namespace, labels } = Named::read(cursor, scope)?;
        let own = &*cursor.object().namespace;
        let namespace = namespace.unwrap_or_else(|| own.to_owned());
        if namespace != own && !scope.cross_namespace {
            let message = format!(
                "names a service of namespace {namespace}, but a rule may only name services of its own namespace, {}; move the rule there, or set --cross-namespace-rules",
                quote(own)
            );
            cursor.report(Code::ServiceOfOtherNamespace, message);
            return None;
        }
        Some(Self { namespace, name, labels, place: cursor.place() })
    }
}

impl Named {
    pub(super) fn read(cursor: &Cursor<'_>, scope: &Scope) -> Option<Self> {
        if !cursor.expect_mapping_as("{name: web}") {
            return None;
        }
        cursor.only(&["name", "namespace", "domain", "service", "labels"]);
        let labels = cursor
            .mapping_as("labels", "{version: v1}")
            .map(|field| read_labels(&field))
            .unwrap_or_default();
        let (name, namespace) = match cursor.field("service") {
            Some(service) => read_full_name(cursor, &service, scope),
            None => read_parts(cursor, scope),
        }?;
        Some(Self { name, namespace, labels })
    }
}

/// A host in `service` outside this cluster, such as that of an `EgressRule` or of another
/// mesh, which rules for sidecars name.
pub(super) fn host_elsewhere<'a>(cursor: &Cursor<'a>, scope: &Scope) -> Option<&'a str> {
    let service = cursor.node().get("service")?.as_str()?;
    let host = service.strip_prefix("*.").unwrap_or(service);
    let is_of_cluster = host.strip_suffix(&*scope.cluster_domain);
    let is_of_cluster = is_of_cluster.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    (host.contains('.') && is_dns_subdomain(host) && !is_of_cluster).then_some(service)
}

/// The service in `name`, `namespace` and `domain`.
fn read_parts(cursor: &Cursor<'_>, scope: &Scope) -> Option<(String, Option<String>)> {
    let Some(name) = cursor.field("name") else {
        let message = "does not name a service; add name, or service with the full name";
        cursor.report(Code::FieldMissing, message);
        return None;
    };
    check_domain(cursor, scope);
    let name = read_label(&name);
    let namespace = match cursor.field("namespace") {
        None => None,
        // An invalid one must not count as a missing one.
        Some(field) => Some(read_label(&field)?),
    };
    Some((name?, namespace))
}

fn read_label(cursor: &Cursor<'_>) -> Option<String> {
    let text = cursor.as_string()?;
    if !is_dns_label(text) {
        let message = format!(
            "{} is not a valid DNS label; use lower-case letters, digits and -, 63 characters at most",
            quote(text)
        );
        cursor.report(Code::NameNotValid, message);
        return None;
    }
    Some(text.to_owned())
}

fn check_domain(cursor: &Cursor<'_>, scope: &Scope) {
    let Some(field) = cursor.field("domain") else { return };
    let Some(domain) = field.as_string() else { return };
    if domain.strip_prefix("svc.") != Some(&*scope.cluster_domain) {
        let message = format!(
            "{} is not the domain of services in this cluster; write svc.{}, or omit domain",
            quote(domain),
            scope.cluster_domain
        );
        field.report(Code::ServiceNameNotValid, message);
    }
}

/// The service in `service`, as in `web.default.svc.cluster.local`.
fn read_full_name(
    cursor: &Cursor<'_>,
    service: &Cursor<'_>,
    scope: &Scope,
) -> Option<(String, Option<String>)> {
    for name in ["name", "namespace", "domain"] {
        if let Some(field) = cursor.field(name) {
            let message = "cannot be combined with service, which contains it already; remove it";
            field.report(Code::ConflictingFields, message);
        }
    }
    let text = visible(service)?;
    let names = text
        .strip_suffix(&*scope.cluster_domain)
        .and_then(|rest| rest.strip_suffix(".svc."))
        .and_then(|rest| rest.split_once('.'))
        .filter(|(name, namespace)| is_dns_label(name) && is_dns_label(namespace));
    if names.is_none() {
        let message = format!(
            "{} is not the full name of a service in this cluster; write <name>.<namespace>.svc.{}",
            quote(text),
            scope.cluster_domain
        );
        service.report(Code::ServiceNameNotValid, message);
    }
    names.map(|(name, namespace)| (name.to_owned(), Some(namespace.to_owned())))
}

/// The labels in a mapping; invalid ones become findings.
pub(super) fn read_labels(cursor: &Cursor<'_>) -> Labels {
    let mut labels = Labels::new();
    for (key, field) in cursor.fields() {
        let Some(value) = field.as_string() else { continue };
        match check_label(&key.name, value) {
            Ok(()) => drop(labels.insert(key.name.to_string(), value.to_owned())),
            Err(error) => field.report(Code::LabelNotValid, error.to_string()),
        }
    }
    if labels.len() > MAX_LABELS {
        let message = format!(
            "are {} labels, but a version may have {MAX_LABELS} at most; remove some",
            labels.len()
        );
        cursor.report(Code::LabelNotValid, message);
    }
    labels
}
