//! The shapes that recur in Envoy's API: typed messages, addresses, sources of
//! configuration, durations.

use std::net::SocketAddr;
use std::path::Path;

use serde::{Serialize, Serializer};

/// A message inside `google.protobuf.Any`: its fields beside its `@type`.
#[derive(Debug, Serialize)]
pub(super) struct Any<T> {
    #[serde(rename = "@type")]
    type_url: &'static str,
    #[serde(flatten)]
    message: T,
}

/// A message that can stand inside an [`Any`].
pub(super) trait Message: Serialize + Sized {
    /// `type.googleapis.com/` and the message's full name.
    const TYPE_URL: &'static str;

    fn into_any(self) -> Any<Self> {
        Any { type_url: Self::TYPE_URL, message: self }
    }
}

/// Implements [`Message`] for types by their full names.
macro_rules! messages {
    ($($name:ty = $full:literal),+ $(,)?) => {
        $(impl crate::envoy::wire::Message for $name {
            const TYPE_URL: &'static str = concat!("type.googleapis.com/", $full);
        })+
    };
}
pub(super) use messages;

/// An extension: its name and its configuration.
#[derive(Debug, Serialize)]
pub(super) struct Extension<T> {
    pub(super) name: &'static str,
    pub(super) typed_config: Any<T>,
}

impl<T: Message> Extension<T> {
    pub(super) fn new(name: &'static str, config: T) -> Self {
        Self { name, typed_config: config.into_any() }
    }
}

/// `DiscoveryResponse`: what a file of dynamic resources holds.
#[derive(Debug, Serialize)]
pub(super) struct DiscoveryResponse<T> {
    pub(super) version_info: String,
    pub(super) resources: Vec<T>,
}

/// `core.v3.Address`.
#[derive(Debug, Serialize)]
pub(super) struct Address {
    socket_address: SocketAddress,
}

#[derive(Debug, Serialize)]
struct SocketAddress {
    address: String,
    port_value: u16,
}

impl Address {
    pub(super) fn new(host: impl Into<String>, port: u16) -> Self {
        Self { socket_address: SocketAddress { address: host.into(), port_value: port } }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::new(address.ip().to_string(), address.port())
    }
}

/// `core.v3.ConfigSource`: a file that Envoy reads again whenever another is
/// renamed onto it.
#[derive(Debug, Serialize)]
pub(super) struct ConfigSource {
    resource_api_version: &'static str,
    path_config_source: PathConfigSource,
}

#[derive(Debug, Serialize)]
struct PathConfigSource {
    path: String,
}

impl ConfigSource {
    pub(super) fn file(path: &Path) -> Self {
        Self {
            resource_api_version: "V3",
            path_config_source: PathConfigSource { path: path.display().to_string() },
        }
    }
}

/// `core.v3.ConfigSource`: the server that the bootstrap names.
#[derive(Debug, Serialize)]
pub(super) struct AggregatedSource {
    resource_api_version: &'static str,
    ads: Empty,
}

impl AggregatedSource {
    pub(super) fn new() -> Self {
        Self { resource_api_version: "V3", ads: Empty {} }
    }
}

/// A `google.protobuf.Duration` of whole seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seconds(pub(super) u32);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}s", self.0))
    }
}

/// A message without fields, or with none that we set.
#[derive(Debug, Serialize)]
pub(super) struct Empty {}
