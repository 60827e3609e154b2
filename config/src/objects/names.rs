//! Names in Kubernetes, which become parts of cluster names, logs, and the output of
//! commands.

use std::collections::BTreeMap;

use thiserror::Error;

use super::Cursor;
use crate::finding::{Code, quote};
use crate::manifest::Object;

/// Labels that distinguish the versions of a service. Each has passed [`check_label`].
pub(crate) type Labels = BTreeMap<String, String>;

/// Whether `name` is a DNS label (RFC 1123), as names of services and namespaces are. Only
/// such names become parts of cluster names.
pub(crate) fn is_dns_label(name: &str) -> bool {
    name.len() <= 63 && is_label_of_any_length(name)
}

/// Whether `name` is a DNS subdomain (RFC 1123) of valid labels, as hosts are.
pub(crate) fn is_dns_subdomain(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_dns_label)
}

/// Whether Kubernetes accepts `name` for an object. Its DNS subdomains have no limit for a
/// single label.
pub(crate) fn is_object_name(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_label_of_any_length)
}

fn is_label_of_any_length(name: &str) -> bool {
    let inner = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    !name.is_empty() && name.bytes().all(inner) && !name.starts_with('-') && !name.ends_with('-')
}

/// Whether Kubernetes accepts the name and namespace of `object`; if not, adds a finding.
pub(crate) fn is_named_well(object: &Object, root: &Cursor<'_>) -> bool {
    if !is_object_name(&object.name) {
        root.report_in(
            "metadata.name",
            Code::NameNotValid,
            "is not a valid object name; use lower-case letters, digits, - and ., 253 characters at most",
        );
        return false;
    }
    if !is_dns_label(&object.namespace) {
        root.report_in(
            "metadata.namespace",
            Code::NameNotValid,
            "is not a valid DNS label; use lower-case letters, digits and -, 63 characters at most",
        );
        return false;
    }
    true
}

/// The reason why Kubernetes rejects a label.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LabelError {
    /// Its name is not valid.
    #[error(
        "{} is not a valid label name; use letters, digits, -, _ and ., 63 characters at most, after an optional DNS name and /",
        quote(.0)
    )]
    Name(String),
    /// Its value is not valid.
    #[error("{} is not a valid label value; use letters, digits, -, _ and ., 63 characters at most", quote(.0))]
    Value(String),
}

/// Checks that Kubernetes accepts this label.
pub(crate) fn check_label(key: &str, value: &str) -> Result<(), LabelError> {
    let (prefix, name) = match key.split_once('/') {
        None => (None, key),
        Some((prefix, name)) => (Some(prefix), name),
    };
    if !is_qualified(name) || !prefix.is_none_or(is_object_name) {
        return Err(LabelError::Name(key.into()));
    }
    if !value.is_empty() && !is_qualified(value) {
        return Err(LabelError::Value(value.into()));
    }
    Ok(())
}

/// Whether a text is what Kubernetes calls a qualified name.
fn is_qualified(name: &str) -> bool {
    let is_outer = |byte: &u8| byte.is_ascii_alphanumeric();
    let bytes = name.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes.iter().all(|byte| is_outer(byte) || b"-_.".contains(byte))
        && bytes.first().is_some_and(is_outer)
        && bytes.last().is_some_and(is_outer)
}

/// Labels as in `app=web,version=v1`; sorted, so equal labels give equal texts.
pub(crate) fn describe_labels(labels: &Labels) -> String {
    let pairs: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_and_services_have_labels_of_63() {
        let long = "a".repeat(64);
        let longest = "a".repeat(253);
        for (name, is_label, is_host, is_object) in [
            ("a-1", true, true, true),
            ("a.b-c.d", false, true, true),
            (&*long, false, false, true),
            (&*format!("{long}.b"), false, false, true),
            (&*longest, false, false, true),
            (&*format!("{longest}a"), false, false, false),
            ("", false, false, false),
            ("a..b", false, false, false),
            ("-a", false, false, false),
            ("a.b-", false, false, false),
            ("A", false, false, false),
            ("a_b", false, false, false),
        ] {
            let is = (is_dns_label(name), is_dns_subdomain(name), is_object_name(name));
            assert_eq!(is, (is_label, is_host, is_object), "{name}");
        }
    }

    #[test]
    fn labels_are_those_of_kubernetes() {
        for (key, value) in [
            ("version", "v1"),
            ("version", ""),
            ("app.kubernetes.io/version", "1.2.3_a-B"),
            ("A_b.c-d", "x"),
        ] {
            assert_eq!(check_label(key, value), Ok(()), "{key}={value}");
        }
        let long = "a".repeat(64);
        for (key, value) in [
            ("", "v1"),
            ("-a", "v1"),
            ("a|b", "v1"),
            ("a,b", "v1"),
            ("a=b", "v1"),
            ("a\nb", "v1"),
            ("a/b/c", "v1"),
            ("/a", "v1"),
            ("a/", "v1"),
            ("Upper.example/a", "v1"),
            (&*long, "v1"),
            ("a", "v|1"),
            ("a", "v1,b=c"),
            ("a", "v1\n"),
            ("a", "-v1"),
            ("a", "v 1"),
            ("a", "\u{e9}"),
            ("a", &*long),
        ] {
            assert!(check_label(key, value).is_err(), "{key}={value}");
        }
    }
}
