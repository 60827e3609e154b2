//! A request, in the syntax of the command line.

use std::net::{IpAddr, Ipv4Addr};

use thiserror::Error;

use super::connection::server_name;

/// A request as a client would send it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: String,
    /// `http` or `https`.
    pub scheme: String,
    /// The host, with a port if there is one.
    pub authority: String,
    /// The path and query; may be empty for CONNECT.
    pub target: String,
    /// Further headers, their names in lower case.
    pub extra: Vec<(String, String)>,
    /// The server name (SNI) in the TLS handshake, if any.
    pub sni: Option<String>,
    /// The address of the client.
    pub client: IpAddr,
    /// Replaces all random numbers; by default the value in the route table, or else 0.
    pub random: Option<u64>,
    /// Headers of the upstream's response.
    pub answer: Vec<(String, String)>,
}

/// The reason why a request is not valid.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The URL has another scheme.
    #[error("{0:?}: the scheme is not supported; use http or https")]
    Scheme(String),
    /// Neither the URL nor a header has a host.
    #[error("{0:?} has no host; add it")]
    NoHost(String),
    /// A header has no colon.
    #[error("header {0:?} has no colon; write it as 'name: value'")]
    Header(String),
    /// A header has no name.
    #[error("header {0:?} has no name; write it as 'name: value'")]
    HeaderWithoutName(String),
    /// There is a server name without TLS.
    #[error("a server name (SNI) is only sent over TLS; use an https:// URL")]
    SniWithoutTls,
    /// The server name is not a host name.
    #[error("{0:?} is not a host name; a server name (SNI) cannot be an IP address")]
    Sni(String),
}

impl Request {
    /// Creates a request for `url`; without a scheme, it is `http`. Headers are written as
    /// `name: value`; `host` replaces the URL's host.
    ///
    /// # Errors
    /// If the URL or a header is not valid.
    pub fn new(method: &str, url: &str, headers: &[String]) -> Result<Self, RequestError> {
        let (scheme, rest) = split_scheme(url);
        let scheme = scheme.to_ascii_lowercase();
        if !matches!(&*scheme, "http" | "https") {
            return Err(RequestError::Scheme(url.into()));
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        // Clients do not send the fragment.
        let target = target.split('#').next().unwrap_or_default();
        let has_slash = target.starts_with('/') || (target.is_empty() && method == "CONNECT");
        let slash = if has_slash { "" } else { "/" };

        let headers: Vec<_> =
            headers.iter().map(|header| parse(header)).collect::<Result<_, _>>()?;
        let (hosts, extra): (Vec<_>, Vec<_>) =
            headers.into_iter().partition(|(name, _)| name == "host");
        if authority.is_empty() && hosts.is_empty() {
            return Err(RequestError::NoHost(url.into()));
        }
        let hosts: Vec<_> = hosts.into_iter().map(|(_, host)| host).collect();
        Ok(Self {
            method: method.to_owned(),
            sni: server_name(authority).filter(|_| scheme == "https"),
            scheme,
            authority: if hosts.is_empty() { authority.to_owned() } else { hosts.join(",") },
            target: format!("{slash}{target}"),
            extra,
            client: Ipv4Addr::LOCALHOST.into(),
            random: None,
            answer: Vec::new(),
        })
    }

    /// Sets the server name (SNI) of the connection; an empty one means none.
    ///
    /// # Errors
    /// If the scheme is not `https`, or `host` is not a host name.
    pub fn on_connection_to(self, host: &str) -> Result<Self, RequestError> {
        if self.scheme != "https" {
            return Err(RequestError::SniWithoutTls);
        }
        let sni = server_name(host);
        if sni.is_none() && !host.is_empty() {
            return Err(RequestError::Sni(host.into()));
        }
        Ok(Self { sni, ..self })
    }

    /// Sets the address of the client.
    #[must_use]
    pub fn from_client(self, client: IpAddr) -> Self {
        Self { client, ..self }
    }

    /// Sets the value that replaces random numbers.
    #[must_use]
    pub fn with_random(self, random: Option<u64>) -> Self {
        Self { random, ..self }
    }
}

/// The scheme of a URL, by default `http`, and the rest of the URL. A `://` further on
/// is part of the path or query.
fn split_scheme(url: &str) -> (&str, &str) {
    let end = url.find(['/', '?', '#']).unwrap_or(url.len());
    let (start, rest) = url.split_at(end);
    match (start.strip_suffix(':'), rest.strip_prefix("//")) {
        (Some(scheme), Some(rest)) => (scheme, rest),
        _ => ("http", url),
    }
}

/// Parses a header: its name in lower case, and its value.
fn parse(header: &str) -> Result<(String, String), RequestError> {
    match header.split_once(':') {
        None => Err(RequestError::Header(header.into())),
        Some(("", _)) => Err(RequestError::HeaderWithoutName(header.into())),
        Some((name, value)) => {
            Ok((name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_may_lack_its_scheme_and_its_path() {
        for (url, scheme, authority, target) in [
            ("http://a.example/x?y#z", "http", "a.example", "/x?y"),
            ("https://a.example", "https", "a.example", "/"),
            ("HTTP://a.example/x", "http", "a.example", "/x"),
            ("a.example:80/x", "http", "a.example:80", "/x"),
            ("a.example?y", "http", "a.example", "/?y"),
            ("a.example/x://y", "http", "a.example", "/x://y"),
            ("a.example?x://y", "http", "a.example", "/?x://y"),
            ("a.example:80//x", "http", "a.example:80", "//x"),
        ] {
            let request = Request::new("GET", url, &[]).unwrap();
            assert_eq!(
                (&*request.scheme, &*request.authority, &*request.target),
                (scheme, authority, target),
                "{url}"
            );
        }
        for bad in ["ftp://a/", "a://x", "/x", "//a/x", ""] {
            assert!(Request::new("GET", bad, &[]).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn sni_is_the_urls_host_unless_told_otherwise() {
        let sni = |url, other: Option<&str>| {
            let request = Request::new("GET", url, &[]).unwrap();
            match other {
                None => Ok(request.sni),
                Some(other) => request.on_connection_to(other).map(|request| request.sni),
            }
        };
        for (url, other, expected) in [
            ("https://A.example:8443/", None, Some("a.example")),
            ("https://[::1]/", None, None),
            ("http://a.example/", None, None),
            ("https://a.example/", Some("B.example"), Some("b.example")),
            ("https://a.example/", Some(""), None),
        ] {
            assert_eq!(sni(url, other).unwrap().as_deref(), expected, "{url} {other:?}");
        }
        for (url, other) in
            [("http://a.example/", "b.example"), ("https://a/", "192.0.2.1"), ("https://a/", "a b")]
        {
            assert!(sni(url, Some(other)).is_err(), "{url} {other}");
        }
    }

    #[test]
    fn a_host_header_replaces_that_of_the_url() {
        for (headers, authority) in
            [(&["Host: b"][..], "b"), (&["host:"], ""), (&["host: b", "host: c"], "b,c")]
        {
            let headers: Vec<_> = headers.iter().map(ToString::to_string).collect();
            let request = Request::new("GET", "https://a.example", &headers).unwrap();
            assert_eq!((&*request.authority, request.extra.len()), (authority, 0));
            assert_eq!(request.sni.as_deref(), Some("a.example"));
        }
        for bad in ["x", ": y"] {
            assert!(Request::new("GET", "a", &[bad.into()]).is_err(), "{bad}");
        }
    }
}
