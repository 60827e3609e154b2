//! TLS: the certificate of a filter chain, and the selection of a chain.
//!
//! There is one chain per certificate, and each has a name. A matcher outside of
//! the chains selects one, so that adding or removing a host does not change a
//! chain: Envoy closes the connections of changed chains. The content of a
//! certificate is not part of a chain either, but comes from SDS. Envoy's
//! alternatives do not fit: with a selection by the names in certificates, a
//! tenant could take over another's host; with on-demand certificates, Envoy 1.40
//! does not limit the number of names that clients can make it request.

use ingress_filter::DEFAULT_CERTIFICATE;
use prost::{Enumeration, Message};
use serde::Serialize;

use super::certificates::CertificateFiles;
use super::core::{ConfigSource, DataSource, StringMatcher};
use super::files::Layout;
use super::matcher::{FieldMatcher, Matcher, OnMatch, Predicate};
use super::message::{Extension, StringValue, is_unset, json_names, typed};
use super::upstream_tls::{CombinedValidationContext, ValidationContext};
use crate::certificates::{Authorities, Certificate, KeyPair};
use crate::model::{Https, UpstreamSecrets};
use crate::settings::TlsVersion;

/// `transport_sockets.tls.v3.DownstreamTlsContext`.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct DownstreamTlsContext {
    #[prost(message, optional, tag = "1")]
    common_tls_context: Option<CommonTlsContext>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct CommonTlsContext {
    #[prost(message, optional, tag = "1")]
    tls_params: Option<TlsParameters>,
    #[prost(string, repeated, tag = "4")]
    alpn_protocols: Vec<String>,
    #[prost(message, repeated, tag = "2")]
    #[serde(skip_serializing_if = "is_unset")]
    pub(super) tls_certificates: Vec<TlsCertificate>,
    #[prost(message, repeated, tag = "6")]
    #[serde(skip_serializing_if = "is_unset")]
    pub(super) tls_certificate_sds_secret_configs: Vec<SdsSecretConfig>,
    #[prost(message, optional, tag = "3")]
    #[serde(skip_serializing_if = "is_unset")]
    pub(super) validation_context: Option<ValidationContext>,
    #[prost(message, optional, tag = "8")]
    #[serde(skip_serializing_if = "is_unset")]
    pub(super) combined_validation_context: Option<CombinedValidationContext>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct TlsParameters {
    #[prost(enumeration = "TlsProtocol", tag = "1")]
    #[serde(serialize_with = "TlsProtocol::json")]
    tls_minimum_protocol_version: i32,
    #[prost(enumeration = "TlsProtocol", tag = "2")]
    #[serde(serialize_with = "TlsProtocol::json")]
    tls_maximum_protocol_version: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
enum TlsProtocol {
    Auto = 0,
    V12 = 3,
    V13 = 4,
}

json_names!(TlsProtocol { Auto = "TLS_AUTO", V12 = "TLSv1_2", V13 = "TLSv1_3" });

impl From<TlsVersion> for TlsProtocol {
    fn from(version: TlsVersion) -> Self {
        match version {
            TlsVersion::V12 => Self::V12,
            TlsVersion::V13 => Self::V13,
        }
    }
}

/// `transport_sockets.tls.v3.TlsCertificate`.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct TlsCertificate {
    #[prost(message, optional, tag = "1")]
    certificate_chain: Option<DataSource>,
    #[prost(message, optional, tag = "2")]
    private_key: Option<DataSource>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct SdsSecretConfig {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    sds_config: Option<ConfigSource>,
}

/// `transport_sockets.tls.v3.Secret` (SDS).
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct Secret {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    #[serde(skip_serializing_if = "is_unset")]
    tls_certificate: Option<TlsCertificate>,
    #[prost(message, optional, tag = "4")]
    #[serde(skip_serializing_if = "is_unset")]
    validation_context: Option<ValidationContext>,
}

/// Selects the name of a chain by the server name.
pub(super) type ChainMatcher = Matcher<ServerNameInput, StringValue>;

#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct ServerNameInput {}

typed! {
    DownstreamTlsContext = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
    Secret = "envoy.extensions.transport_sockets.tls.v3.Secret",
    ServerNameInput = "envoy.extensions.matching.common_inputs.network.v3.ServerNameInput",
}

/// The source of Envoy's certificates.
#[derive(Clone, Copy, Debug)]
pub(super) enum TlsSource<'s> {
    /// Files in this folder; those for upstreams have the fingerprints of these secrets.
    Files(&'s Layout, &'s UpstreamSecrets),
    /// The stream, by name.
    Stream,
}

impl DownstreamTlsContext {
    /// The context for certificates by name, of which Envoy uses the one that the client
    /// supports.
    pub(super) fn new(
        certificates: &[(&str, &Certificate)],
        source: TlsSource<'_>,
        minimum: TlsVersion,
    ) -> Self {
        let mut context = CommonTlsContext::new(&["h2", "http/1.1"], minimum);
        match source {
            TlsSource::Stream => {
                let configs = certificates.iter().map(|(name, _)| SdsSecretConfig::stream(name));
                context.tls_certificate_sds_secret_configs = configs.collect();
            }
            TlsSource::Files(layout, _) => {
                let certificate = |(name, certificate): &(&str, &Certificate)| {
                    let files = CertificateFiles::new(layout, name, &certificate.pair);
                    TlsCertificate::of_files(&files)
                };
                context.tls_certificates = certificates.iter().map(certificate).collect();
            }
        }
        Self { common_tls_context: Some(context) }
    }
}

impl CommonTlsContext {
    /// With these protocols (ALPN).
    pub(super) fn new(protocols: &[&str], minimum: TlsVersion) -> Self {
        Self {
            // RFC 8996 forbids older versions.
            tls_params: Some(TlsParameters {
                tls_minimum_protocol_version: TlsProtocol::from(minimum).into(),
                tls_maximum_protocol_version: TlsProtocol::V13.into(),
            }),
            alpn_protocols: protocols.iter().map(ToString::to_string).collect(),
            ..Self::default()
        }
    }
}

impl SdsSecretConfig {
    /// The secret of this name from the stream.
    pub(super) fn stream(name: &str) -> Self {
        Self { name: name.to_owned(), sds_config: Some(ConfigSource::stream()) }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl TlsCertificate {
    pub(super) fn of_files(files: &CertificateFiles) -> Self {
        Self::new(DataSource::file(&files.chain), DataSource::file(&files.key))
    }

    fn new(chain: DataSource, key: DataSource) -> Self {
        Self { certificate_chain: Some(chain), private_key: Some(key) }
    }
}

impl Secret {
    /// The certificate `name` and its private key.
    pub(super) fn new(name: &str, pair: &KeyPair) -> Self {
        let (chain, key) = (DataSource::inline(&pair.chain), DataSource::inline(pair.key.pem()));
        let tls_certificate = Some(TlsCertificate::new(chain, key));
        Self { name: name.to_owned(), tls_certificate, ..Self::default() }
    }

    /// The authorities `name`.
    pub(super) fn of_authorities(name: &str, authorities: &Authorities) -> Self {
        let validation_context = Some(ValidationContext::trusting(&authorities.pem));
        Self { name: name.to_owned(), validation_context, ..Self::default() }
    }
}

impl ChainMatcher {
    /// Selects the chain for a server name: by the exact host, then by a wildcard for one
    /// label, then the default one. Without a chain, the connection is closed.
    pub(super) fn new(https: &Https) -> Self {
        let has_default = https.certificates.contains_key(DEFAULT_CERTIFICATE);
        let default = has_default.then(|| chain(DEFAULT_CERTIFICATE));
        let (wildcard, exact): (Vec<_>, Vec<_>) =
            https.hosts.iter().partition(|(host, _)| host.starts_with("*."));
        let matchers = wildcard.into_iter().map(|(host, name)| one_label_before(host, name));
        let by_wildcard = Self::any(default).preceded_by(matchers.collect());
        let exact = exact.into_iter().map(|(host, name)| (host.clone(), chain(name)));
        by_wildcard.preceded_by_exact(server_name(), exact.collect())
    }
}

/// Matches one label before the suffix of `host`. Envoy's own wildcards match any number of
/// labels.
fn one_label_before(host: &str, certificate: &str) -> FieldMatcher<ServerNameInput, StringValue> {
    // Only the dots of a DNS name have a meaning in an expression.
    let suffix = host.trim_start_matches('*').replace('.', "\\.");
    let name = StringMatcher::regex(format!("[^.]+{suffix}"));
    FieldMatcher::new(Predicate::new(server_name(), name), chain(certificate))
}

fn chain(name: &str) -> OnMatch<ServerNameInput, StringValue> {
    OnMatch::action("chain", StringValue { value: name.to_owned() })
}

fn server_name() -> Extension<ServerNameInput> {
    Extension::new("envoy.matching.inputs.server_name", ServerNameInput {})
}
