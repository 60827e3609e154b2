//! The paths of Ingress rules: Kubernetes' path types, and Istio's notation in
//! the paths that have none.

use ingress_filter::Pattern;
use ingress_filter::table::PathMatch;

use crate::finding::quote;

/// `pathType`. Of two equal paths, the type that stands first here wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PathType {
    Exact,
    Prefix,
    ImplementationSpecific,
}

impl PathType {
    pub(super) fn parse(name: &str) -> Result<Self, String> {
        match name {
            "Exact" => Ok(Self::Exact),
            "Prefix" => Ok(Self::Prefix),
            "ImplementationSpecific" => Ok(Self::ImplementationSpecific),
            other => Err(format!(
                "{} is no path type; use Exact, Prefix or ImplementationSpecific",
                quote(other)
            )),
        }
    }

    /// How `path` of this type matches, or why it never could. Regular
    /// expressions are a matter of `regex_paths`.
    pub(super) fn parse_path(self, path: &str, regex_paths: bool) -> Result<PathMatch, String> {
        let parsed = match self {
            Self::Exact => PathMatch::Exact(path.into()),
            Self::Prefix => PathMatch::Prefix(path.into()),
            Self::ImplementationSpecific if is_regex(path) => return regex_path(path, regex_paths),
            Self::ImplementationSpecific => istio_path(path),
        };
        check(&parsed).map_err(|reason| format!("{} {reason}", quote(path)))?;
        Ok(parsed)
    }
}

/// What a regular expression is told by, as in the original.
const REGEX_CHARACTERS: &str = r"\+*?()|[]{}^$";

/// Whether a path says more than Istio's notation can.
fn is_regex(path: &str) -> bool {
    let text = istio_prefix(path).unwrap_or(path);
    text.contains(|character| REGEX_CHARACTERS.contains(character))
}

fn regex_path(path: &str, regex_paths: bool) -> Result<PathMatch, String> {
    if !regex_paths {
        return Err(format!(
            "{} looks like a regular expression, which is not served; end the path in .* for a prefix, \
             give it pathType: Exact or Prefix, where every character stands for itself, or allow it with --regex-paths",
            quote(path)
        ));
    }
    Pattern::new(path).map_err(|reason| format!("{} {reason}", quote(path)))?;
    Ok(PathMatch::Regex(path.into()))
}

/// What stands before `.*`, or before `*` after a slash.
fn istio_prefix(path: &str) -> Option<&str> {
    path.strip_suffix(".*").or_else(|| path.strip_suffix('*').filter(|rest| rest.ends_with('/')))
}

/// Istio's notation: `.*` at the end is a prefix of the string, everything else
/// is exact.
fn istio_path(path: &str) -> PathMatch {
    match istio_prefix(path) {
        _ if path.is_empty() => PathMatch::StringPrefix("/".into()),
        Some("") => PathMatch::StringPrefix("/".into()),
        Some(text) => PathMatch::StringPrefix(text.into()),
        None => PathMatch::Exact(path.into()),
    }
}

/// Refuses a path that no request has once Envoy has normalised it: it could
/// never match, or would match something other than it says.
fn check(path: &PathMatch) -> Result<(), String> {
    // The last element of a string prefix goes on: `/.` is that of `/.well-known`.
    let elements = match path {
        PathMatch::StringPrefix(text) => text.rsplit_once('/').map_or("", |(before, _)| before),
        PathMatch::Exact(text) | PathMatch::Prefix(text) | PathMatch::Regex(text) => text,
    };
    let path = path.text();
    if !path.starts_with('/') {
        return Err("does not start with /; put one in front".into());
    }
    let impossible = |what: &str, remedy: &str| {
        Err(format!("holds {what}, which no request's path does once it is normalised; {remedy}"))
    };
    for character in path.chars() {
        match character {
            '?' | '#' => {
                return impossible(&format!("`{character}`"), "a path ends before its query");
            }
            '\\' => return impossible("a backslash", "write /"),
            ' ' => return impossible("a space", "write it as %20, as clients send it"),
            '"' | '<' | '>' | '`' | '{' | '}' | '^' | '|' => {
                return impossible(
                    &format!("`{character}`"),
                    "write it percent-encoded, as clients send it",
                );
            }
            character if !character.is_ascii_graphic() => {
                return impossible(
                    &format!("the character {}", character.escape_default()),
                    "write it percent-encoded, as clients send it",
                );
            }
            _ => {}
        }
    }
    if path.contains("//") {
        return impossible("//", "slashes are merged; write one");
    }
    // What comes after `;` is no part of a dot segment to Envoy.
    let is_dot_segment = |element: &str| matches!(element.split(';').next(), Some("." | ".."));
    if elements.split('/').any(is_dot_segment) {
        return impossible("an element . or ..", "write the path it leads to");
    }
    check_escapes(path)
}

