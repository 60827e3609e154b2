//! Values of the format: messages, headers, files, times.

use std::fs;
use std::path::Path;
use std::time::Duration;

use ingress_filter::duration;
use jiff::Timestamp;
use proxy_wasm_test::HeaderMap;

use super::case::Parts;
use super::matcher::text_of;
use crate::finding::Code;
use crate::testing::{Field, Fields};

const REQUEST: &[&str] =
    &["method", "path", "authority", "scheme", "headers", "body", "body_file", "trailers"];
const RESPONSE: &[&str] = &["status", "headers", "body", "body_file", "trailers"];

/// A request, with defaults for what is not given.
pub(super) fn request(field: &Field<'_>) -> Option<Parts> {
    let fields = Fields::of(field, REQUEST);
    let mut headers = HeaderMap::new();
    for (name, pseudo, default) in [
        ("method", ":method", "GET"),
        ("path", ":path", "/"),
        ("authority", ":authority", "example.com"),
        ("scheme", ":scheme", "http"),
    ] {
        let value = fields.get(name).map_or(Some(default.as_bytes().to_vec()), text_of)?;
        headers.add(pseudo, value);
    }
    parts(&fields, headers)
}

/// A response, by default an empty one with status 200.
pub(super) fn response(field: &Field<'_>) -> Option<Parts> {
    let fields = Fields::of(field, RESPONSE);
    let status = fields.get("status").map_or(Some(200), status)?;
    parts(&fields, HeaderMap::from([(":status", status.to_string())]))
}

/// An HTTP status.
pub(super) fn status(field: &Field<'_>) -> Option<u32> {
    let status: u32 = field.integer("an HTTP status, 100 to 999")?;
    if !(100..1000).contains(&status) {
        field.wrong_kind("an HTTP status, 100 to 999");
        return None;
    }
    Some(status)
}

fn parts(fields: &Fields<'_>, mut headers: HeaderMap) -> Option<Parts> {
    if let Some(field) = fields.get("headers") {
        for (name, value) in pairs(field)? {
            // A pseudo-header takes the place of the default.
            if name.starts_with(':') {
                headers.replace(name, value);
            } else {
                headers.add(name, value);
            }
        }
    }
    let pieces = match (fields.get("body"), fields.get("body_file")) {
        (Some(_), Some(file)) => {
            file.report(Code::ConflictingFields, "is there next to body; keep one of them");
            return None;
        }
        (Some(body), None) => pieces(body)?,
        (None, Some(file)) => vec![content(file)?],
        (None, None) => Vec::new(),
    };
    let trailers = match fields.get("trailers") {
        Some(field) => Some(pairs(field)?.into_iter().collect()),
        None => None,
    };
    Some(Parts { headers, pieces, trailers })
}

/// A body: a text, or a list of pieces.
fn pieces(field: &Field<'_>) -> Option<Vec<Vec<u8>>> {
    if field.node().as_list().is_none() {
        return Some(vec![text_of(field)?])
            .map(|pieces| pieces.into_iter().filter(|piece| !piece.is_empty()).collect());
    }
    all_of(field.items().iter().map(|item| text_of(&item.cursor())))
}

/// Names with values, of which each has one or a list of them.
pub(super) fn pairs(field: &Field<'_>) -> Option<Vec<(String, Vec<u8>)>> {
    if !field.expect_mapping() {
        return None;
    }
    let mut pairs = Vec::new();
    for (key, value) in field.fields() {
        let name = key.name.to_string();
        if value.node().as_list().is_some() {
            for item in value.items() {
                pairs.push((name.clone(), text_of(&item.cursor())?));
            }
        } else {
            pairs.push((name, text_of(&value)?));
        }
    }
    Some(pairs)
}

/// Texts in a list.
pub(super) fn texts(field: &Field<'_>) -> Option<Vec<String>> {
    field.node().as_list().or_else(|| {
        field.wrong_kind("a list");
        None
    })?;
    all_of(field.items().iter().map(|item| item.cursor().as_string().map(str::to_owned)))
}

/// All values, if each is valid. Every one is read, so that all findings are reported.
pub(super) fn all_of<T>(values: impl Iterator<Item = Option<T>>) -> Option<Vec<T>> {
    let values: Vec<Option<T>> = values.collect();
    values.into_iter().collect()
}

/// The parts of a property's path: `source.address`.
pub(super) fn property_path(name: &str) -> Vec<String> {
    name.split('.').map(str::to_owned).collect()
}

/// The content of a file, whose path is relative to the file of the tests.
pub(super) fn content(field: &Field<'_>) -> Option<Vec<u8>> {
    let name = field.as_string()?;
    let folder = Path::new(&*field.subject().file).parent().unwrap_or(Path::new(""));
    match fs::read(folder.join(name)) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            let message = format!("cannot read {}: {error}", folder.join(name).display());
            field.report(Code::FileNotReadable, message);
            None
        }
    }
}

/// A text, or the content of a file, in two fields.
#[expect(clippy::option_option, reason = "invalid, or absent, or valid")]
pub(super) fn text_or_file(
    fields: &Fields<'_>,
    text: &'static str,
    file: &'static str,
) -> Option<Option<Vec<u8>>> {
    match (fields.get(text), fields.get(file)) {
        (Some(_), Some(file)) => {
            file.report(
                Code::ConflictingFields,
                format!("is there next to {text}; keep one of them"),
            );
            None
        }
        (Some(text), None) => text_of(text).map(Some),
        (None, Some(file)) => content(file).map(Some),
        (None, None) => Some(None),
    }
}

/// A duration, or a number of milliseconds.
pub(super) fn time_span(field: &Field<'_>) -> Option<Duration> {
    let node = field.node();
    let number = node.as_i64().and_then(|ms| u64::try_from(ms).ok());
    let ms = number.or_else(|| duration::parse(node.as_str()?.as_bytes()).map(u64::from));
    if ms.is_none() {
        field.wrong_kind("a duration as in 1.5s, or a number of milliseconds");
    }
    ms.map(Duration::from_millis)
}

/// A time as the duration since 1970: seconds, or a date and time.
pub(super) fn time(field: &Field<'_>) -> Option<Duration> {
    let node = field.node();
    let number = node.as_i64().and_then(|seconds| u64::try_from(seconds).ok());
    let time = number.map(Duration::from_secs).or_else(|| {
        let time: Timestamp = node.as_str()?.parse().ok()?;
        Duration::try_from(time.as_duration()).ok()
    });
    if time.is_none() {
        field.wrong_kind("a number of seconds since 1970, or a time as in 2026-01-31T12:00:00Z");
    }
    time
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Published;

    #[test]
    fn the_schema_has_the_same_fields() {
        let schema = Published::read("module-tests.schema.json");
        schema.has("/$defs/request", REQUEST);
        schema.has("/$defs/response", RESPONSE);
    }
}
