//! The address of Envoy's admin interface, whose clients can control Envoy.

use std::net::SocketAddr;
use std::str::FromStr;

use thiserror::Error;

use super::listen_addr::{ListenAddrError, parse_listen_addr};

/// The address of Envoy's admin interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admin {
    /// A port of the loopback interface.
    Loopback(LoopbackAddr),
    /// The socket [`Layout::admin_socket`](super::Layout::admin_socket), which no
    /// route can reach.
    Socket,
}

/// An address that only this machine can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoopbackAddr(SocketAddr);

impl LoopbackAddr {
    /// The address.
    pub fn get(self) -> SocketAddr {
        self.0
    }
}

/// An invalid address of the admin interface.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AdminError {
    /// Not an address.
    #[error(transparent)]
    Malformed(#[from] ListenAddrError),
    /// Other machines can reach it.
    #[error(
        "not a loopback address: every client of the admin interface can control Envoy without a \
         password; use 127.0.0.1:{0}, and connect from other machines through ssh"
    )]
    Reachable(u16),
}

impl TryFrom<SocketAddr> for LoopbackAddr {
    type Error = AdminError;

    fn try_from(address: SocketAddr) -> Result<Self, AdminError> {
        if address.ip().to_canonical().is_loopback() {
            Ok(Self(address))
        } else {
            Err(AdminError::Reachable(address.port()))
        }
    }
}

impl FromStr for LoopbackAddr {
    type Err = AdminError;

    fn from_str(text: &str) -> Result<Self, AdminError> {
        parse_listen_addr(text)?.try_into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_machine_itself_reaches_the_admin_interface() {
        for address in
            ["127.0.0.1:0", "127.1.2.3:9901", "[::1]:9901", "[::ffff:127.0.0.1]:1", ":9901"]
        {
            assert!(address.parse::<LoopbackAddr>().is_ok(), "{address}");
        }
        for address in ["0.0.0.0:9901", "10.0.0.1:9901", "[::]:9901", "[fe80::1]:1", "128.0.0.1:1"]
        {
            let error = address.parse::<LoopbackAddr>().unwrap_err();
            assert!(matches!(error, AdminError::Reachable(_)), "{address}: {error}");
        }
        for text in ["edge.example:9901", "127.0.0.1", ""] {
            let error = text.parse::<LoopbackAddr>().unwrap_err();
            assert!(matches!(error, AdminError::Malformed(_)), "{text}: {error}");
        }
    }
}
