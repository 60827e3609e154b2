//! The settings with a fixed number of values.

use clap::ValueEnum;
use ingress_filter::table::Plaintext;
use serde::{Deserialize, Serialize};

/// The Ingresses to serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// No Ingresses.
    Off,
    /// Ingresses of the class, and those without a class.
    Default,
    /// Only Ingresses of the class.
    Strict,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum TlsVersion {
    /// RFC 5246.
    #[serde(rename = "TLSv1.2")]
    #[value(name = "TLSv1.2")]
    V12,
    /// RFC 8446.
    #[serde(rename = "TLSv1.3")]
    #[value(name = "TLSv1.3")]
    V13,
}

/// How to handle plain HTTP requests for paths of Ingresses with TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum HttpForTls {
    /// Serve them as over HTTPS.
    Serve,
    /// Redirect to HTTPS, with 308.
    Redirect,
    /// Answer 404, as Istio's Ingress did.
    Refuse,
}

impl HttpForTls {
    /// The field of such a path in the route table.
    pub(crate) fn plaintext(self) -> Option<Plaintext> {
        match self {
            Self::Serve => None,
            Self::Redirect => Some(Plaintext::Redirect),
            Self::Refuse => Some(Plaintext::Refuse),
        }
    }
}

/// How paths of type `ImplementationSpecific` are matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ImplementationSpecific {
    /// Exactly, as in Istio 0.5.
    Istio,
    /// Like pathType: Prefix, as in ingress-nginx.
    Prefix,
}

/// How request headers with underscores in their names are handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum HeadersWithUnderscores {
    /// Remove these headers, and serve the request.
    Drop,
    /// Respond with 400.
    Reject,
    /// Forward these headers.
    Allow,
}

/// How paths with encoded slashes or backslashes are handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum EscapedSlashes {
    /// Respond with 400.
    Reject,
    /// Forward them as they are, but respond with 400 if the decoded path has another
    /// route or rule, or a dot segment.
    Keep,
}

/// How requests are distributed to endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[value(rename_all = "camelCase")]
pub enum LoadBalancing {
    /// To one after the other.
    RoundRobin,
    /// To the one of two random endpoints that has fewer active requests.
    LeastRequest,
}

/// Who may define routes for a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum HostOwnership {
    /// The namespace of the oldest Ingress that names it. Paths, default backends
    /// and certificates that other namespaces define for it are rejected.
    Namespace,
    /// All namespaces. If two define the same path, the older Ingress has precedence.
    Shared,
}
