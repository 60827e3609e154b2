//! Which hosts a name in a certificate stands for.

/// Whether `name`, a DNS name of a certificate, stands for `host`, which may be
/// one of an Ingress with a wildcard: as RFC 9525, section 6.3 (RFC 6125 before
/// it) has it, where `*` is the whole first label and stands for exactly one.
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

/// A name may be written as absolute.
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
