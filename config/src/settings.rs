//! What an operator decides: one file, each of whose keys is also a flag.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::str::FromStr;

use ingress_filter::duration;
use ingress_filter::table::Plaintext;
use serde::{Deserialize, Serialize};

use crate::finding::quote;
use crate::objects::{check_label, is_dns_label, is_dns_subdomain};

pub use crate::objects::ObjectName;

/// The settings, as `--settings FILE` holds them in YAML. Unknown keys are
/// refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own in a file that people write"
)]
pub struct Settings {
    /// The class whose Ingresses are served: the value of the annotation
    /// `kubernetes.io/ingress.class`.
    pub ingress_class: String,
    /// Which Ingresses are served beside those of our class.
    pub ingress_controller_mode: Mode,
    /// The `spec.controller` of the IngressClasses that are ours.
    pub controller_name: String,
    /// Who this gateway is, for the `match.source` of RouteRules.
    pub gateway: Gateway,
    /// The DNS domain of the cluster.
    pub cluster_domain: String,
    /// The Secret with the certificate for clients that ask for no host, or for
    /// one without a certificate of its own: `NAMESPACE/NAME`.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub default_certificate: ObjectName,
    /// What happens to requests over plain HTTP for paths of Ingresses with TLS.
    pub http_for_tls: HttpForTls,
    /// The port at which clients reach HTTPS, for redirects there; without it
    /// 443, and for `serve` the one it listens on.
    pub https_port: Option<NonZeroU16>,
    /// How long a request may take where no RouteRule says so, such as `15s`;
    /// for ever without it.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub default_timeout: Option<TimeLimit>,
    /// Whether RouteRules may shape and use services of other namespaces.
    /// Whoever may create one could then take over another's requests.
    pub cross_namespace_rules: bool,
    /// Whether Ingress paths without a type of their own may be regular
    /// expressions, tried after all others.
    pub regex_paths: bool,
    /// Whether services of type `ExternalName` are followed. Whoever may create
    /// one could point it at the machine itself or at a cloud's metadata.
    pub external_name_services: bool,
    /// How many proxies in front of this one are believed when they say where a
    /// request comes from.
    pub trusted_hops: u32,
    /// Whether each request is logged, as a line of JSON on standard output.
    pub access_log: bool,
}

impl Settings {
    /// Whether everything can be as the settings say.
    ///
    /// # Errors
    /// Where not: the key, what is wrong with its value, and what to write.
    pub fn validate(&self) -> Result<(), String> {
        // It becomes a part of names of clusters and hosts.
        if !is_dns_subdomain(&self.cluster_domain) {
            return Err(format!(
                "setting clusterDomain: {} is no DNS name; write one in lower case, as in cluster.local",
                quote(&self.cluster_domain)
            ));
        }
        self.gateway.validate().map_err(|reason| format!("setting gateway.{reason}"))
    }
}

/// The workload that requests come from once they are past this ingress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Gateway {
    /// The name of its service.
    pub name: String,
    /// The namespace it is in.
    pub namespace: String,
    /// The labels of its pods.
    pub labels: BTreeMap<String, String>,
}

impl Gateway {
    fn validate(&self) -> Result<(), String> {
        for (key, name) in [("name", &self.name), ("namespace", &self.namespace)] {
            if !is_dns_label(name) {
                return Err(format!(
                    "{key}: {} is no DNS label; use lower-case letters, digits and -, 63 at most",
                    quote(name)
                ));
            }
        }
        let mut labels = self.labels.iter();
        labels
            .try_for_each(|(key, value)| check_label(key, value))
            .map_err(|reason| format!("labels: {reason}"))
    }
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
    /// In milliseconds, 1 or more.
    pub fn milliseconds(self) -> u32 {
        self.0
    }
}

impl FromStr for TimeLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        duration::parse(text.as_bytes()).map(Self).ok_or_else(|| {
            format!(
                "{} is no duration from 1ms to 49 days; write it as in 4s, 500ms or 1m30s",
                quote(text)
            )
        })
    }
}

impl TryFrom<String> for TimeLimit {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<TimeLimit> for String {
    fn from(limit: TimeLimit) -> Self {
        format!("{}ms", limit.0)
    }
}

/// Which Ingresses are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// What happens to requests over plain HTTP for paths of Ingresses with TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum HttpForTls {
    /// They are served as over HTTPS.
    Serve,
    /// The client is sent to HTTPS, with 308.
    Redirect,
    /// They get 404, as Istio's Ingress did it.
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
            external_name_services: false,
            trusted_hops: 0,
            access_log: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validate(change: impl FnOnce(&mut Settings)) -> Result<(), String> {
        let mut settings = Settings::default();
        change(&mut settings);
        settings.validate()
    }

    #[test]
    fn what_is_wrong_names_its_key() {
        assert_eq!(validate(|_| {}), Ok(()));
        for (problem, key) in [
            (validate(|settings| settings.cluster_domain = "a|b".into()), "clusterDomain"),
            (validate(|settings| settings.gateway.name = "a.b".into()), "gateway.name"),
            (validate(|settings| settings.gateway.namespace = String::new()), "gateway.namespace"),
            (
                validate(|settings| drop(settings.gateway.labels.insert("a=b".into(), "c".into()))),
                "gateway.labels",
            ),
        ] {
            let problem = problem.unwrap_err();
            assert!(problem.starts_with(&format!("setting {key}: ")), "{problem}");
        }
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
