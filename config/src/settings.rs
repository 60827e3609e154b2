//! The settings of an operator, in a file whose keys are also flags.
//!
//! [`Settings`] declares each setting once: its key in the file, its flag, and the
//! text of the help and of the JSON Schema. Defaults are in its `Default`.

mod access_log;
mod choices;
mod file;
mod gateway;
mod log_text;
mod memory;
mod name_server;
mod percentage;
mod time_limit;
mod tracing;

use std::num::NonZeroU16;
use std::path::Path;

use clap::{ArgAction, Args};
use ingress_filter::table::{DEFAULT_HTTPS_PORT, Property};
use ipnet::IpNet;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

use crate::budget::Limits;
use crate::finding::{Finding, quote};
use crate::objects::{is_dns_label, is_dns_subdomain};

pub use crate::objects::{LabelError, ObjectName, ObjectNameError};
pub use access_log::{AccessLog, AccessLogError, LogField, LogOptions, OnlyErrors};
pub use choices::{
    EscapedSlashes, HeadersWithUnderscores, HostOwnership, HttpForTls, ImplementationSpecific,
    LoadBalancing, Mode, TlsVersion,
};
pub use gateway::Gateway;
pub use log_text::{LogText, LogTextError};
pub use memory::{Memory, MemoryError};
pub use name_server::{NameServer, NameServerError};
pub use percentage::{Percentage, PercentageError};
pub use time_limit::{TimeLimit, TimeLimitError};
pub use tracing::{CollectorAddressError, Tracing};

