//! The paths of Ingress rules: Kubernetes' path types, and Istio's notation for paths
//! without a type.

use std::fmt;

use ingress_filter::table::PathMatch;

use crate::finding::{Code, quote};

/// `pathType`. Of two equal paths, the type that is first here wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PathType {
    Exact,
    Prefix,
    ImplementationSpecific,
}

/// An invalid path type.
#[derive(Debug)]
pub(super) struct PathTypeError<'a>(&'a str);

impl fmt::Display for PathTypeError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(name) = self;
        write!(f, "{} is not a path type; use Exact, Prefix or ImplementationSpecific", quote(name))
    }
}

impl PathType {
    pub(super) fn parse(name: &str) -> Result<Self, PathTypeError<'_>> {
        match name {
            "Exact" => Ok(Self::Exact),
            "Prefix" => Ok(Self::Prefix),
            "ImplementationSpecific" => Ok(Self::ImplementationSpecific),
            other => Err(PathTypeError(other)),
        }
    }

    /// How a path of this type matches, or the reason why it cannot match. Regular
    /// expressions are neither checked nor compared with the settings.
    pub(super) fn parse_path(self, path: &str) -> Result<PathMatch, PathError> {
        let parsed = match self {
            Self::Exact => PathMatch::Exact(path.into()),
            Self::Prefix => PathMatch::Prefix(path.into()),
            Self::ImplementationSpecific if is_regex(path) => {
                return Ok(PathMatch::Regex(path.into()));
            }
            Self::ImplementationSpecific => istio_path(path),
        };
        match check(&parsed) {
            Err(_) if self.is_literal_regex(path) => Err(PathError::Regex),
            checked => checked.map(|()| parsed),
        }
    }

    /// Whether `path` looks like a regular expression, but is not one with this type.
    pub(super) fn is_literal_regex(self, path: &str) -> bool {
        matches!(self, Self::Exact | Self::Prefix) && looks_like_regex(path)
    }
}

/// Parts of regular expressions that are rare in plain paths.
const REGEX_PARTS: [&str; 19] = [
    ".*", ".+", "(?", "(/|", "|$", "$)", ")?", ")*", ")+", "[^", "[a-", "[A-", "[0-9", "]+", "]*",
    "\\d", "\\w", "\\s", "\\.",
];

/// Whether `path` is probably intended as a regular expression.
fn looks_like_regex(path: &str) -> bool {
    REGEX_PARTS.iter().any(|part| path.contains(part))
        || path.starts_with('^')
        || path.starts_with("/^")
        || path.ends_with(['*', '$'])
        || path.ends_with("/?")
}

/// The reason why no request has this path after Envoy has normalised it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PathError {
    /// It does not start with a slash.
    Relative,
    /// It has `?` or `#`.
    EndOfPath(char),
    Backslash,
    Space,
    /// It has a character that clients encode, visible or not.
    Unencoded(char),
    EmptyElement,
    DotSegment,
    /// Envoy rejects requests with this percent-encoded byte.
    RefusedEscape([u8; 3]),
    /// Envoy decodes this percent-encoded byte.
    DecodedEscape([u8; 3]),
    /// It is a regular expression, but its type compares it literally.
    Regex,
}

impl PathError {
    pub(super) fn code(self) -> Code {
        match self {
            Self::Relative => Code::PathNotAbsolute,
            Self::Regex => Code::RegexInPlainPath,
            Self::EndOfPath(_)
            | Self::Backslash
            | Self::Space
            | Self::Unencoded(_)
            | Self::EmptyElement
            | Self::DotSegment
            | Self::RefusedEscape(_)
            | Self::DecodedEscape(_) => Code::PathNotNormalized,
        }
    }
}

/// The remedy for a regular expression that its type compares literally.
pub(super) const LITERAL_REGEX: &str = "but Exact and Prefix match every character literally; write a plain path, or use pathType: ImplementationSpecific with --regex-paths";

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ENCODE: &str = "write it percent-encoded, as clients send it";
        let mut impossible = |what: fmt::Arguments<'_>, remedy: &str| {
            write!(
                f,
                "contains {what}, which no path of a request contains after normalization; {remedy}"
            )
        };
        match self {
            Self::Relative => f.write_str("does not start with /; add it"),
            Self::EndOfPath(character) => impossible(
                format_args!("`{character}`"),
                "write the path alone, without query and fragment",
            ),
            Self::Backslash => impossible(format_args!("a backslash"), "write /"),
            Self::Space => {
                impossible(format_args!("a space"), "write it as %20, as clients send it")
            }
            Self::Unencoded(character) if character.is_ascii_graphic() => {
                impossible(format_args!("`{character}`"), ENCODE)
            }
            Self::Unencoded(character) => {
                impossible(format_args!("the character {}", character.escape_default()), ENCODE)
            }
            Self::EmptyElement => {
                impossible(format_args!("//"), "write one slash, because several are merged")
            }
            Self::DotSegment => {
                impossible(format_args!("an element . or .."), "write the path without it")
            }
            Self::RefusedEscape(escape) => impossible(
                format_args!("{}", escape.escape_ascii()),
                "remove it, because requests with it are refused",
            ),
            Self::Regex => write!(f, "looks like a regular expression, {LITERAL_REGEX}"),
            Self::DecodedEscape(escape) => {
                impossible(format_args!("{}", escape.escape_ascii()), "write the character itself")
            }
        }
    }
}

/// The characters that identify a regular expression, as in Istio 0.5.
const REGEX_CHARACTERS: &str = r"\+*?()|[]{}^$";

