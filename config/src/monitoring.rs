//! What others can observe of a gateway over HTTP: whether it serves, and `/metrics` of
//! ingressctl and Envoy together.

mod envoy;
mod health;
mod stats;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::registry::Registry;

use crate::rollout::EnvoyHandle;

use envoy::EnvoyMetrics;

pub(crate) use health::{Readiness, serve};

/// Envoy is asked at most once in this time, because it computes the response in its main
/// thread.
const REFRESH_PERIOD: Duration = Duration::from_secs(1);

/// The metrics of ingressctl, and those of Envoy as it reports them for each scrape.
#[derive(Debug)]
pub(crate) struct Exposition {
    registry: Registry,
    envoy: EnvoyHandle,
    newest: Arc<Mutex<EnvoyMetrics>>,
    /// When Envoy was asked last.
    asked: Arc<tokio::sync::Mutex<Option<Instant>>>,
}

impl Exposition {
    /// Adds the metrics of `envoy` to those in `registry`.
    pub(crate) fn new(mut registry: Registry, envoy: EnvoyHandle) -> Self {
        let newest = Arc::new(Mutex::new(EnvoyMetrics::unavailable()));
        registry.register_collector(Box::new(envoy::Newest(Arc::clone(&newest))));
        Self { registry, envoy, newest, asked: Arc::default() }
    }

    /// Asks Envoy for its statistics. Without a response, only those of ingressctl are
    /// told, and that Envoy did not respond.
    async fn refresh(&self) {
        let mut asked = Arc::clone(&self.asked).lock_owned().await;
        if asked.is_some_and(|asked| asked.elapsed() < REFRESH_PERIOD) {
            return;
        }
        let (envoy, newest) = (self.envoy.clone(), Arc::clone(&self.newest));
        // A client that disconnects must not end it: the next one would ask again at once.
        let reading = tokio::spawn(async move {
            let metrics = EnvoyMetrics::read(&envoy).await.unwrap_or_else(|error| {
                tracing::debug!("no statistics of Envoy: {error:#}");
                EnvoyMetrics::unavailable()
            });
            *newest.lock().unwrap_or_else(PoisonError::into_inner) = metrics;
            *asked = Some(Instant::now());
        });
        let _ = reading.await;
    }

    /// All metrics as `OpenMetrics` 1.0.
    fn to_openmetrics(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// All metrics in Prometheus' text format, version 0.0.4.
    fn to_prometheus(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
