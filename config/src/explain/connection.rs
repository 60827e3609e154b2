//! The TLS connection of a request: the certificate that Envoy selects.

use std::net::Ipv4Addr;

use ingress_filter::{DEFAULT_CERTIFICATE, Router};

/// The certificate of a connection with this server name (SNI).
pub(super) fn certificate<'t>(router: &'t Router, server_name: Option<&str>) -> &'t str {
    let own = server_name.and_then(|name| router.certificate(name.as_bytes()));
    own.unwrap_or(DEFAULT_CERTIFICATE)
}

/// The server name (SNI) that a client sends to `authority` (RFC 6066 section 3):
/// `None` for an IP address, and for an invalid host.
pub(crate) fn server_name(authority: &str) -> Option<String> {
    let host = ingress_filter::host_of(authority.as_bytes())?;
    let host = String::from_utf8(host.into_owned()).ok()?;
    let is_name = !host.is_empty() && !host.starts_with('[') && host.parse::<Ipv4Addr>().is_err();
    is_name.then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_asked_for_and_no_address() {
        for (authority, expected) in [
            ("A.example.:443", Some("a.example")),
            ("192.0.2.1:443", None),
            ("[::1]", None),
            ("", None),
            ("a b", None),
        ] {
            assert_eq!(server_name(authority).as_deref(), expected, "{authority}");
        }
    }

    #[test]
    fn a_connection_has_the_certificate_of_the_host_that_is_asked_for() {
        let router = Router::load(
            br#"{"version": 1, "tls_hosts": [
                {"hosts": ["a.example", "*.a.example"], "certificate": "ns/a"},
                {"hosts": ["*.b.a.example", "x.a.example"], "certificate": "ns/b"}
            ]}"#,
        )
        .unwrap();
        for (name, expected) in [
            ("a.example", "ns/a"),
            ("y.a.example", "ns/a"),
            ("x.a.example", "ns/b"),
            ("y.x.a.example", DEFAULT_CERTIFICATE),
            ("y.b.a.example", "ns/b"),
            ("z.y.b.a.example", DEFAULT_CERTIFICATE),
            ("example", DEFAULT_CERTIFICATE),
        ] {
            assert_eq!(certificate(&router, Some(name)), expected, "{name}");
        }
        assert_eq!(certificate(&router, None), DEFAULT_CERTIFICATE);
    }
}
