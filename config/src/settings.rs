//! What an operator decides: one file, each of whose keys is also a flag.
//!
//! [`Settings`] declares each setting once: its key in the file, its flag, the
//! text of the help and of the JSON Schema. The default is in its `Default`.

mod file;
mod memory;
mod name_server;

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::path::Path;
use std::str::FromStr;

use clap::{ArgAction, Args, ValueEnum};
use ingress_filter::duration;
use ingress_filter::table::Plaintext;
use ipnet::IpNet;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

use crate::budget::Limits;
use crate::finding::{Finding, quote};
use crate::objects::{check_label, is_dns_label, is_dns_subdomain};

pub use crate::objects::{LabelError, ObjectName, ObjectNameError};
pub use memory::{Memory, MemoryError};
pub use name_server::{NameServer, NameServerError};

/// The settings, as `--settings FILE` holds them in YAML. Unknown keys are
/// refused.
//
// No flag has a default of its own, so that one that is not given leaves what
// the file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Args)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[command(next_help_heading = "Settings")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own in a file that people write"
)]
pub struct Settings {
    /// Serve Ingresses annotated kubernetes.io/ingress.class: NAME.
    #[arg(long, required = false, value_name = "NAME")]
    pub ingress_class: String,
    /// Which Ingresses to serve.
    #[arg(long, required = false, value_name = "MODE", value_enum)]
    pub ingress_controller_mode: Mode,
    /// The spec.controller of IngressClasses that are ours.
    #[arg(long, required = false, value_name = "NAME")]
    pub controller_name: String,
    /// The workload that requests come from once they are past this gateway,
    /// for match.source of RouteRules.
    #[command(flatten)]
    pub gateway: Gateway,
    /// The DNS domain of the cluster.
    #[arg(long, required = false, value_name = "DOMAIN", value_parser = parse_domain)]
    #[serde(deserialize_with = "read_domain")]
    pub cluster_domain: String,
    /// The Secret with the certificate for clients that ask for no host, or for
    /// one without a certificate of its own.
    #[arg(long, required = false, value_name = "NAMESPACE/NAME")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub default_certificate: ObjectName,
    /// What to do with plain HTTP requests for paths of Ingresses with TLS.
    #[arg(long, required = false, value_name = "WHAT", value_enum)]
    pub http_for_tls: HttpForTls,
    /// The port at which clients reach HTTPS, for redirects there; if omitted,
    /// 443, or where serve listens.
    #[arg(long, value_name = "PORT")]
    pub https_port: Option<NonZeroU16>,
    /// How long a request may take where no RouteRule says so, such as 15s; if
    /// omitted, there is no limit.
    #[arg(long, value_name = "DURATION")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub default_timeout: Option<TimeLimit>,
    /// Let RouteRules name services of other namespaces.
    ///
    /// Anyone who may create a RouteRule can then take over requests for another
    /// namespace.
    #[arg(long, required = false, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub cross_namespace_rules: bool,
    /// Take regular expressions in Ingress paths without a type of their own.
    ///
    /// They are tried after all other paths.
    #[arg(long, required = false, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub regex_paths: bool,
    /// What Ingress paths match whose pathType leaves it to the implementation, and
    /// those of older API versions without one, where they are not in Istio's
    /// notation for prefixes, as in /status/.*.
    #[arg(long, required = false, value_name = "HOW", value_enum)]
    pub implementation_specific: ImplementationSpecific,
    /// Follow services of type ExternalName, wherever they lead.
    ///
    /// Anyone who may create one can point it at the machine itself or at the
    /// metadata of a cloud.
    #[arg(long, required = false, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub external_name_services: bool,
    /// Proxies in front of this one whose x-forwarded-* headers are believed.
    #[arg(long, required = false, value_name = "N")]
    pub trusted_hops: u32,
    /// Log each request as a line of JSON on standard output.
    #[arg(long, required = false, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub access_log: bool,
    /// The longest timeout or delay that a client can ask for, where a RouteRule
    /// names a header for it (overrideHeaderName).
    #[arg(long, required = false, value_name = "DURATION")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub client_time_limit: TimeLimit,
    /// The most retries that a client can ask for, where a RouteRule names a header
    /// for it (overrideHeaderName).
    #[arg(long, required = false, value_name = "N")]
    pub client_retry_limit: u32,
    /// How much memory Envoy may use, such as 1Gi; if omitted, the limit of serve's
    /// control group, and nothing is known of that of an Envoy that others start.
    #[arg(long, value_name = "QUANTITY")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub envoy_memory: Option<Memory>,
    /// Who may say what happens to a host: the namespace of the oldest Ingress
    /// that names it, or every namespace.
    #[arg(long, required = false, value_name = "WHO", value_enum)]
    pub host_ownership: HostOwnership,
    /// Networks in which no endpoint of a service may be, such as 10.96.0.1/32 for
    /// the Kubernetes API.
    ///
    /// Beside these, the controller takes no endpoint that only its own pod or
    /// node could reach: loopback, link-local, multicast and unspecified
    /// addresses, and those at which clouds tell machines their credentials.
    #[arg(long, required = false, value_name = "CIDR,…", value_delimiter = ',')]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub denied_endpoints: Vec<IpNet>,
    /// The name servers that the controller asks for the DNS names of Services, such
    /// as 10.96.0.10 or 10.96.0.10:53; if omitted, those of /etc/resolv.conf.
    #[arg(long, required = false, value_name = "ADDR,…", value_delimiter = ',')]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub name_servers: Vec<NameServer>,
    /// How much one object may take, where that is not the default: paths, hosts,
    /// tlsWildcards, secrets, services, rules, conditions, endpoints, bytes,
    /// regexBytes. An object beyond is left out.
    #[arg(long, required = false, value_name = "RESOURCE=N,…")]
    #[cfg_attr(feature = "schema", schemars(with = "BTreeMap<String, u64>"))]
    pub object_budget: Limits,
    /// The same of the objects of one namespace together. The newest beyond are
    /// left out.
    #[arg(long, required = false, value_name = "RESOURCE=N,…")]
    #[cfg_attr(feature = "schema", schemars(with = "BTreeMap<String, u64>"))]
    pub namespace_budget: Limits,
    /// The same of all objects. Namespaces share it: those that ask for little get
    /// it, the others the same.
    #[arg(long, required = false, value_name = "RESOURCE=N,…")]
    #[cfg_attr(feature = "schema", schemars(with = "BTreeMap<String, u64>"))]
    pub total_budget: Limits,
}

