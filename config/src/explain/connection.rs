//! The connection that a request comes by: which certificate Envoy gives it.

use std::net::Ipv4Addr;

use ingress_filter::table::TlsHost;
use ingress_filter::{DEFAULT_CERTIFICATE, RouteTable, Router};

/// The certificates of hosts.
pub(super) struct Certificates {
    /// Knows of no more than the hosts.
    router: Router,
}

impl Certificates {
    pub(super) fn new(tls_hosts: &[TlsHost]) -> anyhow::Result<Self> {
        let table = RouteTable { tls_hosts: tls_hosts.to_vec(), ..RouteTable::empty() };
        Ok(Self { router: Router::new(&table)? })
    }

    /// The certificate of a connection whose client asks for `server_name`.
    pub(super) fn of_connection(&self, server_name: Option<&str>) -> &str {
        server_name.and_then(|name| self.of_host(name)).unwrap_or(DEFAULT_CERTIFICATE)
    }

    /// The certificate that the host of `authority` has, if any.
    pub(super) fn of_host(&self, authority: &str) -> Option<&str> {
        self.router.certificate(authority.as_bytes())
    }
}

/// The host that a client asks for when it connects to `authority` (RFC 6066
/// section 3): none for an address, nor for what is no host.
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
        let tls_host = |hosts: &[&str], certificate: &str| TlsHost {
            hosts: hosts.iter().map(ToString::to_string).collect(),
            certificate: certificate.into(),
        };
        let certificates = Certificates::new(&[
            tls_host(&["a.example", "*.a.example"], "ns/a"),
            tls_host(&["*.b.a.example", "x.a.example"], "ns/b"),
        ])
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
            assert_eq!(certificates.of_connection(Some(name)), expected, "{name}");
        }
        assert_eq!(certificates.of_connection(None), DEFAULT_CERTIFICATE);
    }
}
