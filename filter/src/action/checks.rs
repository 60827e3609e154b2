//! Validation of actions.

use crate::authority;
use crate::error::{LoadError, Place};
use crate::headers;
use crate::names::INTERNAL_HEADER_PREFIX;
use crate::random::MILLION;
use crate::table;

/// Headers that delimit a message, control the connection or select the host. With
/// a second value, two hops could interpret the request differently.
const NEVER_APPENDED: [&str; 9] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

pub(super) fn check_appended(header: &table::Header, place: &Place<'_>) -> Result<(), LoadError> {
    let table::Header { name, value } = header;
    let is_reserved = NEVER_APPENDED.contains(&name.as_str())
        || name.starts_with(INTERNAL_HEADER_PREFIX)
        || name.starts_with("x-envoy-");
    if is_reserved || !headers::is_name(name) {
        let reason =
            format!("{name:?} cannot be appended; use a header of the application, in lower case");
        return Err(place.field("name").error(reason));
    }
    if value.is_empty() || !headers::is_value(value) {
        let reason = format!("{value:?} is not a valid header value; use visible ASCII");
        return Err(place.field("value").error(reason));
    }
    Ok(())
}

pub(super) fn check_status(status: u16, place: &Place<'_>) -> Result<(), LoadError> {
    if !(200..=599).contains(&status) {
        return Err(place.error(format!("{status} is not a final status; use 200 to 599")));
    }
    Ok(())
}

pub(super) fn check_ms(ms: u32, place: &Place<'_>) -> Result<(), LoadError> {
    if ms == 0 { Err(place.error("is 0; use at least a millisecond")) } else { Ok(()) }
}

pub(super) fn check_share(per_million: u32, place: &Place<'_>) -> Result<(), LoadError> {
    if per_million > MILLION {
        let reason = format!("{per_million} is more than {MILLION} (every request); lower it");
        return Err(place.field("per_million").error(reason));
    }
    Ok(())
}

pub(super) fn check_override(header: Option<&String>, place: &Place<'_>) -> Result<(), LoadError> {
    match header {
        Some(name) if !headers::is_name(name) => {
            let reason = format!("{name:?} is not a valid header name; write it in lower case");
            Err(place.field("override_header").error(reason))
        }
        _ => Ok(()),
    }
}

/// Checks a path and an authority that are put into a request or a `location`.
pub(super) fn check_target(
    path: Option<&String>,
    authority: Option<&String>,
    place: &Place<'_>,
) -> Result<(), LoadError> {
    if path.is_none() && authority.is_none() {
        return Err(place.error("is empty; add `path`, `authority` or both"));
    }
    if let Some(path) = path {
        let is_clean = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        if !is_clean || !path.starts_with('/') || path.starts_with("//") {
            let reason = format!(
                "{path:?} is not a valid path; start it with one / and use visible ASCII without #"
            );
            return Err(place.field("path").error(reason));
        }
    }
    match authority {
        Some(text) if authority::host(text.as_bytes()).is_none_or(|host| host.is_empty()) => {
            let reason = format!(
                "{text:?} is not a valid host; write it as www.example.com or www.example.com:8080"
            );
            Err(place.field("authority").error(reason))
        }
        _ => Ok(()),
    }
}
