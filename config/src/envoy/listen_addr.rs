//! Parses listen addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use thiserror::Error;

/// Parses `IP:PORT` or `localhost:PORT`. `PORT` and `:PORT` mean 127.0.0.1,
/// because other addresses should be explicit.
///
/// # Errors
/// If it is invalid, with the remedy.
pub(crate) fn parse_listen_addr(text: &str) -> Result<SocketAddr, ListenAddrError> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if let Some(ip) = without_port(text) {
        return Err(ListenAddrError::WithoutPort(ip));
    }
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let port = match port.parse() {
        Ok(port) if is_number => port,
        _ if is_number => return Err(ListenAddrError::Port),
        _ => return Err(ListenAddrError::Malformed),
    };
    match host {
        "" => Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        "*" => Err(ListenAddrError::Everywhere(port)),
        host if is_localhost(host) => Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        _ => Err(ListenAddrError::Host(port)),
    }
}

fn is_localhost(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
}

/// The IP address in `text`, if its port is missing.
fn without_port(text: &str) -> Option<IpAddr> {
    if is_localhost(text) {
        return Some(Ipv4Addr::LOCALHOST.into());
    }
    let in_brackets = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let in_brackets = in_brackets.and_then(|text| text.parse::<Ipv6Addr>().ok());
    in_brackets.map(IpAddr::from).or_else(|| text.parse().ok())
}

/// An invalid listen address.
#[derive(Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ListenAddrError {
    /// The port is missing.
    #[error("the port is missing; write {}", SocketAddr::new(*.0, 8080))]
    WithoutPort(IpAddr),
    /// The port is not a 16-bit number.
    #[error("the port is too large; use a number from 0 to 65535")]
    Port,
    /// The host is `*`.
    #[error("`*` is not an address; to listen on all of them, write 0.0.0.0:{0} or [::]:{0}")]
    Everywhere(u16),
    /// It names a host.
    #[error(
        "a host name other than localhost is not allowed; write an IP address, as in 127.0.0.1:{0}"
    )]
    Host(u16),
    /// Any other error.
    #[error("not an address to listen on; write it as IP:PORT, localhost:PORT or PORT")]
    Malformed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_in_many_ways() {
        for (text, address) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("[::1]:8080", "[::1]:8080"),
            ("[::]:0", "[::]:0"),
            ("8080", "127.0.0.1:8080"),
            (":8080", "127.0.0.1:8080"),
            (":0", "127.0.0.1:0"),
            ("localhost:8080", "127.0.0.1:8080"),
            ("Localhost:8080", "127.0.0.1:8080"),
        ] {
            let parsed = parse_listen_addr(text);
            assert_eq!(parsed, Ok(address.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_told_how_to_be_one() {
        for (text, remedy) in [
            ("127.0.0.1", "write 127.0.0.1:8080"),
            ("localhost", "write 127.0.0.1:8080"),
            ("[::1]", "write [::1]:8080"),
            ("::1", "write [::1]:8080"),
            ("65536", "from 0 to 65535"),
            ("127.0.0.1:99999", "from 0 to 65535"),
            ("*:80", "write 0.0.0.0:80 or [::]:80"),
            ("edge.example:80", "write an IP address, as in 127.0.0.1:80"),
            ("", "write it as IP:PORT"),
            (":", "write it as IP:PORT"),
            ("+80", "write it as IP:PORT"),
            ("http://localhost/", "write it as IP:PORT"),
            ("127.0.0.1:", "write it as IP:PORT"),
        ] {
            let error = parse_listen_addr(text).unwrap_err().to_string();
            assert!(error.contains(remedy), "{text}: {error}");
        }
    }
}
