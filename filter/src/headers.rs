//! Header names, values, and edits.

use std::borrow::Cow;

/// A change to a header of a request or a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderEdit<'t> {
    /// The header's name, in lower case.
    pub name: Cow<'t, str>,
    /// Its value.
    pub value: Cow<'t, [u8]>,
    /// Whether to keep the header's existing values, or to replace them.
    pub appends: bool,
}

impl<'t> HeaderEdit<'t> {
    /// Replaces all values of the header by one.
    pub(crate) fn set(name: &'t str, value: impl Into<Cow<'t, [u8]>>) -> Self {
        Self { name: name.into(), value: value.into(), appends: false }
    }

    /// Adds a value.
    pub(crate) fn append(name: &'t str, value: impl Into<Cow<'t, [u8]>>) -> Self {
        Self { appends: true, ..Self::set(name, value) }
    }

    /// Same as [`Self::set`], with a number.
    pub(crate) fn number(name: &'t str, value: u32) -> Self {
        Self::set(name, value.to_string().into_bytes())
    }

    /// The same edit, without the lifetime.
    pub fn into_owned(self) -> HeaderEdit<'static> {
        HeaderEdit {
            name: Cow::Owned(self.name.into_owned()),
            value: Cow::Owned(self.value.into_owned()),
            appends: self.appends,
        }
    }
}

/// Whether this is a valid header name (RFC 9110 section 5.1) in lower case, as HTTP/2
/// requires.
pub(crate) fn is_name(name: &str) -> bool {
    let is_token =
        |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9') || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_token)
}

/// Whether this is a valid cookie name (RFC 6265 section 4.1.1).
pub fn is_cookie_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// Whether this is a valid header value: visible ASCII, with spaces and tabs only between
/// other characters (RFC 9110 section 5.5).
pub(crate) fn is_value(value: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\t');
    value.bytes().all(is_inner) && value.trim() == value
}
