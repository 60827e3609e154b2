//! Messages that many resources share: addresses, configuration sources, data
//! sources.

use std::net::SocketAddr;
use std::path::Path;

use ipnet::IpNet;
use prost::{Enumeration, Message, Oneof};
use serde::Serialize;

use super::message::{Empty, is_unset, json_names};

/// `core.v3.Address`.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct Address {
    #[prost(oneof = "AddressKind", tags = "1, 2")]
    #[serde(flatten)]
    kind: Option<AddressKind>,
}

#[derive(Clone, PartialEq, Oneof, Serialize)]
#[serde(rename_all = "snake_case")]
enum AddressKind {
    #[prost(message, tag = "1")]
    SocketAddress(SocketAddress),
    #[prost(message, tag = "2")]
    Pipe(Pipe),
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct SocketAddress {
    #[prost(string, tag = "2")]
    address: String,
    /// A variant, so that 0, which selects any free port, is encoded, too.
    #[prost(uint32, optional, tag = "3")]
    port_value: Option<u32>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct Pipe {
    #[prost(string, tag = "1")]
    path: String,
    /// The mode of the file, if a listener creates it.
    #[prost(uint32, tag = "2")]
    #[serde(skip_serializing_if = "is_unset")]
    mode: u32,
}

impl Address {
    pub(super) fn new(host: impl Into<String>, port: u16) -> Self {
        let address = SocketAddress { address: host.into(), port_value: Some(port.into()) };
        Self { kind: Some(AddressKind::SocketAddress(address)) }
    }

    pub(super) fn pipe(path: &Path) -> Self {
        let pipe = Pipe { path: path.display().to_string(), mode: 0 };
        Self { kind: Some(AddressKind::Pipe(pipe)) }
    }

    /// A socket to which only the owner and the group may connect.
    pub(super) fn shared_with_group(mut self) -> Self {
        if let Some(AddressKind::Pipe(pipe)) = &mut self.kind {
            pipe.mode = 0o660;
        }
        self
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::new(address.ip().to_string(), address.port())
    }
}

/// `core.v3.CidrRange`.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct CidrRange {
    #[prost(string, tag = "1")]
    address_prefix: String,
    #[prost(message, optional, tag = "2")]
    prefix_len: Option<u32>,
}

impl From<IpNet> for CidrRange {
    fn from(network: IpNet) -> Self {
        let prefix_len = Some(u32::from(network.prefix_len()));
        Self { address_prefix: network.network().to_string(), prefix_len }
    }
}

/// `core.v3.ConfigSource`.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct ConfigSource {
    #[prost(enumeration = "ApiVersion", tag = "6")]
    #[serde(serialize_with = "ApiVersion::json")]
    resource_api_version: i32,
    #[prost(oneof = "Source", tags = "3, 8")]
    #[serde(flatten)]
    source: Option<Source>,
}

