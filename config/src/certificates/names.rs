//! The hosts that a name in a certificate matches.

/// Whether `name`, a DNS name of a certificate, matches `host`, which may have an
/// Ingress's wildcard. According to RFC 9525, section 6.3 (before, RFC 6125), `*` is the
/// whole first label and matches exactly one label.
pub(super) fn covers(name: &str, host: &str) -> bool {
    let (name, host) = (without_dot(name), without_dot(host));
    if host.is_empty() || host == "*" {
        return false;
    }
    match name.strip_prefix("*.") {
        Some(domain) => {
            let (label, rest) = host.split_once('.').unwrap_or_default();
            !label.is_empty() && !domain.contains('*') && rest.eq_ignore_ascii_case(domain)
        }
        None => !name.contains('*') && name.eq_ignore_ascii_case(host),
    }
}

/// A name may have a trailing dot.
fn without_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_is_one_whole_label() {
        for (name, host) in [
            ("foo.com", "foo.com"),
            ("Foo.COM", "foo.com"),
            ("foo.com.", "foo.com"),
            ("*.foo.com", "bar.foo.com"),
            ("*.foo.com", "*.foo.com"),
            ("*.FOO.com", "bar.foo.com"),
        ] {
            assert!(covers(name, host), "{name} {host}");
        }
        for (name, host) in [
            ("foo.com", "bar.foo.com"),
            ("bar.foo.com", "*.foo.com"),
            ("*.foo.com", "foo.com"),
            ("*.foo.com", "a.b.foo.com"),
            ("*.foo.com", ".foo.com"),
            ("*.*.com", "a.*.com"),
            ("*.*.com", "a.b.com"),
            ("b*.foo.com", "bar.foo.com"),
            ("b*.foo.com", "b*.foo.com"),
            ("a.*.com", "a.b.com"),
            ("*", "foo.com"),
            ("*", "*"),
            ("*.", "foo"),
            ("*.", "foo."),
            ("", ""),
            ("foo.com", ""),
            ("foo.com", "*"),
        ] {
            assert!(!covers(name, host), "{name} {host}");
        }
    }
}
