//! Changes of the path and host (`redirect` and `rewrite`).

use ingress_filter::table::{Redirect, Rewrite};

use super::values::{authority, visible};
use crate::finding::{Code, quote};
use crate::objects::Cursor;

pub(super) fn redirect(cursor: &Cursor<'_>) -> Option<Redirect> {
    let (path, authority) = read(cursor, |path| {
        (path.starts_with("//") || path.starts_with("/\\"))
            .then_some("starts with // and so names another host; set authority instead")
    })?;
    Some(Redirect { path, authority, cors: None })
}

pub(super) fn rewrite(cursor: &Cursor<'_>) -> Option<Rewrite> {
    let (path, authority) = read(cursor, |path| {
        path.contains('?')
            .then_some("contains a query, but the query of the request is kept; remove everything from the ? on")
    })?;
    Some(Rewrite { path, authority })
}

fn read(
    cursor: &Cursor<'_>,
    problem_of: impl Fn(&str) -> Option<&'static str>,
) -> Option<(Option<String>, Option<String>)> {
    if !cursor.expect_mapping_as("{uri: /new}") {
        return None;
    }
    cursor.only(&["uri", "authority"]);
    if cursor.field("uri").is_none() && cursor.field("authority").is_none() {
        cursor.report(Code::FieldMissing, "has neither uri nor authority; add one of them");
    }
    let uri = cursor.field("uri").and_then(|field| {
        let uri = visible(&field)?;
        let problem = match uri {
            _ if !uri.starts_with('/') => Some("does not start with /; add it"),
            _ if uri.contains('#') => {
                Some("contains a fragment, which is never sent to a server; remove it")
            }
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
