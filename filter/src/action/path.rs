//! Replaces the prefix of a path.

use super::Replaced;

/// The rewritten path would have a dot segment. Some upstreams resolve it, so the
/// request would leave the path to which the rule rewrites.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LeadsElsewhere;

/// The target with `new` in place of the part that `replaced` selects. `prefix` is
/// the length of the route's prefix. Never empty, and without `//` where the two
/// parts meet.
pub(super) fn rewrite(
    (path, query): (&[u8], &[u8]),
    new: &str,
    replaced: Replaced,
    prefix: Option<usize>,
) -> Result<Vec<u8>, LeadsElsewhere> {
    let replaced = match replaced {
        Replaced::Whole => path.len(),
        Replaced::Prefix(len) => len as usize,
        Replaced::Route => prefix.unwrap_or(path.len()),
    };
    let rest = path.get(replaced..).unwrap_or_default();
    let rest = rest.strip_prefix(b"/").filter(|_| new.ends_with('/')).unwrap_or(rest);
    if !rest.is_empty() && !rest.starts_with(b"/") && makes_dot_segment(new, rest) {
        return Err(LeadsElsewhere);
    }
    Ok([new.as_bytes(), rest, query].concat())
}

/// Whether the segment formed where `new` and `rest` meet is `.` or `..`. Envoy has
/// resolved the dot segments of the client's path, but not one that a rewrite
/// creates: replacing `/a.` by `/` turns `/a.../x` into `/../x`.
fn makes_dot_segment(new: &str, rest: &[u8]) -> bool {
    let start = new.rsplit('/').next().unwrap_or_default().as_bytes();
    let end = rest.split(|byte| matches!(byte, b'/' | b';')).next().unwrap_or_default();
    matches!((start, end), (b"", b"." | b"..") | (b".", b"" | b".") | (b"..", b""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(target: &str, new: &str, replaced: Replaced, prefix: Option<usize>) -> String {
        let query = target.find('?').unwrap_or(target.len());
        let (path, query) = target.as_bytes().split_at(query);
        let rewritten = rewrite((path, query), new, replaced, prefix);
        rewritten.map_or("elsewhere".into(), |target| String::from_utf8(target).unwrap())
    }

    #[test]
    fn a_prefix_is_replaced_as_text() {
        for (target, prefix, new, expected) in [
            ("/old/x?y=/old", "/old", "/new", "/new/x?y=/old"),
            ("/old/x", "/old/", "/new/", "/new/x"),
            ("/oldx", "/old", "/new", "/newx"),
            ("/old/x", "/old", "/", "/x"),
            ("/old", "/old", "/", "/"),
            ("/old?q", "/old", "/", "/?q"),
            ("/old/x", "/old", "/new/", "/new/x"),
            ("/old/", "/old", "/new/", "/new/"),
            ("/x", "", "/new", "/new/x"),
            ("/", "", "/", "/"),
        ] {
            let len = prefix.len();
            assert_eq!(
                rewritten(target, new, Replaced::prefix(prefix), None),
                expected,
                "{target}"
            );
            assert_eq!(rewritten(target, new, Replaced::Route, Some(len)), expected, "{target}");
        }
    }

    #[test]
    fn what_was_no_prefix_is_replaced_as_a_whole() {
        assert_eq!(rewritten("/a/b?c", "/new", Replaced::Whole, Some(2)), "/new?c");
        assert_eq!(rewritten("/a/b?c", "/new", Replaced::Route, None), "/new?c");
    }

    #[test]
    fn a_seam_makes_no_dot_segment() {
        for (target, prefix, new) in [
            ("/a.../x", "/a.", "/"),
            ("/a../x", "/a.", "/"),
            ("/a../x", "/a", "/"),
            ("/a../x", "/a.", "/b/."),
            ("/a./x", "/a", "/"),
            ("/a..;v/x", "/a", "/"),
            ("/a..", "/a", "/b/"),
        ] {
            let rewritten = rewritten(target, new, Replaced::prefix(prefix), None);
            assert_eq!(rewritten, "elsewhere", "{target} {prefix} {new}");
        }
        assert_eq!(rewritten("/a.b/x", "/", Replaced::Prefix(2), None), "/.b/x");
        assert_eq!(rewritten("/a...", "/", Replaced::Prefix(2), None), "/...");
    }
}