impl Settings {
    /// The settings in the file at `path`, in YAML; a file that holds nothing is
    /// the default.
    ///
    /// # Errors
    /// Where it cannot be read or holds something else: what, and where.
    pub fn from_file(path: &Path) -> Result<Self, Box<Finding>> {
        file::read(path)
    }
}

/// A name with which nothing can be served.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NameError {
    /// It is to be a DNS name.
    #[error("{} is not a DNS name; write one in lower case, as in cluster.local", quote(.0))]
    Domain(String),
    /// It is to be a DNS label.
    #[error("{} is not a DNS label; use lower-case letters, digits and -, 63 at most", quote(.0))]
    Label(String),
}

/// It becomes a part of names of clusters and hosts.
fn parse_domain(text: &str) -> Result<String, NameError> {
    if is_dns_subdomain(text) { Ok(text.into()) } else { Err(NameError::Domain(text.into())) }
}

fn parse_dns_label(text: &str) -> Result<String, NameError> {
    if is_dns_label(text) { Ok(text.into()) } else { Err(NameError::Label(text.into())) }
}

fn read_domain<'de, D: Deserializer<'de>>(value: D) -> Result<String, D::Error> {
    parse_domain(&String::deserialize(value)?).map_err(D::Error::custom)
}

fn read_dns_label<'de, D: Deserializer<'de>>(value: D) -> Result<String, D::Error> {
    parse_dns_label(&String::deserialize(value)?).map_err(D::Error::custom)
}

fn read_labels<'de, D: Deserializer<'de>>(value: D) -> Result<BTreeMap<String, String>, D::Error> {
    let labels = BTreeMap::<String, String>::deserialize(value)?;
    labels.iter().try_for_each(|(key, value)| check_label(key, value)).map_err(D::Error::custom)?;
    Ok(labels)
}

/// Who this gateway is, for match.source of RouteRules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Args)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Gateway {
    /// The name of this gateway's service, for match.source of RouteRules.
    #[arg(id = "gateway_name", long = "gateway-name", required = false, value_name = "NAME", value_parser = parse_dns_label)]
    #[serde(deserialize_with = "read_dns_label")]
    pub name: String,
    /// The namespace of this gateway, for match.source of RouteRules.
    #[arg(
        id = "gateway_namespace",
        long = "gateway-namespace",
        required = false,
        value_name = "NAME",
        value_parser = parse_dns_label
    )]
    #[serde(deserialize_with = "read_dns_label")]
    pub namespace: String,
    /// The labels of this gateway's pods, for match.source of RouteRules.
    #[arg(id = "gateway_labels", long = "gateway-labels", required = false, value_name = "K=V,…", value_parser = parse_labels)]
    #[serde(deserialize_with = "read_labels")]
    pub labels: BTreeMap<String, String>,
}