/// The settings, as in the YAML file of `--settings FILE`. Unknown keys are
/// rejected.
//
// Flags have no defaults of their own, so that an absent flag does not override the
// file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Args)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[command(next_help_heading = "Settings")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent switch in a file that people write"
)]
pub struct Settings {
    /// Serve Ingresses with the annotation kubernetes.io/ingress.class: CLASS.
    #[arg(long, required = false, value_name = "CLASS")]
    pub ingress_class: String,
    /// Select the Ingresses to serve.
    #[arg(long, required = false, value_name = "MODE", value_enum)]
    pub ingress_controller_mode: Mode,
    /// Serve IngressClasses with this spec.controller.
    #[arg(long, required = false, value_name = "NAME")]
    pub controller_name: String,
    /// The workload that match.source of RouteRules is compared with.
    #[command(flatten)]
    pub gateway: Gateway,
    /// Use this DNS domain of the cluster.
    #[arg(long, required = false, value_name = "DOMAIN", value_parser = parse_domain)]
    #[serde(deserialize_with = "read_domain")]
    pub cluster_domain: String,
    /// Use the certificate in this Secret for clients without SNI, or with a server
    /// name that has no certificate.
    #[arg(long, required = false, value_name = "NAMESPACE/NAME")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub default_certificate: ObjectName,
    /// Reject older versions of TLS.
    #[arg(long, required = false, value_name = "VERSION", value_enum)]
    pub tls_minimum_version: TlsVersion,
    /// Select how to handle plain HTTP requests for paths of Ingresses with TLS.
    #[arg(long, required = false, value_name = "ACTION", value_enum)]
    pub http_for_tls: HttpForTls,
    /// With forwardedHost, tell upstreams this port for plain HTTP; if omitted, 80, or with
    /// serve the port that it listens on.
    #[arg(long, value_name = "PORT")]
    pub http_port: Option<NonZeroU16>,
    /// Redirect to this port for HTTPS, and with forwardedHost tell upstreams; if omitted,
    /// 443, or with serve the port that it listens on.
    #[arg(long, value_name = "PORT")]
    pub https_port: Option<NonZeroU16>,
    /// Time out requests after this duration if no RouteRule sets a timeout, such as
    /// 15s; if omitted, there is no timeout.
    #[arg(long, value_name = "DURATION")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub default_timeout: Option<TimeLimit>,
    /// Reset requests and WebSocket connections after this duration without any data in either
    /// direction.
    ///
    /// A longer timeout of a RouteRule takes precedence.
    #[arg(long, required = false, value_name = "DURATION")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub stream_idle_timeout: TimeLimit,
    /// Respond with 408 to requests that do not arrive completely within this duration,
    /// such as slow uploads; if omitted, only streamIdleTimeout limits them.
    #[arg(long, value_name = "DURATION")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub request_timeout: Option<TimeLimit>,
    /// Allow RouteRules to name Services of other namespaces.
    ///
    /// Anyone who may create a RouteRule can then control requests of other
    /// namespaces.
    #[arg(long, required = false, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub cross_namespace_rules: bool,
    /// Allow regular expressions in Ingress paths of type `ImplementationSpecific` or
    /// without a type.
    ///
    /// They are tried after all other paths.
    #[arg(long, required = false, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub regex_paths: bool,
    /// Select how to match Ingress paths of type `ImplementationSpecific`, or without a
    /// type in older API versions, that do not end in .* as in Istio's notation for
    /// prefixes.
    #[arg(long, required = false, value_name = "MATCH", value_enum)]
    pub implementation_specific: ImplementationSpecific,
    /// Allow Services of type ExternalName as backends.
    ///
    /// Under serve, anyone who may create one can point it at the machine itself or
    /// at the metadata of a cloud.
    #[arg(long, required = false, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub external_name_services: bool,
    /// Require the PROXY protocol, version 1 or 2, with which load balancers report the
    /// address of the client.
    ///
    /// Needs trustedProxies.
    #[arg(long, required = false, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub proxy_protocol: bool,
    /// With the PROXY protocol, close connections from other networks than these, such as
    /// 10.0.0.0/8.
    #[arg(long, required = false, value_name = "CIDR,…", value_delimiter = ',')]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub trusted_proxies: Vec<IpNet>,
    /// Translate gRPC-Web, which browsers speak, to gRPC for ports with the name or
    /// appProtocol grpc-web.
    ///
    /// Every request then passes one more filter of Envoy.
    #[arg(long, required = false, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub grpc_web: bool,
    /// Verify the certificates of Services with ports that use TLS with the authorities in
    /// this file on Envoy's machine, unless the Service names others.
    #[arg(long, required = false, value_name = "FILE", value_parser = parse_path)]
    #[serde(deserialize_with = "read_path")]
    pub upstream_ca_file: String,
    /// Trust the x-forwarded-* headers of this number of proxies in front.
    #[arg(long, required = false, value_name = "N")]
    pub trusted_hops: u32,
    /// Tell upstreams the host and port of the client's request, in x-forwarded-host and
    /// x-forwarded-port.
    ///
    /// Each request then costs Envoy a little more.
    #[arg(long, required = false, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub forwarded_host: bool,
    /// Select how to handle request headers with underscores in their names.
    ///
    /// Many servers treat an underscore like a hyphen, as CGI does, so a client could set
    /// headers that are removed or set here.
    #[arg(long, required = false, value_name = "ACTION", value_enum)]
    pub headers_with_underscores: HeadersWithUnderscores,
    /// Select how to handle encoded slashes and backslashes (%2F, %5C) in paths.
    ///
    /// Some upstreams decode them before they select what to serve.
    #[arg(long, required = false, value_name = "ACTION", value_enum)]
    pub escaped_slashes: EscapedSlashes,
    /// Select how requests are distributed to the endpoints of a service.
    #[arg(long, required = false, value_name = "POLICY", value_enum)]
    pub load_balancing: LoadBalancing,
    /// Log each request as a line of JSON to standard output.
    ///
    /// In the file, a mapping selects the fields or a text, a file, only errors, or a
    /// percentage.
    #[arg(long, required = false, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub access_log: AccessLog,
    /// Count requests by Ingress, `RouteRule`, status class and outcome, and measure their
    /// durations by Ingress and `RouteRule`, for /metrics.
    ///
    /// Each request then costs Envoy 5 to 10 % more CPU time.
    #[arg(long, required = false, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub request_metrics: bool,
    /// Limit the pairs of Ingress and `RouteRule` that requestMetrics counts separately.
    ///
    /// If there are more, the newest Ingresses of the namespaces that have most are counted
    /// together, as other.
    #[arg(long, required = false, value_name = "N")]
    pub request_metrics_limit: u32,
    /// Send spans of requests to an OpenTelemetry collector. In the file only.
    #[arg(skip)]
    pub tracing: Option<Tracing>,
    /// Limit the timeouts and delays that clients can request, if a RouteRule has an
    /// overrideHeaderName.
    #[arg(long, required = false, value_name = "DURATION")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub client_time_limit: TimeLimit,
    /// Limit the retries that clients can request, if a RouteRule has an
    /// overrideHeaderName.
    #[arg(long, required = false, value_name = "N")]
    pub client_retry_limit: u32,
    /// Let Envoy use this much memory, such as 1Gi, and shed load before; if omitted,
    /// serve uses the limit of its cgroup, and other commands set no limit.
    #[arg(long, value_name = "QUANTITY")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub envoy_memory: Option<Memory>,
    /// Select who may define routes for a host: the namespace of the oldest Ingress
    /// that names it, or all namespaces.
    #[arg(long, required = false, value_name = "OWNER", value_enum)]
    pub host_ownership: HostOwnership,
    /// Leave out endpoints in these networks, such as 10.96.0.1/32 for the Kubernetes
    /// API.
    ///
    /// The controller always leaves out endpoints that only its own pod or node can
    /// reach: loopback, link-local, multicast and unspecified addresses, and the
    /// metadata and credential endpoints of cloud providers.
    #[arg(long, required = false, value_name = "CIDR,…", value_delimiter = ',')]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub denied_endpoints: Vec<IpNet>,
    /// Let the controller resolve DNS names of Services with these name servers, such
    /// as 10.96.0.10 or 10.96.0.10:53; if omitted, with those in /etc/resolv.conf.
    #[arg(long, required = false, value_name = "ADDR,…", value_delimiter = ',')]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub name_servers: Vec<NameServer>,
    /// Limit the resources of each object, for resources whose default does not suit:
    /// paths, hosts, tlsWildcards, secrets, services, rules, conditions, endpoints,
    /// bytes, regexBytes. Objects beyond a limit are left out.
    #[arg(long, required = false, value_name = "RESOURCE=N,…")]
    #[cfg_attr(feature = "schema", schemars(with = "std::collections::BTreeMap<String, u64>"))]
    pub object_budget: Limits,
    /// Limit the resources of all objects in a namespace together. The newest objects
    /// beyond a limit are left out.
    #[arg(long, required = false, value_name = "RESOURCE=N,…")]
    #[cfg_attr(feature = "schema", schemars(with = "std::collections::BTreeMap<String, u64>"))]
    pub namespace_budget: Limits,
    /// Limit the resources of all objects together. If namespaces exceed a limit, the
    /// newest objects of those that use most are left out.
    #[arg(long, required = false, value_name = "RESOURCE=N,…")]
    #[cfg_attr(feature = "schema", schemars(with = "std::collections::BTreeMap<String, u64>"))]
    pub total_budget: Limits,
}

