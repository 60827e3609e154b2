//! The names of Kubernetes: those that may become a part of a cluster's name,
//! of logs, and of what other commands print.

use super::Cursor;
use crate::manifest::Object;

/// Whether `name` is a DNS label (RFC 1123): what names of services and
/// namespaces are, and what may become part of a cluster's name.
pub(crate) fn is_dns_label(name: &str) -> bool {
    let inner = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    (1..=63).contains(&name.len())
        && name.bytes().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// Whether `name` is a DNS subdomain (RFC 1123) of valid labels.
pub(crate) fn is_dns_subdomain(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_dns_label)
}

/// Whether Kubernetes would take the name and namespace of `object`, with a
/// finding where not.
pub(crate) fn is_named_well(object: &Object, root: &Cursor<'_>) -> bool {
    if !is_dns_subdomain(&object.name) {
        root.error_in(
            "metadata.name",
            "is no DNS name; rename it: lower-case letters, digits, - and ., 253 at most",
        );
        return false;
    }
    if !is_dns_label(&object.namespace) {
        root.error_in(
            "metadata.namespace",
            "is no DNS label; correct it: lower-case letters, digits and -, 63 at most",
        );
        return false;
    }
    true
}
