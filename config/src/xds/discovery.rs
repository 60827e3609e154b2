//! The messages of the stream: `envoy.service.discovery.v3`, the incremental
//! variant, with the fields that are read or set.

use std::collections::HashMap;

use prost::Message;
use prost::bytes::Bytes;

/// `DeltaDiscoveryRequest`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct DeltaDiscoveryRequest {
    #[prost(string, tag = "2")]
    pub(super) type_url: String,
    #[prost(string, repeated, tag = "3")]
    pub(super) resource_names_subscribe: Vec<String>,
    #[prost(string, repeated, tag = "4")]
    pub(super) resource_names_unsubscribe: Vec<String>,
    #[prost(map = "string, string", tag = "5")]
    pub(super) initial_resource_versions: HashMap<String, String>,
    #[prost(string, tag = "6")]
    pub(super) response_nonce: String,
    #[prost(message, optional, tag = "7")]
    pub(super) error_detail: Option<Status>,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Status {
    #[prost(string, tag = "2")]
    pub(super) message: String,
}

/// `DeltaDiscoveryResponse`. It may hold private keys, so it is never printed.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(super) struct DeltaDiscoveryResponse {
    /// The version that Envoy shows in its statistics.
    #[prost(string, tag = "1")]
    pub(super) system_version_info: String,
    #[prost(message, repeated, tag = "2")]
    pub(super) resources: Vec<Resource>,
    #[prost(string, tag = "4")]
    pub(super) type_url: String,
    #[prost(string, tag = "5")]
    pub(super) nonce: String,
    #[prost(string, repeated, tag = "6")]
    pub(super) removed_resources: Vec<String>,
}

impl std::fmt::Debug for DeltaDiscoveryResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DeltaDiscoveryResponse({} {})", self.type_url, self.nonce)
    }
}

/// `Resource`.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(super) struct Resource {
    #[prost(string, tag = "1")]
    version: String,
    #[prost(message, optional, tag = "2")]
    content: Option<Any>,
    #[prost(string, tag = "3")]
    name: String,
}

impl std::fmt::Debug for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Resource({} {})", self.name, self.version)
    }
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

impl std::fmt::Debug for Any {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.type_url)
    }
}

impl Resource {
    pub(super) fn new(name: &str, type_url: &str, resource: &crate::envoy::Resource) -> Self {
        let content = Any { type_url: type_url.to_owned(), value: resource.body.clone() };
        Self {
            version: resource.version.to_string(),
            content: Some(content),
            name: name.to_owned(),
        }
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    #[cfg(feature = "fuzzing")]
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// The name, the type and the resource; `None` without content.
    pub(super) fn into_parts(self) -> Option<(String, String, crate::envoy::Resource)> {
        let Any { type_url, value } = self.content?;
        Some((self.name, type_url, crate::envoy::Resource::from_body(value)))
    }
}
