//! The Kubernetes objects that decide what is served, read out of manifests.
//!
//! Each reader takes what it understands and reports the rest with its place:
//! a wrong field costs what depends on it, never the whole object.

mod cursor;
pub(crate) mod endpoints;
pub(crate) mod ingress_class;
pub(crate) mod service;

pub(crate) use cursor::{Cursor, Reading};

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
