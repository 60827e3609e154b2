//! Percent-encoded bytes in paths: the digits of an escape have no case (RFC 3986 section
//! 6.2.2.1).

use std::borrow::Cow;

/// The target of a request.
pub(crate) struct Target<'t> {
    pub(crate) written: &'t [u8],
    /// The same, with the path as routes compare it.
    pub(crate) canonical: Cow<'t, [u8]>,
    /// Whether the path has any `%`.
    pub(crate) has_escapes: bool,
}

impl<'t> Target<'t> {
    pub(crate) fn new(written: &'t [u8]) -> Self {
        let first = || written.iter().find(|byte| matches!(byte, b'%' | b'?' | b'#'));
        // Most targets have no escapes at all, which one search for one byte shows.
        let has_escapes = written.contains(&b'%') && first() == Some(&b'%');
        let canonical = if has_escapes { canonical(written) } else { Cow::Borrowed(written) };
        Self { written, canonical, has_escapes }
    }
}

/// The path with all digits of escapes in upper case.
pub(crate) fn canonical(path: &[u8]) -> Cow<'_, [u8]> {
    let mut upper = Cow::Borrowed(path);
    for (at, part) in path.windows(3).enumerate() {
        let [b'%', high, low] = part else { continue };
        let is_escape = high.is_ascii_hexdigit() && low.is_ascii_hexdigit();
        if is_escape && (high.is_ascii_lowercase() || low.is_ascii_lowercase()) {
            let digits = upper.to_mut().iter_mut().skip(at.saturating_add(1)).take(2);
            digits.for_each(u8::make_ascii_uppercase);
        }
    }
    upper
}

/// As [`canonical`].
pub(crate) fn canonical_text(path: &str) -> Cow<'_, str> {
    match canonical(path.as_bytes()) {
        Cow::Owned(bytes) => String::from_utf8_lossy(&bytes).into_owned().into(),
        Cow::Borrowed(_) => Cow::Borrowed(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_path_counts() {
        for (target, expected, has_escapes) in [
            ("/a", "/a", false),
            ("/a?%c3", "/a?%c3", false),
            ("/a#%c3", "/a#%c3", false),
            ("/%c3", "/%C3", true),
            ("/%", "/%", true),
        ] {
            let Target { canonical, has_escapes: has, .. } = Target::new(target.as_bytes());
            assert_eq!((&*canonical, has), (expected.as_bytes(), has_escapes), "{target}");
        }
    }

    #[test]
    fn digits_have_no_case() {
        for (path, expected) in [
            ("/a", "/a"),
            ("/%c3%a9", "/%C3%A9"),
            ("/%C3%a9x%2", "/%C3%A9x%2"),
            ("/%cg%%aa%zz%", "/%cg%%AA%zz%"),
            ("/%aa%", "/%AA%"),
            ("/abc%41abc", "/abc%41abc"),
        ] {
            assert_eq!(canonical_text(path), expected, "{path}");
        }
    }
}
