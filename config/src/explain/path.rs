//! Normalises the path of a request target like Envoy with `normalize_path`,
//! `merge_slashes` and a `path_with_escaped_slashes_action`.

use std::fmt::Write;

use crate::settings::EscapedSlashes;

/// The reason why Envoy rejects a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RefusedPath {
    EncodedSlash,
    EncodedNul,
}

impl RefusedPath {
    pub(super) fn why(self) -> &'static str {
        match self {
            Self::EncodedSlash => "the path contains an encoded slash or backslash",
            Self::EncodedNul => "the path contains an encoded NUL",
        }
    }
}

/// Normalises a request target like Envoy: decodes unnecessary escapes, resolves dot
/// segments and merges slashes. The query is unchanged.
///
/// # Errors
/// If Envoy rejects the path.
pub(super) fn normalize(target: &str, slashes: EscapedSlashes) -> Result<String, RefusedPath> {
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    let lower = path.to_ascii_lowercase();
    let is_escaped = lower.contains("%2f") || lower.contains("%5c");
    if is_escaped && slashes == EscapedSlashes::Reject {
        return Err(RefusedPath::EncodedSlash);
    }
    if lower.contains("%00") {
        return Err(RefusedPath::EncodedNul);
    }
    Ok(merge_slashes(resolve(&recode(&without_parameters(path)))) + query)
}

/// Removes the parameters of dot segments: `..;x` becomes `..`.
fn without_parameters(path: &str) -> String {
    let dots_of = |element: &'_ str| match element.split_once(';') {
        Some((dots @ ("." | ".."), _)) => dots.len(),
        _ => element.len(),
    };
    let elements: Vec<_> = path.split('/').map(|element| &element[..dots_of(element)]).collect();
    elements.join("/")
}

/// Decodes escapes of unreserved characters (RFC 3986 section 2.3), encodes characters
/// that are not allowed in a path, and replaces `\` by `/`.
fn recode(path: &str) -> String {
    let mut recoded = String::with_capacity(path.len());
    // The position of the last `%` that does not start an escape.
    let mut lone_percent = None;
    let mut rest = path.chars();
    while let Some(character) = rest.next() {
        match (character, escaped(rest.as_str())) {
            ('%', Some(plain)) => {
                let digits = rest.as_str().split_at(2);
                rest = digits.1.chars();
                if plain.is_ascii_alphanumeric() || matches!(plain, '-' | '.' | '_' | '~') {
                    recoded.push(plain);
                    disarm(&mut recoded, lone_percent, rest.as_str());
                } else {
                    recoded.push('%');
                    recoded.push_str(digits.0);
                }
            }
            ('%', None) => {
                lone_percent = Some(recoded.len());
                recoded.push('%');
            }
            ('\\', _) => recoded.push('/'),
            ('"' | '<' | '>' | '`' | '{' | '}' | '^' | '|', _) => {
                let _ = write!(recoded, "%{:02X}", u32::from(character));
            }
            (character, _) => recoded.push(character),
        }
    }
    recoded
}

/// The character whose escape, without its `%`, `text` starts with.
fn escaped(text: &str) -> Option<char> {
    let digits = text.get(..2).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    u8::from_str_radix(digits?, 16).ok().map(char::from)
}

/// Encodes a lone `%` if it would form an escape with the characters just decoded and
/// maybe the next one.
fn disarm(recoded: &mut String, lone_percent: Option<usize>, rest: &str) {
    let Some(after) = lone_percent.map(|at| at + 1) else { return };
    let is_near = recoded.len() - after <= 2;
    let next = rest.chars().next();
    let following: String = recoded[after..].chars().chain(next).collect();
    if is_near && escaped(&following).is_some() {
        recoded.insert_str(after, "25");
    }
}

/// Resolves dot segments (RFC 3986 section 5.2.4).
fn resolve(path: &str) -> String {
    let mut elements: Vec<&str> = Vec::new();
    let mut parts = path.split('/').skip(1).peekable();
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        match part {
            "." => elements.extend(is_last.then_some("")),
            ".." => {
                elements.pop();
                elements.extend(is_last.then_some(""));
            }
            part => elements.push(part),
        }
    }
    format!("/{}", elements.join("/"))
}

/// Merges slashes. Of a path that is only slashes, Envoy leaves two.
fn merge_slashes(path: String) -> String {
    if !path.contains("//") {
        return path;
    }
    let elements: Vec<_> = path.split('/').filter(|element| !element.is_empty()).collect();
    let end = if path.ends_with('/') { "/" } else { "" };
    format!("/{}{end}", elements.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalize(target: &str) -> Result<String, RefusedPath> {
        super::normalize(target, EscapedSlashes::Reject)
    }

    #[test]
    fn the_target_is_normalised_as_envoy_does() {
        for (target, expected) in [
            ("/", "/"),
            ("//", "//"),
            ("///", "//"),
            ("//.", "//"),
            ("//..", "/"),
            ("//admin", "/admin"),
            ("/./admin", "/admin"),
            ("/x/../admin", "/admin"),
            ("/%61dmin", "/admin"),
            ("/%2e%2e/admin", "/admin"),
            ("/x\\..\\admin", "/admin"),
            ("/a/.", "/a/"),
            ("/a/..", "/"),
            ("/a//b///", "/a/b/"),
            ("/a//../b", "/a/b"),
            ("/x?/../y//z", "/x?/../y//z"),
            ("/..", "/"),
            ("/{a}|^?{", "/%7Ba%7D%7C%5E?{"),
        ] {
            assert_eq!(normalize(target).as_deref(), Ok(expected), "{target}");
        }
        for bad in ["/a%2fb", "/a%5Cb", "/a%00"] {
            assert!(normalize(bad).is_err(), "{bad}");
        }
        let kept = super::normalize("/x/../a%2fb%5C", EscapedSlashes::Keep);
        assert_eq!(kept.as_deref(), Ok("/a%2fb%5C"));
    }

    #[test]
    fn what_is_decoded_makes_no_new_escape() {
        for (target, expected) in [
            ("/%2561dmin", "/%2561dmin"),
            ("/%zz/%", "/%zz/%"),
            ("/%+f", "/%+f"),
            ("/%2%66", "/%252f"),
            ("/%2%67", "/%2g"),
            ("/%%36b", "/%256b"),
            ("/%%36%31", "/%2561"),
            ("/%%61%%62", "/%a%b"),
            ("/%a%62%63", "/%25abc"),
            ("/%2%66%2%66", "/%252f%252f"),
        ] {
            assert_eq!(normalize(target).as_deref(), Ok(expected), "{target}");
        }
    }

    #[test]
    fn a_dot_segment_may_carry_parameters() {
        for (target, expected) in [
            ("/a/..;/b", "/b"),
            ("/a/.;x/b", "/a/b"),
            ("/a/..;x?y", "/?y"),
            ("/a/..;x\\b", "/"),
            ("/a/b;..;/c", "/a/b;..;/c"),
            ("/a/%2e%2e;/b", "/a/..;/b"),
            ("/a\\..;/b", "/a/..;/b"),
        ] {
            assert_eq!(normalize(target).as_deref(), Ok(expected), "{target}");
        }
    }
}
