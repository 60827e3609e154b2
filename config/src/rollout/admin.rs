//! Envoy's admin interface: which configuration it has taken in.

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use tokio::time::timeout;

use crate::envoy::FILTER_NAME;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(super) struct Admin {
    client: Client<HttpConnector, Empty<Bytes>>,
    /// Where Envoy writes its address, at each start a new one perhaps.
    address: PathBuf,
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

/// The statistic that tells which configuration of the filter is served.
pub(super) fn table_version() -> String {
    format!("extension_config_discovery.http_filter.{FILTER_NAME}.version_text")
}

impl Admin {
    pub(super) fn new(address: PathBuf) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http(), address }
    }

    /// The address of the admin interface.
    pub(super) fn address(&self) -> anyhow::Result<SocketAddr> {
        let text = fs::read_to_string(&self.address).unwrap_or_default();
        text.trim().parse().context("Envoy has not started")
    }

    /// Whether Envoy has started, all its first configuration taken in.
    pub(super) async fn is_ready(&self) -> anyhow::Result<bool> {
        Ok(self.get("/ready").await?.trim() == "LIVE")
    }

    /// Where a listener listens, once it does.
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

    async fn get(&self, path: &str) -> anyhow::Result<String> {
        let (_, body) = self.fetch(Method::GET, path).await?;
        Ok(body)
    }

    /// Tells Envoy to do something.
    pub(super) async fn post(&self, path: &str) -> anyhow::Result<()> {
        let (status, body) = self.fetch(Method::POST, path).await?;
        anyhow::ensure!(status.is_success(), "Envoy answers {path} with {status}: {body}");
        Ok(())
    }

    async fn fetch(&self, method: Method, path: &str) -> anyhow::Result<(StatusCode, String)> {
        timeout(TIMEOUT, self.send(method, path))
            .await
            .context("Envoy's admin interface does not answer")?
    }

    async fn send(&self, method: Method, path: &str) -> anyhow::Result<(StatusCode, String)> {
        let path = path.replace('^', "%5E").replace('|', "%7C");
        let uri = format!("http://{}{path}", self.address()?);
        let request = Request::builder().method(method).uri(uri).body(Empty::new())?;
        let response = self
            .client
            .request(request)
            .await
            .context("Envoy's admin interface does not answer")?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }
}
