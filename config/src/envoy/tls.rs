//! TLS: the certificate of a filter chain, and the selection of a chain.
//!
//! There is one chain per certificate, and each has a name. A matcher outside of
//! the chains selects one, so that adding or removing a host does not change a
//! chain: Envoy closes the connections of changed chains. The content of a
//! certificate is not part of a chain either, but comes from SDS. Envoy's
//! alternatives do not fit: with a selection by the names in certificates, a
//! tenant could take over another's host; with on-demand certificates, Envoy 1.40
//! does not limit the number of names that clients can make it request.

use std::collections::BTreeMap;

use ingress_filter::DEFAULT_CERTIFICATE;
use prost::{Enumeration, Message, Oneof};
use serde::Serialize;

use super::certificates::CertificateFiles;
use super::core::{ConfigSource, DataSource, StringMatcher};
use super::files::Layout;
use super::message::{Extension, StringValue, is_unset, json_names, typed};
use super::upstream_tls::{CombinedValidationContext, ValidationContext};
use crate::certificates::{Authorities, Certificate, KeyPair};
use crate::model::Https;
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

/// `xds.type.matcher.v3.Matcher`, whose results are names of chains.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct ChainMatcher {
    #[prost(oneof = "Step", tags = "1, 2")]
    #[serde(flatten)]
    step: Option<Step>,
    #[prost(message, optional, boxed, tag = "3")]
    #[serde(skip_serializing_if = "Option::is_none")]
    on_no_match: Option<Box<OnMatch>>,
}

#[derive(Clone, PartialEq, Oneof, Serialize)]
#[serde(rename_all = "snake_case")]
enum Step {
    #[prost(message, tag = "1")]
    MatcherList(MatcherList),
    #[prost(message, tag = "2")]
    MatcherTree(MatcherTree),
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct MatcherTree {
    #[prost(message, optional, tag = "1")]
    input: Option<Extension<ServerNameInput>>,
    #[prost(message, optional, tag = "2")]
    exact_match_map: Option<ExactMatchMap>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct ExactMatchMap {
    #[prost(btree_map = "string, message", tag = "1")]
    map: BTreeMap<String, OnMatch>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct MatcherList {
    #[prost(message, repeated, tag = "1")]
    matchers: Vec<FieldMatcher>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct FieldMatcher {
    #[prost(message, optional, tag = "1")]
    predicate: Option<Predicate>,
    #[prost(message, optional, tag = "2")]
    on_match: Option<OnMatch>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct Predicate {
    #[prost(message, optional, tag = "1")]
    single_predicate: Option<SinglePredicate>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct SinglePredicate {
    #[prost(message, optional, tag = "1")]
    input: Option<Extension<ServerNameInput>>,
    #[prost(message, optional, tag = "2")]
    value_match: Option<StringMatcher>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct OnMatch {
    #[prost(oneof = "Outcome", tags = "1, 2")]
    #[serde(flatten)]
    outcome: Option<Outcome>,
}

#[derive(Clone, PartialEq, Oneof, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    #[prost(message, tag = "1")]
    Matcher(Box<ChainMatcher>),
    #[prost(message, tag = "2")]
    Action(Extension<StringValue>),
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct ServerNameInput {}

typed! {
    DownstreamTlsContext = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
    Secret = "envoy.extensions.transport_sockets.tls.v3.Secret",
    ServerNameInput = "envoy.extensions.matching.common_inputs.network.v3.ServerNameInput",
}

/// The source of Envoy's certificates.
#[derive(Clone, Copy, Debug)]
pub(super) enum TlsSource<'l> {
    /// Files in this folder.
    Files(&'l Layout),
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
            TlsSource::Files(layout) => {
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
        let default = has_default.then(|| OnMatch::chain(DEFAULT_CERTIFICATE));
        let (wildcard, exact): (Vec<_>, Vec<_>) =
            https.hosts.iter().partition(|(host, _)| host.starts_with("*."));
        let matchers = wildcard.into_iter().map(|(host, name)| FieldMatcher::new(host, name));
        let by_wildcard = Self::any(default).preceded_by(matchers.collect());
        let exact = exact.into_iter().map(|(host, name)| (host.clone(), OnMatch::chain(name)));
        by_wildcard.preceded_by_exact(exact.collect())
    }

    fn any(outcome: Option<OnMatch>) -> Self {
        Self { step: None, on_no_match: outcome.map(Box::new) }
    }

    /// Tries `matchers` first. Envoy accepts no empty list.
    fn preceded_by(self, matchers: Vec<FieldMatcher>) -> Self {
        if matchers.is_empty() {
            return self;
        }
        Self { step: Some(Step::MatcherList(MatcherList { matchers })), ..self }
    }

    /// Tries `map` first. Envoy accepts no empty one.
    fn preceded_by_exact(self, map: BTreeMap<String, OnMatch>) -> Self {
        if map.is_empty() {
            return self;
        }
        let tree = MatcherTree {
            input: Some(server_name()),
            exact_match_map: Some(ExactMatchMap { map }),
        };
        let rest = match self.step {
            None => self.on_no_match,
            Some(_) => Some(Box::new(OnMatch { outcome: Some(Outcome::Matcher(Box::new(self))) })),
        };
        Self { step: Some(Step::MatcherTree(tree)), on_no_match: rest }
    }
}

impl FieldMatcher {
    /// Matches one label before the suffix of `host`. Envoy's own wildcards match any
    /// number of labels.
    fn new(host: &str, certificate: &str) -> Self {
        // Only the dots of a DNS name have a meaning in an expression.
        let suffix = host.trim_start_matches('*').replace('.', "\\.");
        let single_predicate = Some(SinglePredicate {
            input: Some(server_name()),
            value_match: Some(StringMatcher::regex(format!("[^.]+{suffix}"))),
        });
        Self {
            predicate: Some(Predicate { single_predicate }),
            on_match: Some(OnMatch::chain(certificate)),
        }
    }
}

impl OnMatch {
    fn chain(name: &str) -> Self {
        let action = Extension::new("chain", StringValue { value: name.to_owned() });
        Self { outcome: Some(Outcome::Action(action)) }
    }
}

fn server_name() -> Extension<ServerNameInput> {
    Extension::new("envoy.matching.inputs.server_name", ServerNameInput {})
}