impl Settings {
    /// Checks settings against each other.
    ///
    /// # Errors
    /// If two contradict each other.
    pub fn check(&self) -> Result<(), SettingsConflict> {
        match (self.proxy_protocol, self.trusted_proxies.is_empty()) {
            (true, true) => Err(SettingsConflict::UntrustedProxies),
            (false, false) => Err(SettingsConflict::UnusedProxies),
            (true, false) | (false, true) => Ok(()),
        }
    }

    /// The properties of requests that the filter has to store.
    pub(crate) fn recorded(&self) -> Vec<Property> {
        let is_traced = |property| self.tracing.is_some() && property != Property::Fault;
        let is_recorded = |property| self.access_log.shows(property) || is_traced(property);
        Property::ALL.into_iter().filter(|property| is_recorded(*property)).collect()
    }

    /// Whether the gateway begins the trace of each request that is traced, because nothing
    /// in front of it is trusted.
    pub(crate) fn starts_traces(&self) -> bool {
        self.tracing.is_some() && self.trusted_hops == 0
    }

    /// The port on which clients reach plain HTTP.
    pub(crate) fn public_http_port(&self) -> u16 {
        self.http_port.map_or(80, NonZeroU16::get)
    }

    /// The port on which clients reach HTTPS.
    pub(crate) fn public_https_port(&self) -> u16 {
        self.https_port.map_or(DEFAULT_HTTPS_PORT, NonZeroU16::get)
    }

