//! TLS: the certificate of a filter chain, and which chain serves a client.
//!
//! There is one chain for each certificate, and all have a name. Which one a
//! client gets says a matcher beside them, so that a host comes or goes without
//! touching a chain: Envoy ends the connections of those that change. The
//! content of a certificate is no part of a chain either, but discovered (SDS).
//!
//! Envoy's other ways do not fit: by the names within certificates, a tenant
//! could take the host of another; and certificates fetched on demand are, in
//! 1.40, without any bound on how many names clients can make it ask for.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ingress_filter::DEFAULT_CERTIFICATE;
use serde::Serialize;

use super::certificates::CertificateFiles;
use super::files::{Layout, Supply};
use super::wire::{AggregatedSource, Any, Empty, Extension, Message, messages};
use crate::certificates::Certificate;
use crate::compile::Https;

/// `transport_sockets.tls.v3.DownstreamTlsContext`.
#[derive(Debug, Serialize)]
pub(super) struct DownstreamTlsContext {
    common_tls_context: CommonTlsContext,
}

#[derive(Debug, Serialize)]
struct CommonTlsContext {
    tls_params: TlsParameters,
    alpn_protocols: [&'static str; 2],
    #[serde(flatten)]
    certificate: CertificateSource,
}

#[derive(Debug, Serialize)]
struct TlsParameters {
    tls_minimum_protocol_version: &'static str,
    tls_maximum_protocol_version: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum CertificateSource {
    TlsCertificates([TlsCertificate; 1]),
    TlsCertificateSdsSecretConfigs([SdsSecretConfig; 1]),
}

#[derive(Debug, Serialize)]
struct TlsCertificate {
    certificate_chain: FileSource,
    private_key: FileSource,
}

#[derive(Debug, Serialize)]
struct FileSource {
    filename: PathBuf,
}

#[derive(Debug, Serialize)]
struct SdsSecretConfig {
    name: String,
    sds_config: AggregatedSource,
}

/// `listener.tls_inspector.v3.TlsInspector`: reads the name that a client asks
/// for before a chain is chosen.
#[derive(Debug, Serialize)]
pub(super) struct TlsInspector {}

/// `xds.type.matcher.v3.Matcher`, of which each outcome is the name of a chain.
#[derive(Debug, Serialize)]
pub(super) struct ChainMatcher {
    #[serde(flatten)]
    step: Option<Step>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_no_match: Option<Box<OnMatch>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Step {
    MatcherTree(MatcherTree),
    MatcherList(MatcherList),
}

#[derive(Debug, Serialize)]
struct MatcherTree {
    input: Extension<ServerNameInput>,
    exact_match_map: ExactMatchMap,
}

#[derive(Debug, Serialize)]
struct ExactMatchMap {
    map: BTreeMap<String, OnMatch>,
}

#[derive(Debug, Serialize)]
struct MatcherList {
    matchers: Vec<FieldMatcher>,
}

#[derive(Debug, Serialize)]
struct FieldMatcher {
    predicate: Predicate,
    on_match: OnMatch,
}

#[derive(Debug, Serialize)]
struct Predicate {
    single_predicate: SinglePredicate,
}

#[derive(Debug, Serialize)]
struct SinglePredicate {
    input: Extension<ServerNameInput>,
    value_match: ValueMatch,
}

#[derive(Debug, Serialize)]
struct ValueMatch {
    safe_regex: SafeRegex,
}

#[derive(Debug, Serialize)]
struct SafeRegex {
    google_re2: Empty,
    regex: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum OnMatch {
    Action(Action),
    Matcher(ChainMatcher),
}

#[derive(Debug, Serialize)]
struct Action {
    name: &'static str,
    typed_config: Any<ChainName>,
}

#[derive(Debug, Serialize)]
struct ChainName {
    value: String,
}

#[derive(Debug, Serialize)]
struct ServerNameInput {}

messages! {
    DownstreamTlsContext = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
    TlsInspector = "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
    ServerNameInput =
        "envoy.extensions.matching.common_inputs.network.v3.ServerNameInput",
    ChainName = "google.protobuf.StringValue",
}

impl DownstreamTlsContext {
    /// For the certificate of this name.
    pub(super) fn new(
        name: &str,
        certificate: &Certificate,
        layout: &Layout,
        supply: Supply,
    ) -> Self {
        let certificate = match supply {
            Supply::Server => {
                CertificateSource::TlsCertificateSdsSecretConfigs([SdsSecretConfig {
                    name: name.to_owned(),
                    sds_config: AggregatedSource::new(),
                }])
            }
            Supply::Files => {
                let files = CertificateFiles::new(layout, name, &certificate.pair);
                CertificateSource::TlsCertificates([TlsCertificate {
                    certificate_chain: FileSource { filename: files.chain },
                    private_key: FileSource { filename: files.key },
                }])
            }
        };
        Self {
            common_tls_context: CommonTlsContext {
                // RFC 8996 forbids what is older.
                tls_params: TlsParameters {
                    tls_minimum_protocol_version: "TLSv1_2",
                    tls_maximum_protocol_version: "TLSv1_3",
                },
                alpn_protocols: ["h2", "http/1.1"],
                certificate,
            },
        }
    }
}

impl ChainMatcher {
    /// The chain of the certificate of the host that a client asks for: exact,
    /// then by a wildcard of one label, then the default one. Where there is
    /// none, its connection is closed.
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

    /// Tries `matchers` first. Envoy takes no empty list.
    fn preceded_by(self, matchers: Vec<FieldMatcher>) -> Self {
        if matchers.is_empty() {
            return self;
        }
        Self { step: Some(Step::MatcherList(MatcherList { matchers })), ..self }
    }

    /// Looks in `map` first. Envoy takes no empty one.
    fn preceded_by_exact(self, map: BTreeMap<String, OnMatch>) -> Self {
        if map.is_empty() {
            return self;
        }
        let exact_match_map = ExactMatchMap { map };
        let tree = MatcherTree { input: server_name(), exact_match_map };
        let rest = match self.step {
            None => self.on_no_match,
            Some(_) => Some(Box::new(OnMatch::Matcher(self))),
        };
        Self { step: Some(Step::MatcherTree(tree)), on_no_match: rest }
    }
}

impl FieldMatcher {
    /// For one more label before the suffix of `host`. Envoy's own wildcards
    /// stand for any number of labels.
    fn new(host: &str, certificate: &str) -> Self {
        // A DNS name: nothing else in it means anything in an expression.
        let suffix = host.trim_start_matches('*').replace('.', "\\.");
        let safe_regex = SafeRegex { google_re2: Empty {}, regex: format!("[^.]+{suffix}") };
        let single_predicate =
            SinglePredicate { input: server_name(), value_match: ValueMatch { safe_regex } };
        Self { predicate: Predicate { single_predicate }, on_match: OnMatch::chain(certificate) }
    }
}

impl OnMatch {
    fn chain(name: &str) -> Self {
        let typed_config = ChainName { value: name.to_owned() }.into_any();
        Self::Action(Action { name: "chain", typed_config })
    }
}

fn server_name() -> Extension<ServerNameInput> {
    Extension::new("envoy.matching.inputs.server_name", ServerNameInput {})
}
