//! The values of a rule's fields. Each is `None`, with a finding, if it is not valid.

use std::fmt::Display;
use std::ops::RangeInclusive;

use ingress_filter::{duration, host_of};
use thiserror::Error;

use crate::finding::{Code, quote};
use crate::objects::Cursor;

/// The prefixes of headers between the filter and Envoy, which rules may not set.
pub(super) const RESERVED_PREFIXES: [&str; 2] = ["x-ingress-", "x-envoy-"];

/// A whole number in `range`, without wrapping.
pub(super) fn integer<T>(cursor: &Cursor<'_>, range: &RangeInclusive<T>) -> Option<T>
where
    T: TryFrom<i64> + PartialOrd + Display,
{
    let number = cursor.node().as_i64().and_then(|number| T::try_from(number).ok());
    let number = number.filter(|number| range.contains(number));
    if number.is_none() {
        cursor.wrong_kind(&format!("a whole number, {} to {}", range.start(), range.end()));
    }
    number
}

pub(super) fn int32(cursor: &Cursor<'_>) -> Option<i32> {
    integer(cursor, &(i32::MIN..=i32::MAX))
}

/// A percentage, as a number per million.
pub(super) fn percent(cursor: &Cursor<'_>) -> Option<u32> {
    // No range contains NaN.
    let percent = cursor.node().as_f64().filter(|percent| (0.0..=100.0).contains(percent));
    let Some(percent) = percent else {
        cursor.wrong_kind("a percentage, 0 to 100");
        return None;
    };
    let per_million = (percent * 10_000.0).round();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is between 0 and a million"
    )]
    let per_million = per_million as u32;
    if per_million == 0 && percent > 0.0 {
        let message = "is less than one request in a million; write 0.0001 or more, or 0";
        cursor.report(Code::FaultNotValid, message);
        return None;
    }
    Some(per_million)
}

/// A duration, in milliseconds.
pub(super) fn duration(cursor: &Cursor<'_>) -> Option<u32> {
    let Some(text) = cursor.node().as_str() else {
        cursor.wrong_kind("a duration such as 4s or 500ms");
        return None;
    };
    let duration = duration::parse(text.as_bytes());
    if duration.is_none() {
        let message = format!(
            "{} is not a duration from 1ms to 49 days; write it as in 4s, 500ms or 1m30s",
            quote(text)
        );
        cursor.report(Code::DurationNotValid, message);
    }
    duration
}

/// A duration of whole seconds, which may be 0.
pub(super) fn seconds(cursor: &Cursor<'_>) -> Option<u32> {
    if cursor.node().as_str() == Some("0s") {
        return Some(0);
    }
    let milliseconds = duration(cursor)?;
    if milliseconds % 1_000 != 0 {
        let message = "is not a whole number of seconds; write it as in 60s or 24h";
        cursor.report(Code::DurationNotValid, message);
        return None;
    }
    Some(milliseconds / 1_000)
}

/// A text of visible ASCII characters that is not empty.
pub(super) fn visible<'a>(cursor: &Cursor<'a>) -> Option<&'a str> {
    let text = cursor.as_string()?;
    if text.is_empty() {
        cursor.report(Code::ValueEmpty, "is empty; set a value, or remove the field");
        return None;
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let message = format!(
            "{} contains a space, a control character or a character outside ASCII; remove it",
            quote(text)
        );
        cursor.report(Code::CharacterNotAllowed, message);
        return None;
    }
    Some(text)
}

/// A host with or without a port.
pub(super) fn authority(cursor: &Cursor<'_>) -> Option<String> {
    let text = visible(cursor)?;
    let is_host = host_of(text.as_bytes()).is_some_and(|host| !host.is_empty());
    if !is_host {
        let message = format!(
            "{} is not a valid host; write a DNS name or an IP address, with a port if needed, as in example.com:8080",
            quote(text)
        );
        cursor.report(Code::AuthorityNotValid, message);
    }
    is_host.then(|| text.to_owned())
}

/// The reason why a text is not a valid header name in HTTP/2.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{} is not a valid header name: {}", quote(name), self.remedy())]
pub(super) struct HeaderNameError {
    name: String,
}

impl HeaderNameError {
    fn remedy(&self) -> &'static str {
        match &*self.name {
            "" => "it must not be empty",
            name if name.starts_with(':') => {
                "pseudo-headers, which start with a colon, are not allowed"
            }
            name if name.bytes().any(|byte| byte.is_ascii_uppercase()) => "write it in lower case",
            _ => "use lower-case letters, digits and -",
        }
    }
}

/// A header name in the spelling of HTTP/2.
pub(super) fn check_header_name(name: &str) -> Result<(), HeaderNameError> {
    let is_token =
        |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9') || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !name.is_empty() && name.bytes().all(is_token) {
        return Ok(());
    }
    Err(HeaderNameError { name: name.into() })
}

/// Whether a header is used between the filter and Envoy.
pub(super) fn is_reserved(name: &str) -> bool {
    RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The header in `overrideHeaderName`, with which clients may override a value.
pub(super) fn override_header(cursor: &Cursor<'_>) -> Option<String> {
    let field = cursor.field("overrideHeaderName")?;
    let name = field.as_string()?;
    if let Err(error) = check_header_name(name) {
        field.report(Code::HeaderNameNotValid, error.to_string());
        return None;
    }
    if is_reserved(name) {
        let message = format!(
            "{} is removed from every request, because clients must not set it; choose another name",
            quote(name)
        );
        field.report(Code::HeaderNotAllowed, message);
        return None;
    }
    Some(name.to_owned())
}
