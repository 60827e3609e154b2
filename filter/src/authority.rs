//! The host of a request, from its authority (RFC 9110 section 7.2, RFC 3986
//! section 3.2).

use std::borrow::Cow;

/// The host of `authority` in lower case, without its port and without the trailing dot
/// of a fully qualified name. Empty if the authority is empty; `None` if it is malformed.
///
/// Envoy has already rejected most malformed authorities. The others must not match any
/// host, so this is strict: user information, empty labels, a label `*`, a port that is
/// not a number, and bytes that are not allowed in a host are malformed.
///
/// ```
/// use ingress_filter::host_of;
///
/// assert_eq!(host_of(b"Foo.example.com.:8080").as_deref(), Some(&b"foo.example.com"[..]));
/// assert_eq!(host_of(b"[::1]:8080").as_deref(), Some(&b"[::1]"[..]));
/// assert_eq!(host_of(b"user@foo.example.com"), None);
/// ```
pub fn host(authority: &[u8]) -> Option<Cow<'_, [u8]>> {
    if authority.is_empty() {
        return Some(authority.into());
    }
    let (host, port) = split_port(authority)?;
    if !port.is_none_or(|port| port.len() <= 5 && port.iter().all(u8::is_ascii_digit)) {
        return None;
    }
    let host = if host.iter().any(u8::is_ascii_uppercase) {
        Cow::from(host.to_ascii_lowercase())
    } else {
        Cow::from(host)
    };
    is_host(&host).then_some(host)
}

/// Splits at the colon before the port. Colons inside the brackets of an IPv6 literal
/// belong to the host.
fn split_port(authority: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    if authority.first() == Some(&b'[') {
        let end = authority.iter().position(|byte| *byte == b']')?;
        let (host, rest) = authority.split_at_checked(end + 1)?;
        return match rest.split_first() {
            None => Some((host, None)),
            Some((b':', port)) => Some((host, Some(port))),
            Some(_) => None,
        };
    }
    let (host, port) = match authority.iter().position(|byte| *byte == b':') {
        None => (authority, None),
        Some(colon) => (authority.get(..colon)?, authority.get(colon + 1..)),
    };
    Some((host.strip_suffix(b".").unwrap_or(host), port))
}

/// Whether `host` is a name without empty labels or an address in brackets, in lower
/// case.
pub(crate) fn is_host(host: &[u8]) -> bool {
    if let Some(address) = host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]")) {
        let text = std::str::from_utf8(address).unwrap_or_default();
        return text.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let mut label_len = 0_usize;
    for byte in host {
        match byte {
            b'.' if label_len == 0 => return false,
            b'.' => label_len = 0,
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => label_len += 1,
            _ => return false,
        }
    }
    label_len > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host_of(authority: &str) -> Option<String> {
        host(authority.as_bytes()).map(|host| String::from_utf8(host.into_owned()).unwrap())
    }

    #[test]
    fn case_port_and_one_trailing_dot_do_not_count() {
        for authority in [
            "foo.example.com",
            "FOO.Example.COM",
            "foo.example.com.",
            "foo.example.com:8443",
            "foo.example.com.:80",
            "foo.example.com:",
        ] {
            assert_eq!(host_of(authority).as_deref(), Some("foo.example.com"), "{authority}");
        }
    }

    #[test]
    fn an_ipv6_literal_keeps_its_brackets() {
        assert_eq!(host_of("[2001:DB8::1]:80").as_deref(), Some("[2001:db8::1]"));
        assert_eq!(host_of("[::1]").as_deref(), Some("[::1]"));
        for bad in ["[::1", "[::1]x", "[]", "[foo]", "[::1]:x", "::1"] {
            assert_eq!(host_of(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_empty_authority_is_an_empty_host() {
        assert_eq!(host_of("").as_deref(), Some(""));
    }

    #[test]
    fn malformed_is_nobodys_host() {
        for bad in [
            ":",
            ":80",
            ":abc",
            ".",
            "..",
            "foo.example.com..",
            "..wild.example",
            "a..b",
            "*.wild.example",
            "*",
            "a b",
            "x@foo.example.com",
            "foo.example.com:abc",
            "foo.example.com:80:80",
            "foo.example.com:123456",
            "foo/bar",
            "foo?x",
            "foo#x",
            "foo\\bar",
            "foo\0",
            "foo\n",
            "fo\u{f6}.example",
            "foo,bar",
            "foo%2eexample",
        ] {
            assert_eq!(host_of(bad), None, "{bad:?}");
        }
    }
}