    /// Reads the settings from the YAML file at `path`; an empty file means the
    /// defaults.
    ///
    /// # Errors
    /// If the file cannot be read, or has an invalid key or value: the finding.
    pub fn from_file(path: &Path) -> Result<Self, Box<Finding>> {
        file::read(path)
    }
}

/// Settings that contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SettingsConflict {
    /// Any client could claim any address.
    #[error(
        "proxyProtocol needs trustedProxies; name the networks of your load balancers, such as 10.0.0.0/8"
    )]
    UntrustedProxies,
    /// Without the protocol, every address may connect.
    #[error(
        "trustedProxies has no effect without proxyProtocol; add proxyProtocol: true, or remove it"
    )]
    UnusedProxies,
}

/// An invalid name or path.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NameError {
    /// Not a DNS name.
    #[error("{} is not a DNS name; write one in lower case, as in cluster.local", quote(.0))]
    Domain(String),
    /// Not a DNS label.
    #[error("{} is not a valid DNS label; use lower-case letters, digits and -, 63 characters at most", quote(.0))]
    Label(String),
    /// Not the path of a file.
    #[error("{} is not an absolute path; write one that begins with /", quote(.0))]
    Path(String),
}

/// The domain becomes a part of cluster names and hosts.
fn parse_domain(text: &str) -> Result<String, NameError> {
    if is_dns_subdomain(text) { Ok(text.into()) } else { Err(NameError::Domain(text.into())) }
}

fn parse_dns_label(text: &str) -> Result<String, NameError> {
    if is_dns_label(text) { Ok(text.into()) } else { Err(NameError::Label(text.into())) }
}

/// The folder in which Envoy was started does not matter then.
fn parse_path(text: &str) -> Result<String, NameError> {
    if text.starts_with('/') { Ok(text.into()) } else { Err(NameError::Path(text.into())) }
}

fn read_path<'de, D: Deserializer<'de>>(value: D) -> Result<String, D::Error> {
    parse_path(&String::deserialize(value)?).map_err(D::Error::custom)
}

fn read_domain<'de, D: Deserializer<'de>>(value: D) -> Result<String, D::Error> {
    parse_domain(&String::deserialize(value)?).map_err(D::Error::custom)
}

fn read_dns_label<'de, D: Deserializer<'de>>(value: D) -> Result<String, D::Error> {
    parse_dns_label(&String::deserialize(value)?).map_err(D::Error::custom)
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ingress_class: "istio".into(),
            ingress_controller_mode: Mode::Strict,
            controller_name: "istio.io/ingress-controller".into(),
            gateway: Gateway::default(),
            cluster_domain: "cluster.local".into(),
            default_certificate: ObjectName::default_certificate(),
            tls_minimum_version: TlsVersion::V12,
            http_for_tls: HttpForTls::Serve,
            http_port: None,
            https_port: None,
            default_timeout: None,
            stream_idle_timeout: TimeLimit::of_seconds(300),
            request_timeout: None,
            cross_namespace_rules: false,
            regex_paths: false,
            implementation_specific: ImplementationSpecific::Istio,
            external_name_services: false,
            proxy_protocol: false,
            trusted_proxies: Vec::new(),
            grpc_web: false,
            upstream_ca_file: "/etc/ssl/certs/ca-certificates.crt".into(),
            trusted_hops: 0,
            forwarded_host: false,
            headers_with_underscores: HeadersWithUnderscores::Drop,
            escaped_slashes: EscapedSlashes::Reject,
            load_balancing: LoadBalancing::RoundRobin,
            access_log: AccessLog::on(),
            request_metrics: false,
            request_metrics_limit: 500,
            tracing: None,
            client_time_limit: TimeLimit::of_seconds(300),
            client_retry_limit: 25,
            envoy_memory: None,
            object_budget: Limits::default(),
            namespace_budget: Limits::default(),
            total_budget: Limits::default(),
            host_ownership: HostOwnership::Namespace,
            denied_endpoints: Vec::new(),
            name_servers: Vec::new(),
        }
    }
}
