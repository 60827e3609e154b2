//! A client of Envoy's admin interface.

use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::str::FromStr;

use crate::client::{Answer, exchange, get};

/// The address of Envoy's admin interface.
#[derive(Clone, Debug)]
pub enum Admin {
    /// A port.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl Admin {
    /// The body of the response to a GET.
    ///
    /// # Panics
    /// If there is no response.
    pub fn get(&self, path: &str) -> Answer {
        match self {
            Self::Tcp(address) => get(*address, "admin", path),
            Self::Unix(socket) => {
                let mut stream = UnixStream::connect(socket).expect("Envoy listens");
                let request = format!("GET {path} HTTP/1.1\r\nhost: admin\r\n\r\n");
                exchange(&mut stream, request.as_bytes())
            }
        }
    }

    /// Whether Envoy has started.
    ///
    /// # Panics
    /// If there is no response.
    pub fn is_ready(&self) -> bool {
        self.get("/ready").status == 200
    }

    /// Waits until the listener with this name is active; if the name is empty, any
    /// listener.
    ///
    /// # Panics
    /// If there is no response.
    pub fn listener(&self, name: &str) -> Option<SocketAddr> {
        let listeners = self.get("/listeners").body;
        let mut listeners = listeners.lines().filter_map(|line| line.split_once("::"));
        listeners.find(|(found, _)| name.is_empty() || *found == name)?.1.parse().ok()
    }
}

/// The form in which Envoy and `ingressctl` write it.
impl FromStr for Admin {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with('/') {
            Ok(Self::Unix(text.into()))
        } else {
            text.parse().map(Self::Tcp)
        }
    }
}
