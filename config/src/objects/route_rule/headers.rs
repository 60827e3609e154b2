//! Headers that a rule adds (`appendHeaders` and `corsPolicy`).

use std::error::Error;

use ingress_filter::table::{Cors, Header};
use thiserror::Error;

use super::values::{HeaderNameError, check_header_name, is_reserved, seconds, visible};
use crate::finding::{Code, quote};
use crate::objects::Cursor;

/// Headers that delimit a message or belong to a connection (RFC 9110 section 7.6.1,
/// RFC 9112), and the host, which `rewrite` changes. With a second value, two servers
/// could interpret the request differently.
const FORBIDDEN: [&str; 9] = [
    "host",
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "content-length",
    "upgrade",
    "te",
    "trailer",
];

const METHODS: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE"];

/// The headers in `appendHeaders`.
pub(super) fn append(cursor: &Cursor<'_>) -> Vec<Header> {
    let mut headers = Vec::new();
    for (key, field) in cursor.fields() {
        let name = &*key.name;
        if let Err(error) = check_appended(name) {
            field.report_at(key.at, error.code(), error.to_string());
        }
        let Some(value) = field.as_string() else { continue };
        let is_plain = value.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        if value.is_empty() {
            field.report(Code::ValueEmpty, "is empty; set a value, or remove the header");
        } else if !is_plain || value.starts_with(' ') || value.ends_with(' ') {
            let message = format!(
                "{} contains a character that a header value cannot have; use visible ASCII, with spaces only between other characters",
                quote(value)
            );
            field.report(Code::HeaderValueNotValid, message);
        }
        headers.push(Header { name: name.to_owned(), value: value.to_owned() });
    }
    headers
}

/// The reason why a header cannot be appended.
#[derive(Debug, Error)]
enum AppendError {
    #[error(transparent)]
    Name(#[from] HeaderNameError),
    #[error("{} is set by the gateway only; choose another name", quote(.0))]
    Reserved(String),
    #[error("`host` can have only one value; change it with rewrite.authority")]
    Host,
    #[error("{} belongs to the connection, not the request; remove it", quote(.0))]
    OfConnection(String),
}

impl AppendError {
    fn code(&self) -> Code {
        match self {
            Self::Name(_) => Code::HeaderNameNotValid,
            Self::Reserved(_) | Self::Host | Self::OfConnection(_) => Code::HeaderNotAllowed,
        }
    }
}

fn check_appended(name: &str) -> Result<(), AppendError> {
    check_header_name(name)?;
    match name {
        _ if is_reserved(name) => Err(AppendError::Reserved(name.into())),
        "host" => Err(AppendError::Host),
        _ if FORBIDDEN.contains(&name) => Err(AppendError::OfConnection(name.into())),
        _ => Ok(()),
    }
}

/// The reason why an item of a `corsPolicy` is rejected.
#[derive(Debug, Error)]
enum CorsError {
    #[error("{} contains a comma; write each origin as a separate item", quote(.0))]
    SeveralOrigins(String),
    #[error("{} is not an HTTP method; use {}", quote(.0), METHODS.join(", "))]
    Method(String),
}

fn check_origin(origin: &str) -> Result<(), CorsError> {
    if origin.contains(',') { Err(CorsError::SeveralOrigins(origin.into())) } else { Ok(()) }
}

fn check_method(method: &str) -> Result<(), CorsError> {
    if METHODS.contains(&method) { Ok(()) } else { Err(CorsError::Method(method.into())) }
}

/// The `corsPolicy`; `None` if it allows no origin, which has the same effect.
pub(super) fn cors(cursor: &Cursor<'_>) -> Option<Cors> {
    cursor.only(&[
        "allowOrigin",
        "allowMethods",
        "allowHeaders",
        "exposeHeaders",
        "maxAge",
        "allowCredentials",
    ]);
    let allow_origins = texts(cursor, "allowOrigin", Code::CorsNotValid, check_origin);
    let origins = cursor.field("allowOrigin");
    if origins.is_none_or(|list| list.node().as_list().is_some_and(<[_]>::is_empty)) {
        let message = "is missing, so no origin is allowed; list the allowed origins, or `*`";
        cursor.report_in("allowOrigin", Code::PolicyWithoutEffect, message);
    }
    let cors = Cors {
        allow_origins,
        allow_methods: texts(cursor, "allowMethods", Code::CorsNotValid, check_method),
        allow_headers: texts(cursor, "allowHeaders", Code::HeaderNameNotValid, check_header_name),
        expose_headers: texts(cursor, "exposeHeaders", Code::HeaderNameNotValid, check_header_name),
        max_age_seconds: cursor.field("maxAge").and_then(|field| seconds(&field)),
        allow_credentials: cursor.boolean("allowCredentials").unwrap_or_default(),
    };
    (!cors.allow_origins.is_empty()).then_some(cors)
}

/// The items of a list that are visible text and pass `check`; others get a finding with
/// this code.
fn texts<E: Error>(
    cursor: &Cursor<'_>,
    name: &str,
    code: Code,
    check: impl Fn(&str) -> Result<(), E>,
) -> Vec<String> {
    let read = |cursor: Cursor<'_>| {
        let text = visible(&cursor)?;
        check(text).map_err(|error| cursor.report(code, error.to_string())).ok()?;
        Some(text.to_owned())
    };
    cursor.list(name).iter().filter_map(|item| read(item.cursor())).collect()
}
