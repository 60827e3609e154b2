//! Decides whether a request is from the page.

use std::net::SocketAddr;

use anyhow::Context;
use hyper::header::{HOST, ORIGIN};
use hyper::{Request, StatusCode};
use ring::rand::{SecureRandom, SystemRandom};
use subtle::ConstantTimeEq;

use crate::digest::hex;

/// The bytes of a token, which nobody can guess.
const TOKEN_BYTES: usize = 16;

/// The secret part of the page's URL.
pub(in crate::ui) struct Token(String);

impl Token {
    /// A new one.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub(in crate::ui) fn random() -> anyhow::Result<Self> {
        let mut bytes = [0; TOKEN_BYTES];
        SystemRandom::new().fill(&mut bytes).ok().context("the system has no random numbers")?;
        Ok(Self(hex(&bytes)))
    }

    pub(in crate::ui) fn as_str(&self) -> &str {
        &self.0
    }

    /// Compares in constant time, so that the time of a response says nothing about it.
    fn is(&self, other: &str) -> bool {
        self.0.as_bytes().ct_eq(other.as_bytes()).into()
    }
}

/// The token, and the names of the server.
pub(super) struct Gate {
    hosts: Vec<String>,
    token: Token,
}

/// Why a request gets nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The name of another server, which may have been made to resolve to this one.
    Host,
    /// The request is from another page.
    Origin,
    Token,
}

impl Refusal {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Host | Self::Origin => StatusCode::FORBIDDEN,
            Self::Token => StatusCode::NOT_FOUND,
        }
    }

    pub(super) fn message(self) -> &'static str {
        match self {
            Self::Host => "the host is not that of the printed URL; open that URL",
            Self::Origin => "requests from other pages are not allowed",
            Self::Token => "not found; open the URL that ingressctl ui has printed",
        }
    }
}

impl Gate {
    pub(super) fn new(address: SocketAddr, token: Token) -> Self {
        let mut hosts = vec![address.to_string(), format!("localhost:{}", address.port())];
        // Browsers leave out the default port.
        let short = hosts.iter().filter_map(|host| host.strip_suffix(":80"));
        let short: Vec<_> = short.map(str::to_owned).collect();
        hosts.extend(short);
        Self { hosts, token }
    }

    /// The path of the request after the token.
    pub(super) fn admit<'r, B>(&self, request: &'r Request<B>) -> Result<&'r str, Refusal> {
        let mut hosts = request.headers().get_all(HOST).into_iter();
        let host = hosts.next().and_then(|host| host.to_str().ok());
        if !host.is_some_and(|host| self.is_host(host)) || hosts.next().is_some() {
            return Err(Refusal::Host);
        }
        let is_own =
            |origin: &str| origin.strip_prefix("http://").is_some_and(|host| self.is_host(host));
        let mut origins = request.headers().get_all(ORIGIN).into_iter();
        if !origins.all(|origin| origin.to_str().is_ok_and(is_own)) {
            return Err(Refusal::Origin);
        }
        let path = request.uri().path().strip_prefix('/').ok_or(Refusal::Token)?;
        let (token, rest) = path.split_once('/').ok_or(Refusal::Token)?;
        if self.token.is(token) { Ok(rest) } else { Err(Refusal::Token) }
    }

    fn is_host(&self, host: &str) -> bool {
        self.hosts.iter().any(|own| own.eq_ignore_ascii_case(host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> Gate {
        Gate::new("127.0.0.1:4711".parse().unwrap(), Token("secret".into()))
    }

    fn admitted(headers: &[(&str, &str)], path: &str) -> Result<String, Refusal> {
        let mut request = Request::builder().uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        gate().admit(&request.body(()).unwrap()).map(str::to_owned)
    }

    #[test]
    fn only_the_token_opens_the_page() {
        let host = [("host", "127.0.0.1:4711")];
        assert_eq!(admitted(&host, "/secret/").as_deref(), Ok(""));
        assert_eq!(admitted(&host, "/secret/page.js?x").as_deref(), Ok("page.js"));
        for path in ["/", "/secret", "//secret/", "/secreT/", "/secret1/", "/secre/", "/x/secret/"]
        {
            assert_eq!(admitted(&host, path), Err(Refusal::Token), "{path}");
        }
    }

    #[test]
    fn another_name_of_the_server_is_rejected() {
        for host in ["localhost:4711", "LOCALHOST:4711", "127.0.0.1:4711"] {
            assert!(admitted(&[("host", host)], "/secret/").is_ok(), "{host}");
        }
        for host in ["rebound.example:4711", "127.0.0.1", "localhost", "127.0.0.1:4712", ""] {
            assert_eq!(admitted(&[("host", host)], "/secret/"), Err(Refusal::Host), "{host}");
        }
        assert_eq!(admitted(&[], "/secret/"), Err(Refusal::Host));
        let two = [("host", "localhost:4711"), ("host", "rebound.example")];
        assert_eq!(admitted(&two, "/secret/"), Err(Refusal::Host));
    }

    #[test]
    fn browsers_leave_out_the_default_port() {
        for (address, host) in [
            ("127.0.0.1:80", "127.0.0.1"),
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("127.0.0.1:80", "localhost"),
            ("[::1]:80", "[::1]"),
        ] {
            let gate = Gate::new(address.parse().unwrap(), Token("secret".into()));
            let request = Request::builder().uri("/secret/").header(HOST, host);
            let request = request.header(ORIGIN, format!("http://{host}")).body(()).unwrap();
            assert_eq!(gate.admit(&request), Ok(""), "{host}");
        }
    }

    #[test]
    fn other_pages_are_rejected() {
        let with =
            |origin| admitted(&[("host", "127.0.0.1:4711"), ("origin", origin)], "/secret/try");
        assert_eq!(with("http://127.0.0.1:4711").as_deref(), Ok("try"));
        for origin in ["null", "https://127.0.0.1:4711", "http://evil.example", "http://127.0.0.1"]
        {
            assert_eq!(with(origin), Err(Refusal::Origin), "{origin}");
        }
    }

    #[test]
    fn tokens_are_long_and_differ() {
        let [one, other] = [Token::random().unwrap(), Token::random().unwrap()];
        assert_eq!(one.as_str().len(), 2 * TOKEN_BYTES);
        assert!(one.is(one.as_str()) && !one.is(other.as_str()));
    }
}
