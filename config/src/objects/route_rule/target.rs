//! Other paths and hosts than the client asked for (`redirect`, `rewrite`).

use ingress_filter::table::{Redirect, Rewrite};

use super::values::{authority, visible};
use crate::finding::{Code, quote};
use crate::objects::Cursor;

pub(super) fn redirect(cursor: &Cursor<'_>) -> Option<Redirect> {
    let (path, authority) = read(cursor, |path| {
        (path.starts_with("//") || path.starts_with("/\\"))
            .then_some("would lead to another host; name that in authority")
    })?;
    Some(Redirect { path, authority, cors: None })
}

pub(super) fn rewrite(cursor: &Cursor<'_>) -> Option<Rewrite> {
    let (path, authority) = read(cursor, |path| {
        path.contains('?')
            .then_some("holds a query, but the request's own is kept; remove it from the ?")
    })?;
    Some(Rewrite { path, authority })
}

fn read(
    cursor: &Cursor<'_>,
    problem_of: impl Fn(&str) -> Option<&'static str>,
) -> Option<(Option<String>, Option<String>)> {
    if !cursor.expect_mapping() {
        return None;
    }
    cursor.only(&["uri", "authority"]);
    if cursor.field("uri").is_none() && cursor.field("authority").is_none() {
        cursor.report(Code::FieldMissing, "leads nowhere else; give uri or authority");
    }
    let uri = cursor.field("uri").and_then(|field| {
        let uri = visible(&field)?;
        let problem = match uri {
            _ if !uri.starts_with('/') => Some("does not start with /; put one in front"),
            _ if uri.contains('#') => Some("holds a fragment, which no server sees; remove it"),
            _ => problem_of(uri),
        };
        if let Some(problem) = problem {
            field.report(Code::UriNotValid, format!("{} {problem}", quote(uri)));
        }
        Some(uri.to_owned())
    });
    let authority = cursor.field("authority").and_then(|field| authority(&field));
    Some((uri, authority))
}