/// Envoy decodes what need not be encoded, and refuses encoded slashes and NUL.
fn check_escapes(path: &str) -> Result<(), String> {
    for (start, _) in path.match_indices('%') {
        let Some(escape) = path.get(start..start + 3) else { continue };
        let Ok(byte) = u8::from_str_radix(&escape[1..], 16) else { continue };
        let remedy = match byte {
            b'/' | b'\\' | 0 => "requests with it are refused; leave it out",
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                "write the character itself"
            }
            _ => continue,
        };
        return Err(format!(
            "holds {escape}, which no request's path does once it is normalised; {remedy}"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(path: &str) -> PathMatch {
        PathMatch::Exact(path.into())
    }

    fn string_prefix(path: &str) -> PathMatch {
        PathMatch::StringPrefix(path.into())
    }

    #[test]
    fn istios_notation() {
        for (path, expected) in [
            ("/status/.*", string_prefix("/status/")),
            ("/foo.*", string_prefix("/foo")),
            ("/.*", string_prefix("/")),
            (".*", string_prefix("/")),
            ("", string_prefix("/")),
            ("/*", string_prefix("/")),
            ("/foo/*", string_prefix("/foo/")),
            ("/foo", exact("/foo")),
            ("/foo/", exact("/foo/")),
            ("/file.txt", exact("/file.txt")),
            ("/a;b=c", exact("/a;b=c")),
        ] {
            assert_eq!(
                PathType::ImplementationSpecific.parse_path(path, false),
                Ok(expected),
                "{path}"
            );
        }
    }

    #[test]
    fn a_regular_expression_elsewhere_is_an_error() {
        for path in ["/foo*", "/a.*/b", "/(a|b)", "/a+", "/[a-z]", "/foo$", "/a?", "/.*/.*", r"/\d"]
        {
            let message = PathType::ImplementationSpecific.parse_path(path, false).unwrap_err();
            assert!(message.contains("regular expression"), "{path}: {message}");
        }
        assert_eq!(PathType::Exact.parse_path("/foo(.*)", false), Ok(exact("/foo(.*)")));
    }

    #[test]
    fn the_setting_allows_regular_expressions() {
        let parse = |path: &str| PathType::ImplementationSpecific.parse_path(path, true);
        for path in ["/foo*", "/a.*/b", "/(a|b)", r"/v\d+/.*", "/.*/.*"] {
            assert_eq!(parse(path), Ok(PathMatch::Regex(path.into())), "{path}");
        }
        assert_eq!(parse("/status/.*"), Ok(string_prefix("/status/")), "still a prefix");
        let message = parse("/(?=a)b").unwrap_err();
        assert!(message.contains("look-around"), "{message}");
        assert_eq!(
            PathType::Prefix.parse_path("/a.*/b", true),
            Ok(PathMatch::Prefix("/a.*/b".into()))
        );
    }

    #[test]
    fn what_normalisation_never_yields_is_an_error() {
        for path in [
            "foo",
            "/a b",
            "/a\n",
            "/a?b",
            "/a#b",
            "/caf\u{e9}",
            "/a\\b",
            "//",
            "/a//b",
            "/./a",
            "/a/..",
            "/a/../b",
            "/%2f",
            "/%5C",
            "/%00",
            "/%61",
            "/%2e%2e",
            "/\u{0}",
            "/{id}",
            "/<a>",
            "/a^b",
            "/a|b",
            "/a/..;/b",
            "/.;x",
        ] {
            assert!(PathType::Exact.parse_path(path, false).is_err(), "{path:?}");
            assert!(PathType::Prefix.parse_path(path, false).is_err(), "{path:?}");
        }
        for path in
            ["/a;b", "/%20", "/caf%C3%A9", "/%", "/%zz", "/%e", "/...", "/.a", "/a%25", "/a%3f"]
        {
            assert!(PathType::Exact.parse_path(path, false).is_ok(), "{path:?}");
        }
    }
}
