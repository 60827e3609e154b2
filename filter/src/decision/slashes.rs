//! Paths with encoded slashes and backslashes (`%2F`, `%5C`).
//!
//! An upstream may decode them before it selects what to serve. Such a request is
//! forwarded only if the path has the same route and rule however it is read.

use crate::error::Broken;
use crate::escapes::Target;
use crate::request::Request;
use crate::router::{Matched, Router};
use crate::view::View;

const SLASH: [u8; 3] = *b"%2f";
const BACKSLASH: [u8; 3] = *b"%5c";

/// The ways to read a path that are tried, other than as it is.
struct Readings {
    /// With slashes in place of encoded ones.
    decoded: Vec<u8>,
    /// The same, with consecutive slashes merged.
    merged: Vec<u8>,
}

/// A path with an encoded slash that has more readings than those, or a dot segment in
/// one of them.
#[derive(Debug, PartialEq, Eq)]
struct Ambiguous;

impl Router {
    /// Whether an upstream that decodes the slashes of this request could serve a path
    /// that has another route or rule.
    pub(super) fn is_ambiguous<R: Request + ?Sized>(
        &self,
        host: Option<u32>,
        view: &View<'_, R>,
        matched: &Matched<'_>,
        rule: Option<u32>,
    ) -> Result<bool, Broken> {
        let Readings { decoded, merged } = match Readings::of(view.target()) {
            None => return Ok(false),
            Some(Err(Ambiguous)) => return Ok(true),
            Some(Ok(readings)) => readings,
        };
        for reading in [decoded, merged] {
            let Some(other) = self.find_route(host, &Target::new(&reading))? else {
                return Ok(true);
            };
            let view = view.with_target(reading);
            if other.route != matched.route
                || other.backend.choose(self.bytes(), &view)?.index != rule
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Readings {
    /// `None` if the path has no encoded slash.
    fn of(target: &[u8]) -> Option<Result<Self, Ambiguous>> {
        let query = target.iter().position(|byte| matches!(byte, b'?' | b'#'));
        let (path, query) = target.split_at_checked(query.unwrap_or(target.len()))?;
        let (slashes, backslashes) = (contains(path, SLASH), contains(path, BACKSLASH));
        match (slashes, backslashes) {
            (false, false) => None,
            // An upstream may decode one of the two only.
            (true, true) => Some(Err(Ambiguous)),
            _ => Some(Self::decode(path, query)),
        }
    }

    fn decode(path: &[u8], query: &[u8]) -> Result<Self, Ambiguous> {
        let mut decoded = Vec::with_capacity(path.len());
        let mut rest = path;
        while let Some((first, others)) = rest.split_first() {
            let is_slash = begins_with(rest, SLASH) || begins_with(rest, BACKSLASH);
            decoded.push(if is_slash { b'/' } else { *first });
            rest = if is_slash { rest.get(3..).unwrap_or_default() } else { others };
        }
        if decoded.split(|byte| *byte == b'/').any(is_dot_segment) {
            return Err(Ambiguous);
        }
        let mut merged = decoded.clone();
        merged.dedup_by(|next, last| (*next, *last) == (b'/', b'/'));
        decoded.extend_from_slice(query);
        merged.extend_from_slice(query);
        Ok(Self { decoded, merged })
    }
}

fn contains(path: &[u8], escape: [u8; 3]) -> bool {
    path.windows(3).any(|part| begins_with(part, escape))
}

fn begins_with(text: &[u8], escape: [u8; 3]) -> bool {
    text.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(&escape))
}

/// Whether a segment is `.` or `..`, in any encoding, without its parameters.
fn is_dot_segment(segment: &[u8]) -> bool {
    let mut name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
    let mut dots = 0_usize;
    while !name.is_empty() {
        let dot = [&b"."[..], b"%2e", b"%2E"].into_iter().find(|dot| name.starts_with(dot));
        let Some(rest) = dot.and_then(|dot| name.get(dot.len()..)) else { return false };
        (name, dots) = (rest, dots.saturating_add(1));
    }
    matches!(dots, 1 | 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Verdict;

    fn readings(target: &str) -> Option<Result<[String; 2], Ambiguous>> {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let readings = Readings::of(target.as_bytes())?;
        Some(readings.map(|Readings { decoded, merged }| [text(decoded), text(merged)]))
    }

    #[test]
    fn an_encoded_slash_may_be_a_slash() {
        for plain in ["/", "/a/b", "/a%20b", "/%zz/%", "/a?x=%2f", "/%252f", "/%2"] {
            assert_eq!(readings(plain), None, "{plain}");
        }
        for (target, decoded, merged) in [
            ("/a%2fb", "/a/b", "/a/b"),
            ("/a%2F?x=%2f", "/a/?x=%2f", "/a/?x=%2f"),
            ("/a%5Cb%5cc", "/a/b/c", "/a/b/c"),
            ("/p/http:%2f%2Fa", "/p/http://a", "/p/http:/a"),
            ("/a/%2f/b", "/a///b", "/a/b"),
            ("/...%2f.a", "/.../.a", "/.../.a"),
        ] {
            let expected = [decoded, merged].map(str::to_owned);
            assert_eq!(readings(target), Some(Ok(expected)), "{target}");
        }
    }

    #[test]
    fn a_path_with_other_readings_is_ambiguous() {
        for target in [
            "/a%2fb%5cc",
            "/a/..%2fb",
            "/a%2f..",
            "/a%2f.%2fb",
            "/a%2f%2e%2E/b",
            "/a%2f..;x/b",
            "/a%5c.;%5c",
            "/a%2f.%2e",
        ] {
            assert_eq!(readings(target), Some(Err(Ambiguous)), "{target}");
        }
    }

    #[test]
    fn a_request_is_forwarded_if_all_readings_have_the_same_route_and_rule() {
        let router = Router::load(
            br#"{"version": 1,
                "backends": [
                    {"name": "web", "default": {"forward": {"cluster": "web"}}, "rules": [
                        {"match": {"headers": [{"name": ":path", "value": {"prefix": "/ruled/"}}]}, "action": {"forward": {"cluster": "web"}}}
                    ]},
                    {"name": "admin", "default": {"forward": {"cluster": "admin"}}}
                ],
                "virtual_hosts": [{"hosts": ["*"], "routes": [
                    {"match": {"prefix": "/"}, "backend": "web"},
                    {"match": {"prefix": "/admin"}, "backend": "admin"},
                    {"match": {"prefix": "/a/b"}, "backend": "web"}
                ]}]}"#,
        )
        .unwrap();
        let status = |target: &str| {
            let request = [(":path".to_owned(), target.into())];
            match router.decide(&request[..]).verdict {
                Verdict::Forward(_) => 200,
                Verdict::Respond(status) => status,
            }
        };
        for target in ["/x%2fy", "/admin/x%2fy", "/x/http:%2F%2fy", "/ruled/x%2fy", "/x%5cy"] {
            assert_eq!(status(target), 200, "{target}");
        }
        for target in [
            "/admin%2fx",
            "/admin%5cx",
            "/%2fadmin",
            "/x%2f..%2fadmin",
            "/admin/..%2fx",
            "/ruled%2fx",
            "/a%2fb",
        ] {
            assert_eq!(status(target), 400, "{target}");
        }
    }
}