#[derive(Clone, PartialEq, Oneof, Serialize)]
#[serde(rename_all = "snake_case")]
enum Source {
    #[prost(message, tag = "3")]
    Ads(Empty),
    #[prost(message, tag = "8")]
    PathConfigSource(PathConfigSource),
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct PathConfigSource {
    #[prost(string, tag = "1")]
    path: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub(super) enum ApiVersion {
    Auto = 0,
    V3 = 2,
}

json_names!(ApiVersion { Auto = "AUTO", V3 = "V3" });

impl ConfigSource {
    /// The stream that the bootstrap configures.
    pub(super) fn stream() -> Self {
        Self { resource_api_version: ApiVersion::V3.into(), source: Some(Source::Ads(Empty {})) }
    }

    /// A file that Envoy reads again when another one is renamed onto it.
    pub(super) fn file(path: &Path) -> Self {
        let source = PathConfigSource { path: path.display().to_string() };
        Self {
            resource_api_version: ApiVersion::V3.into(),
            source: Some(Source::PathConfigSource(source)),
        }
    }
}

/// `core.v3.HeaderValueOption`.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct HeaderValueOption {
    #[prost(message, optional, tag = "1")]
    header: Option<HeaderValue>,
    #[prost(enumeration = "AppendAction", tag = "3")]
    #[serde(skip_serializing_if = "is_unset", serialize_with = "AppendAction::json")]
    append_action: i32,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct HeaderValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
enum AppendAction {
    AppendIfExistsOrAdd = 0,
    AddIfAbsent = 1,
}

json_names!(AppendAction {
    AppendIfExistsOrAdd = "APPEND_IF_EXISTS_OR_ADD",
    AddIfAbsent = "ADD_IF_ABSENT",
});

impl HeaderValueOption {
    /// Keeps existing values.
    pub(super) fn appended(key: &str, value: String) -> Self {
        let header = Some(HeaderValue { key: key.to_owned(), value });
        Self { header, append_action: AppendAction::AppendIfExistsOrAdd.into() }
    }

    pub(super) fn if_absent(key: &str, value: String) -> Self {
        Self { append_action: AppendAction::AddIfAbsent.into(), ..Self::appended(key, value) }
    }
}

/// `core.v3.DataSource`. It may contain a private key, so it is never printed.
#[derive(Clone, PartialEq, Message, Serialize)]
#[prost(skip_debug)]
pub(super) struct DataSource {
    #[prost(oneof = "Data", tags = "1, 3")]
    #[serde(flatten)]
    data: Option<Data>,
}

#[derive(Clone, PartialEq, Oneof, Serialize)]
#[prost(skip_debug)]
#[serde(rename_all = "snake_case")]
enum Data {
    #[prost(string, tag = "1")]
    Filename(String),
    #[prost(string, tag = "3")]
    InlineString(String),
}

impl DataSource {
    pub(super) fn file(path: &Path) -> Self {
        Self { data: Some(Data::Filename(path.display().to_string())) }
    }

    pub(super) fn inline(text: &str) -> Self {
        Self { data: Some(Data::InlineString(text.to_owned())) }
    }
}

impl std::fmt::Debug for DataSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DataSource")
    }
}

impl std::fmt::Debug for Data {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Data")
    }
}

/// `type.matcher.v3.StringMatcher`.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct StringMatcher {
    #[prost(oneof = "StringPattern", tags = "1, 2, 5")]
    #[serde(flatten)]
    pattern: Option<StringPattern>,
    #[prost(bool, tag = "6")]
    #[serde(skip_serializing_if = "is_unset")]
    ignore_case: bool,
}

#[derive(Clone, PartialEq, Oneof, Serialize)]
#[serde(rename_all = "snake_case")]
enum StringPattern {
    #[prost(string, tag = "1")]
    Exact(String),
    #[prost(string, tag = "2")]
    Prefix(String),
    #[prost(message, tag = "5")]
    SafeRegex(SafeRegex),
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct SafeRegex {
    #[prost(message, optional, tag = "1")]
    #[serde(skip_serializing_if = "is_unset")]
    google_re2: Option<Empty>,
    #[prost(string, tag = "2")]
    regex: String,
}

impl StringMatcher {
    pub(super) fn exact(text: &str) -> Self {
        Self { pattern: Some(StringPattern::Exact(text.to_owned())), ignore_case: false }
    }

    pub(super) fn prefix(text: &str) -> Self {
        Self { pattern: Some(StringPattern::Prefix(text.to_owned())), ignore_case: false }
    }

    /// A prefix of header names, which are not case-sensitive.
    pub(super) fn header_prefix(text: &str) -> Self {
        Self { pattern: Some(StringPattern::Prefix(text.to_owned())), ignore_case: true }
    }

    /// A regular expression for `xds.type.matcher.v3`, which requires the engine.
    pub(super) fn regex(regex: String) -> Self {
        Self::matching(SafeRegex { google_re2: Some(Empty {}), regex })
    }

    /// Matches any text.
    pub(super) fn any() -> Self {
        Self::text_matching(".*".to_owned())
    }

    /// A regular expression for Envoy's own messages, in which the engine is deprecated.
    pub(super) fn text_matching(regex: String) -> Self {
        Self::matching(SafeRegex { google_re2: None, regex })
    }

    fn matching(regex: SafeRegex) -> Self {
        Self { pattern: Some(StringPattern::SafeRegex(regex)), ignore_case: false }
    }
}
