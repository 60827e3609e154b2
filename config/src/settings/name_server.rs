//! The DNS servers of the controller.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::finding::quote;

/// The port of DNS servers (RFC 1035, section 4.2).
const PORT: u16 = 53;

/// A DNS server: its address, and its port if that is not 53.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NameServer(SocketAddr);

impl NameServer {
    /// Its address and port.
    pub fn address(self) -> SocketAddr {
        self.0
    }
}

/// Not the address of a name server.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{} is not the address of a name server; write it as in 10.96.0.10, 10.96.0.10:53 or [fd00::a]:53",
    quote(.0)
)]
pub struct NameServerError(String);

impl FromStr for NameServer {
    type Err = NameServerError;

    fn from_str(text: &str) -> Result<Self, NameServerError> {
        let address = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, PORT));
        let address = address.or_else(|_| text.parse());
        address.map(Self).map_err(|_| NameServerError(text.into()))
    }
}

impl TryFrom<String> for NameServer {
    type Error = NameServerError;

    fn try_from(text: String) -> Result<Self, NameServerError> {
        text.parse()
    }
}

impl From<NameServer> for String {
    fn from(server: NameServer) -> Self {
        server.to_string()
    }
}

impl fmt::Display for NameServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_server_is_an_address_with_or_without_a_port() {
        for (text, address) in [
            ("10.96.0.10", "10.96.0.10:53"),
            ("127.0.0.1:5353", "127.0.0.1:5353"),
            ("fd00::a", "[fd00::a]:53"),
            ("[fd00::a]:5353", "[fd00::a]:5353"),
        ] {
            let server = text.parse::<NameServer>().unwrap();
            assert_eq!(server.to_string(), address, "{text}");
            assert_eq!(String::from(server).parse(), Ok(server));
        }
        for bad in ["", "dns.example", "10.96.0.10:", "10.96.0.10:65536", "[fd00::a]", "10.96.0"] {
            assert!(bad.parse::<NameServer>().is_err(), "{bad}");
        }
    }
}