/// Labels as `kubectl` takes them: `istio=ingress,app=edge`.
fn parse_labels(text: &str) -> Result<BTreeMap<String, String>, InvalidLabel> {
    let pairs = text.split(',').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| {
        let (key, value) = pair.split_once('=').ok_or_else(|| InvalidLabel::NoPair(pair.into()))?;
        check_label(key, value)?;
        Ok((key.to_owned(), value.to_owned()))
    });
    pairs.collect()
}

/// A text is not a label with its value.
#[derive(Debug, PartialEq, Eq, Error)]
enum InvalidLabel {
    #[error("{} is not a label; write key=value", quote(.0))]
    NoPair(String),
    #[error(transparent)]
    Invalid(#[from] LabelError),
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            name: "istio-ingress".into(),
            namespace: "istio-system".into(),
            labels: BTreeMap::from([("istio".into(), "ingress".into())]),
        }
    }
}

/// How long something may take, written as in `4s`, `500ms` or `1m30s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeLimit(u32);

impl TimeLimit {
    const fn of_seconds(seconds: u16) -> Self {
        // Lossless, and within bounds; `From` is not const.
        Self(seconds as u32 * 1_000)
    }

    /// In milliseconds, 1 or more.
    pub fn milliseconds(self) -> u32 {
        self.0
    }
}

/// A text is not a time limit.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{} is not a duration from 1ms to 49 days; write it as in 4s, 500ms or 1m30s", quote(.0))]
pub struct TimeLimitError(String);

impl FromStr for TimeLimit {
    type Err = TimeLimitError;

    fn from_str(text: &str) -> Result<Self, TimeLimitError> {
        duration::parse(text.as_bytes()).map(Self).ok_or_else(|| TimeLimitError(text.into()))
    }
}

impl TryFrom<String> for TimeLimit {
    type Error = TimeLimitError;

    fn try_from(text: String) -> Result<Self, TimeLimitError> {
        text.parse()
    }
}

impl From<TimeLimit> for String {
    fn from(limit: TimeLimit) -> Self {
        format!("{}ms", limit.0)
    }
}

/// Which Ingresses to serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// None.
    Off,
    /// Those of our class, and those that name none.
    Default,
    /// Only those of our class.
    Strict,
}

/// What to do with plain HTTP requests for paths of Ingresses with TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum HttpForTls {
    /// Serve them as over HTTPS.
    Serve,
    /// Send the client to HTTPS, with 308.
    Redirect,
    /// Answer 404, as Istio's Ingress did.
    Refuse,
}

impl HttpForTls {
    /// What a route table says of such a path.
    pub(crate) fn plaintext(self) -> Option<Plaintext> {
        match self {
            Self::Serve => None,
            Self::Redirect => Some(Plaintext::Redirect),
            Self::Refuse => Some(Plaintext::Refuse),
        }
    }
}

/// What paths match that have no type which says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ImplementationSpecific {
    /// Only themselves, as in Istio 0.5.
    Istio,
    /// What they match with pathType: Prefix, as with ingress-nginx.
    Prefix,
}

/// Who may say what happens to a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum HostOwnership {
    /// The namespace of the oldest Ingress that names it. Paths, default backends
    /// and certificates that others give it are refused.
    Namespace,
    /// Every namespace. Of two that claim one path, the older has it.
    Shared,
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
            http_for_tls: HttpForTls::Serve,
            https_port: None,
            default_timeout: None,
            cross_namespace_rules: false,
            regex_paths: false,
            implementation_specific: ImplementationSpecific::Istio,
            external_name_services: false,
            trusted_hops: 0,
            access_log: true,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_pairs() {
        let labels = parse_labels("istio=ingress,app=").unwrap();
        assert_eq!(
            labels,
            BTreeMap::from([("istio".into(), "ingress".into()), ("app".into(), String::new())])
        );
        assert_eq!(parse_labels(""), Ok(BTreeMap::new()));
        assert!(parse_labels("istio").unwrap_err().to_string().contains("key=value"));
        assert!(parse_labels("a|b=c").unwrap_err().to_string().contains("`a|b`"));
    }

    #[test]
    fn a_time_limit_is_a_duration() {
        let limit: TimeLimit = "1m30s".parse().unwrap();
        assert_eq!(limit.milliseconds(), 90_000);
        assert_eq!(String::from(limit).parse(), Ok(limit));
        for bad in ["", "15", "0s", "-1s", "50d"] {
            assert!(bad.parse::<TimeLimit>().is_err(), "{bad}");
        }
    }
}
