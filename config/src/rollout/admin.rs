//! A client of Envoy's admin interface.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1::handshake;
use hyper::header::HOST;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::envoy::FILTER_NAME;

/// The timeout of a request.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The maximum size of a response. Statistics of 10,000 upstreams and the maximum number
/// of counted Ingresses have a tenth of that.
const MAX_RESPONSE: usize = 64 << 20;

#[derive(Clone, Debug)]
pub(super) struct Admin {
    /// The file with the address, which may change with each start of Envoy.
    address: PathBuf,
}

/// The address of the admin interface, as Envoy reports it: an IP address or a
/// Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminAddress {
    /// An IP address and port.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// Not a valid address.
#[derive(Debug, Error)]
#[error("neither an address nor the path of a socket")]
pub struct AdminAddressError;

/// A bidirectional byte stream.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl AdminAddress {
    async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Tcp(address) => Box::new(TcpStream::connect(address).await?),
            Self::Unix(path) => Box::new(UnixStream::connect(path).await?),
        })
    }
}

impl FromStr for AdminAddress {
    type Err = AdminAddressError;

    fn from_str(text: &str) -> Result<Self, AdminAddressError> {
        if text.starts_with('/') {
            return Ok(Self::Unix(text.into()));
        }
        text.parse().map(Self::Tcp).map_err(|_| AdminAddressError)
    }
}

impl fmt::Display for AdminAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// `/listeners?format=json`.
#[derive(Deserialize)]
struct Listeners {
    #[serde(default)]
    listener_statuses: Vec<ListenerStatus>,
}

#[derive(Deserialize)]
struct ListenerStatus {
    name: String,
    local_address: Address,
}

#[derive(Deserialize)]
struct Address {
    socket_address: SocketAddress,
}

#[derive(Deserialize)]
struct SocketAddress {
    address: String,
    port_value: u16,
}

/// The statistic with the version of the filter configuration in use.
pub(super) fn table_version() -> String {
    format!("extension_config_discovery.http_filter.{FILTER_NAME}.version_text")
}

impl Admin {
    pub(super) fn new(address: PathBuf) -> Self {
        Self { address }
    }

    /// The address of the admin interface.
    pub(super) fn address(&self) -> anyhow::Result<AdminAddress> {
        let text = fs::read_to_string(&self.address).unwrap_or_default();
        text.trim().parse().context("Envoy has not started")
    }

    /// Whether Envoy has started and processed its initial configuration.
    pub(super) async fn is_ready(&self) -> anyhow::Result<bool> {
        // Until then, its status is 503.
        let (_, body) = self.fetch(Method::GET, "/ready").await?;
        Ok(body.trim() == "LIVE")
    }

    /// The address of a listener, once it listens.
    pub(super) async fn listener(&self, name: &str) -> anyhow::Result<Option<SocketAddr>> {
        let listeners: Listeners =
            serde_json::from_str(&self.get("/listeners?format=json").await?)?;
        let found = listeners.listener_statuses.into_iter().find(|listener| listener.name == name);
        found
            .map(|listener| {
                let SocketAddress { address, port_value } = listener.local_address.socket_address;
                Ok(SocketAddr::new(
                    address.parse().context("listener without an address")?,
                    port_value,
                ))
            })
            .transpose()
    }

    /// The values of these statistics; those that do not exist are left out.
    pub(super) async fn stats(&self, names: &[&str]) -> anyhow::Result<HashMap<String, String>> {
        let text = self.get(&format!("/stats?filter=^({})$", names.join("|"))).await?;
        let pairs = text.lines().filter_map(|line| line.split_once(": "));
        Ok(pairs
            .map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()))
            .collect())
    }

    pub(super) async fn get(&self, path: &str) -> anyhow::Result<String> {
        self.succeed(Method::GET, path).await
    }

    /// Sends a command to Envoy.
    pub(super) async fn post(&self, path: &str) -> anyhow::Result<()> {
        self.succeed(Method::POST, path).await.map(|_| ())
    }

    async fn succeed(&self, method: Method, path: &str) -> anyhow::Result<String> {
        let (status, body) = self.fetch(method, path).await?;
        anyhow::ensure!(
            status.is_success(),
            "Envoy's admin interface responds to {path} with {status}: {body}"
        );
        Ok(body)
    }

    async fn fetch(&self, method: Method, path: &str) -> anyhow::Result<(StatusCode, String)> {
        timeout(TIMEOUT, self.send(method, path))
            .await
            .context("Envoy's admin interface does not respond")?
    }

    async fn send(&self, method: Method, path: &str) -> anyhow::Result<(StatusCode, String)> {
        let path = path.replace('^', "%5E").replace('|', "%7C");
        let request = Request::builder().method(method).uri(path).header(HOST, "envoy");
        let stream = self.address()?.connect().await;
        let stream = stream.context("Envoy's admin interface does not respond")?;
        exchange(stream, request.body(Empty::new())?).await.map_err(anyhow::Error::from_boxed)
    }
}

/// One request, on its own connection.
async fn exchange(
    stream: Box<dyn Stream>,
    request: Request<Empty<Bytes>>,
) -> Result<(StatusCode, String), Box<dyn std::error::Error + Send + Sync>> {
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    let asking = async move {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_RESPONSE).collect().await?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    };
    // The connection ends after the response.
    let (answer, _) = tokio::join!(asking, connection);
    answer
}
