//! The connection that a request comes by: which certificate Envoy gives it.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use ingress_filter::table::TlsHost;
use ingress_filter::{DEFAULT_CERTIFICATE, RouteTable, Router};

/// Certificates by what clients ask for, and by what hosts have.
pub(super) struct Certificates {
    /// By host, exact or with a wildcard.
    by_name: HashMap<String, String>,
    /// Knows of no more than the hosts.
    router: Router,
}

impl Certificates {
    pub(super) fn new(tls_hosts: &[TlsHost]) -> anyhow::Result<Self> {
        let names = tls_hosts.iter().flat_map(|tls_host| {
            tls_host.hosts.iter().map(|host| (host.clone(), tls_host.certificate.clone()))
        });
        let table = RouteTable { tls_hosts: tls_hosts.to_vec(), ..RouteTable::empty() };
        Ok(Self { by_name: names.collect(), router: Router::new(table)? })
    }

    /// The certificate of a connection whose client asks for `server_name`, as
    /// Envoy picks its filter chain: the name itself, else the wildcard with the
    /// longest suffix. Unlike that of a route, it stands for any number of
    /// labels.
    pub(super) fn of_connection(&self, server_name: Option<&str>) -> &str {
        let found = server_name.and_then(|name| {
            let suffixes = name.match_indices('.').filter_map(|(dot, _)| name.get(dot..));
            let mut names =
                [name.to_owned()].into_iter().chain(suffixes.map(|it| format!("*{it}")));
            names.find_map(|name| self.by_name.get(&name))
        });
        found.map_or(DEFAULT_CERTIFICATE, String::as_str)
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
    fn a_connection_has_the_certificate_of_the_longest_name() {
        let tls_host = |hosts: &[&str], certificate: &str| TlsHost {
            hosts: hosts.iter().map(ToString::to_string).collect(),
            certificate: certificate.into(),
        };
        let certificates = Certificates::new(&[
            tls_host(&["a.example", "*.a.example"], "ns/a"),
            tls_host(&["*.b.a.example", "x.a.example"], "ns/b"),
        ])
        .unwrap();
        for (name, of_connection, of_host) in [
            ("a.example", "ns/a", Some("ns/a")),
            ("y.a.example", "ns/a", Some("ns/a")),
            ("x.a.example", "ns/b", Some("ns/b")),
            ("y.x.a.example", "ns/a", None),
            ("y.b.a.example", "ns/b", Some("ns/b")),
            ("z.y.b.a.example", "ns/b", None),
            ("example", DEFAULT_CERTIFICATE, None),
        ] {
            assert_eq!(certificates.of_connection(Some(name)), of_connection, "{name}");
            assert_eq!(certificates.of_host(name), of_host, "{name}");
        }
        assert_eq!(certificates.of_connection(None), DEFAULT_CERTIFICATE);
    }
}
