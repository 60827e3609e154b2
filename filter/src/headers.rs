//! Header names, values, and edits.

use std::borrow::Cow;

/// A change to a header of a request or a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderEdit<'t> {
    /// The header's name, in lower case.
    pub name: Cow<'t, str>,
    /// Its value.
    pub value: Cow<'t, [u8]>,
    /// Whether it stands beside those of the same name that are there, or in
    /// place of them.
    pub appends: bool,
}

impl<'t> HeaderEdit<'t> {
    /// One value, in place of all there are.
    pub(crate) fn set(name: &'t str, value: impl Into<Cow<'t, [u8]>>) -> Self {
        Self { name: name.into(), value: value.into(), appends: false }
    }

    /// One more value.
    pub(crate) fn append(name: &'t str, value: impl Into<Cow<'t, [u8]>>) -> Self {
        Self { appends: true, ..Self::set(name, value) }
    }

    /// As [`Self::set`], of a number.
    pub(crate) fn number(name: &'t str, value: u32) -> Self {
        Self::set(name, value.to_string().into_bytes())
    }

    /// The same, for as long as anyone likes.
    pub fn into_owned(self) -> HeaderEdit<'static> {
        HeaderEdit {
            name: Cow::Owned(self.name.into_owned()),
            value: Cow::Owned(self.value.into_owned()),
            appends: self.appends,
        }
    }
}

/// Whether a header may be called so (RFC 9110 section 5.1), as HTTP/2 spells
/// it: in lower case.
pub(crate) fn is_name(name: &str) -> bool {
    let is_token =
        |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9') || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_token)
}

/// Whether a header may have this value: visible ASCII, with spaces and tabs
/// only inside (RFC 9110 section 5.5).
pub(crate) fn is_value(value: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\t');
    value.bytes().all(is_inner) && value.trim() == value
}
