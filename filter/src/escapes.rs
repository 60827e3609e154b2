//! Percent-encoded bytes in paths: the digits of an escape have no case (RFC 3986 section
//! 6.2.2.1).

use std::borrow::Cow;

/// The path with all digits of escapes in upper case.
pub(crate) fn canonical(path: &[u8]) -> Cow<'_, [u8]> {
    // Most paths have no escapes at all.
    if !path.contains(&b'%') {
        return Cow::Borrowed(path);
    }
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
