//! Which spellings of a field name are accepted, and the findings about wrong ones.

use crate::finding::{Code, Finding};
use crate::manifest::{Key, Node, Position};

/// Names at least this similar are considered typos.
const ALIKE: f64 = 0.8;

/// Which spellings of a field name are accepted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As in Kubernetes. An unknown field has no effect, which is a warning.
    Lenient,
    /// As in protobuf, where `httpFault` may be written `http_fault`. An unknown
    /// field is an error.
    Strict,
    /// As in the versions of Envoy's route table check tool, which spell
    /// `test_name` differently. An unknown field is an error. Findings have the
    /// position of the name.
    Test,
}

impl Manner {
    /// Whether `written` is a spelling of `field`.
    pub(super) fn spells(self, written: &str, field: &str) -> bool {
        match self {
            Self::Lenient => written == field,
            Self::Strict => written == field || is_snake_case_of(written, field),
            Self::Test => canonical(written) == field,
        }
    }

    /// The position of the findings about a field.
    pub(super) fn place_of(self, key: &Key, value: &Node) -> Position {
        match self {
            Self::Lenient | Self::Strict => value.at,
            Self::Test => key.at,
        }
    }

    /// The finding for the field `name`, which is not in `known`.
    pub(super) fn unknown(self, name: &str, known: &[&str]) -> Finding {
        let all = known.join(", ");
        let (code, message) = match self {
            Self::Lenient => (
                Code::UnknownField,
                format!("unknown field, which has no effect; known here: {all}"),
            ),
            Self::Strict => (Code::UnknownRuleField, format!("unknown field; known here: {all}")),
            Self::Test => (
                Code::UnknownTestField,
                match nearest(&canonical(name), known) {
                    Some(nearest) => format!("unknown field; did you mean {nearest}?"),
                    None => format!("unknown field; known here: {all}"),
                },
            ),
        };
        Finding::new(code, message)
    }

    /// The finding for the field `name` that also exists as `other`.
    pub(super) fn twice(self, name: &str, other: &str) -> Finding {
        let message = match self {
            Self::Lenient | Self::Strict => {
                format!("is also there as {other}; remove one of the two")
            }
            Self::Test => format!("is given twice, in two spellings; keep one {name}"),
        };
        Finding::new(Code::DuplicateKey, message)
    }
}

/// The most similar name in `known`, if `name` may be a typo of it.
pub(crate) fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let likeness = |known: &str| strsim::normalized_damerau_levenshtein(name, known);
    let nearest = known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    nearest.copied().filter(|nearest| likeness(nearest) >= ALIKE)
}

/// Protobuf's JSON has `testName` for `test_name`; the check tool's first
/// format has `:path` for `path`.
fn canonical(name: &str) -> String {
    let mut canonical = String::with_capacity(name.len());
    for character in name.strip_prefix(':').unwrap_or(name).chars() {
        if character.is_ascii_uppercase() {
            canonical.push('_');
        }
        canonical.push(character.to_ascii_lowercase());
    }
    canonical
}

/// Whether `written` is `camel` as protobuf's definitions write it: `httpFault`
/// as `http_fault`.
fn is_snake_case_of(written: &str, camel: &str) -> bool {
    let mut rest = written.bytes();
    let fits = camel.bytes().all(|byte| {
        if byte.is_ascii_uppercase() && rest.next() != Some(b'_') {
            return false;
        }
        rest.next() == Some(byte.to_ascii_lowercase())
    });
    fits && rest.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snake_case_is_the_definitions_own() {
        for (camel, snake) in [
            ("httpFault", "http_fault"),
            ("l4Fault", "l4_fault"),
            ("http2Error", "http2_error"),
            ("overrideHeaderName", "override_header_name"),
            ("match", "match"),
        ] {
            assert!(is_snake_case_of(snake, camel), "{snake}");
        }
        for (camel, other) in [
            ("httpFault", "httpfault"),
            ("httpFault", "http_Fault"),
            ("httpFault", "http__fault"),
            ("httpFault", "http_fault_"),
            ("httpFault", "http_"),
            ("httpFault", ""),
        ] {
            assert!(!is_snake_case_of(other, camel), "{other}");
        }
    }

    #[test]
    fn spellings_come_to_one() {
        for (name, expected) in
            [("test_name", "test_name"), ("testName", "test_name"), (":path", "path"), ("", "")]
        {
            assert_eq!(canonical(name), expected);
        }
    }

    #[test]
    fn an_unknown_field_names_what_was_meant() {
        let known = &["cluster_name", "path_redirect", "ingress"];
        for (name, expected) in [
            ("cluster_nam", "did you mean cluster_name?"),
            ("clutser_name", "did you mean cluster_name?"),
            ("clusterNames", "did you mean cluster_name?"),
            ("ingres", "did you mean ingress?"),
            ("backend", "known here: cluster_name, path_redirect, ingress"),
        ] {
            let finding = Manner::Test.unknown(name, known);
            assert_eq!(finding.message, format!("unknown field; {expected}"), "{name}");
        }
    }
}
