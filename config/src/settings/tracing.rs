//! Tracing of requests with OpenTelemetry.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::percentage::Percentage;
use crate::finding::quote;
use crate::objects::is_dns_subdomain;

/// Where the spans of requests are sent, and of which requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tracing {
    /// Send spans to this OpenTelemetry collector, by OTLP over gRPC without TLS:
    /// HOST:PORT, such as otel-collector.observability.svc.cluster.local:4317.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub(crate) collector: CollectorAddress,
    /// Use this service.name in spans.
    #[serde(default = "default_service_name")]
    pub(crate) service_name: String,
    /// Trace this percentage of the requests, selected at random.
    #[cfg_attr(feature = "schema", schemars(with = "f64"))]
    #[serde(default = "default_percent")]
    pub(crate) sampling_percent: Percentage,
}

fn default_service_name() -> String {
    "ingress".to_owned()
}

fn default_percent() -> Percentage {
    Percentage::ONE_PERCENT
}

/// The host and the port of the collector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct CollectorAddress {
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// An invalid address of a collector.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{} is not HOST:PORT; write a DNS name or an IP address with a port, such as otel-collector.observability.svc.cluster.local:4317",
    quote(.0)
)]
pub struct CollectorAddressError(String);

impl FromStr for CollectorAddress {
    type Err = CollectorAddressError;

    fn from_str(text: &str) -> Result<Self, CollectorAddressError> {
        let error = || CollectorAddressError(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(error)?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let is_host = is_dns_subdomain(host) || host.parse::<std::net::IpAddr>().is_ok();
        match port.parse() {
            Ok(port) if port > 0 && is_host => Ok(Self { host: host.to_owned(), port }),
            _ => Err(error()),
        }
    }
}

impl TryFrom<String> for CollectorAddress {
    type Error = CollectorAddressError;

    fn try_from(text: String) -> Result<Self, CollectorAddressError> {
        text.parse()
    }
}

impl fmt::Display for CollectorAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl From<CollectorAddress> for String {
    fn from(address: CollectorAddress) -> Self {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for good in ["otel.observability.svc:4317", "127.0.0.1:1", "[::1]:4317"] {
            assert_eq!(good.parse::<CollectorAddress>().unwrap().to_string(), good);
        }
        for bad in ["otel", "otel:0", "otel:x", ":4317", "http://otel:4317", "a b:1", "otel:70000"]
        {
            assert!(bad.parse::<CollectorAddress>().is_err(), "{bad}");
        }
    }
}
