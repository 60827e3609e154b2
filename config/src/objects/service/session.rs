//! The annotation of a Service that keeps each client at one endpoint.

use super::super::Cursor;
use super::super::annotations::Own;
use crate::finding::{Code, quote};

pub(super) const COOKIE: &str = "session-cookie";

/// The longest name of a cookie: each response to a new client contains it.
const LONGEST: usize = 64;

/// The name of the cookie that identifies a client, if the service has sessions.
pub(super) fn cookie(own: &Own<'_>) -> Option<Box<str>> {
    own.get(COOKIE).and_then(name)
}

fn name(field: &Cursor<'_>) -> Option<Box<str>> {
    let text = field.as_string()?;
    let is_name = text.len() <= LONGEST && ingress_filter::is_cookie_name(text);
    if !is_name {
        let message = format!(
            "{} is not the name of a cookie; use letters, digits, -, _ and ., {LONGEST} characters at most",
            quote(text)
        );
        field.report(Code::AnnotationNotValid, message);
    }
    is_name.then(|| text.into())
}