/// Whether a path is a regular expression beyond Istio's notation.
fn is_regex(path: &str) -> bool {
    let text = istio_prefix(path).unwrap_or(path);
    text.contains(|character| REGEX_CHARACTERS.contains(character))
}

/// The text before `.*`, or before `*` after a slash.
fn istio_prefix(path: &str) -> Option<&str> {
    path.strip_suffix(".*").or_else(|| path.strip_suffix('*').filter(|rest| rest.ends_with('/')))
}

/// Istio's notation: a path that ends in `.*` is a string prefix, all others are exact.
fn istio_path(path: &str) -> PathMatch {
    match istio_prefix(path) {
        _ if path.is_empty() => PathMatch::StringPrefix("/".into()),
        Some("") => PathMatch::StringPrefix("/".into()),
        Some(text) => PathMatch::StringPrefix(text.into()),
        None => PathMatch::Exact(path.into()),
    }
}

/// Rejects a path that no request has after Envoy has normalised it, because it would
/// never match, or match other paths than intended.
fn check(path: &PathMatch) -> Result<(), PathError> {
    // The last element of a string prefix may continue: `/.` is a prefix of
    // `/.well-known`.
    let elements = match path {
        PathMatch::StringPrefix(text) => text.rsplit_once('/').map_or("", |(before, _)| before),
        PathMatch::Exact(text) | PathMatch::Prefix(text) | PathMatch::Regex(text) => text,
    };
    let path = path.text();
    if !path.starts_with('/') {
        return Err(PathError::Relative);
    }
    for character in path.chars() {
        return Err(match character {
            '?' | '#' => PathError::EndOfPath(character),
            '\\' => PathError::Backslash,
            ' ' => PathError::Space,
            '"' | '<' | '>' | '`' | '{' | '}' | '^' | '|' => PathError::Unencoded(character),
            _ if !character.is_ascii_graphic() => PathError::Unencoded(character),
            _ => continue,
        });
    }
    if path.contains("//") {
        return Err(PathError::EmptyElement);
    }
    // To Envoy, the text after `;` is not part of a dot segment.
    let is_dot_segment = |element: &str| matches!(element.split(';').next(), Some("." | ".."));
    if elements.split('/').any(is_dot_segment) {
        return Err(PathError::DotSegment);
    }
    check_escapes(path)
}

/// Envoy decodes unreserved characters, and rejects encoded slashes and NUL.
fn check_escapes(path: &str) -> Result<(), PathError> {
    for escape in path.as_bytes().windows(3).filter(|window| window[0] == b'%') {
        let escape = [escape[0], escape[1], escape[2]];
        let digits = std::str::from_utf8(&escape[1..]).ok();
        let Some(Ok(byte)) = digits.map(|digits| u8::from_str_radix(digits, 16)) else { continue };
        match byte {
            b'/' | b'\\' | 0 => return Err(PathError::RefusedEscape(escape)),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                return Err(PathError::DecodedEscape(escape));
            }
            _ => {}
        }
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
            assert_eq!(PathType::ImplementationSpecific.parse_path(path), Ok(expected), "{path}");
        }
    }

    #[test]
    fn what_says_more_than_that_is_a_regular_expression() {
        let parse = |path: &str| PathType::ImplementationSpecific.parse_path(path);
        for path in ["/foo*", "/a.*/b", "/(a|b)", "/a+", "/[a-z]", "/foo$", "/a?", "/.*/.*", r"/\d"]
        {
            assert_eq!(parse(path), Ok(PathMatch::Regex(path.into())), "{path}");
        }
        assert_eq!(parse("/status/.*"), Ok(string_prefix("/status/")), "still a prefix");
        assert_eq!(PathType::Exact.parse_path("/foo(.*)"), Ok(exact("/foo(.*)")));
        assert_eq!(PathType::Prefix.parse_path("/a.*/b"), Ok(PathMatch::Prefix("/a.*/b".into())));
    }

    #[test]
    fn a_regular_expression_of_a_literal_type_is_called_one() {
        for path in ["/foo(/|$)(.*)", "/a|b$", "^/foo", "/\\d{2}", "/foo/?", "/[^/]+?x"] {
            assert_eq!(PathType::Prefix.parse_path(path), Err(PathError::Regex), "{path}");
            assert_eq!(PathType::Exact.parse_path(path), Err(PathError::Regex), "{path}");
        }
        for path in ["/foo(.*)", "/foo/*", "/foo$", "/.*", "/a.*/b", "/[0-9]+"] {
            assert!(PathType::Prefix.parse_path(path).is_ok(), "{path}");
            assert!(PathType::Prefix.is_literal_regex(path), "{path}");
            assert!(!PathType::ImplementationSpecific.is_literal_regex(path), "{path}");
        }
        for path in ["/", "/wiki/Foo_(bar)", "/a+b", "/$metadata", "/a*b", "/v1.0/", "/@x", "/a[0]"]
        {
            assert!(!PathType::Exact.is_literal_regex(path), "{path}");
        }
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
            assert!(PathType::Exact.parse_path(path).is_err(), "{path:?}");
            assert!(PathType::Prefix.parse_path(path).is_err(), "{path:?}");
        }
        for path in
            ["/a;b", "/%20", "/caf%C3%A9", "/%", "/%zz", "/%e", "/...", "/.a", "/a%25", "/a%3f"]
        {
            assert!(PathType::Exact.parse_path(path).is_ok(), "{path:?}");
        }
    }
}
