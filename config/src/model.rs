//! The desired state of the gateway: the route table, its clusters, and the
//! certificates of its hosts, each with the objects that it came from. It is
//! compiled from Kubernetes objects and converted to Envoy configuration, and is
//! independent of both.

mod served_table;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use ingress_filter::DEFAULT_CERTIFICATE;

use crate::certificates::{Authorities, Certificate, KeyPair};
use crate::object_ref::ObjectRef;
use crate::settings::LoadBalancing;
pub use served_table::{Patterns, ServedTable};

/// The state of the gateway; see the module.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// The route table of the filter.
    pub table: Arc<ServedTable>,
    /// The clusters of the table's backends, by name.
    pub clusters: Arc<Clusters>,
    /// The certificates for HTTPS.
    pub(crate) https: Option<Https>,
    /// The Secrets for TLS to upstreams.
    pub(crate) upstream_secrets: UpstreamSecrets,
}

/// Clusters by name. Each is shared, because most are the same in successive
/// gateways.
pub type Clusters = BTreeMap<String, Arc<Cluster>>;

impl Gateway {
    /// Whether a certificate of this name is served.
    pub(crate) fn has_certificate(&self, name: &str) -> bool {
        self.https.as_ref().is_some_and(|https| https.certificates.contains_key(name))
    }

    /// The certificates that are served, with their keys.
    pub(crate) fn key_pairs(&self) -> KeyPairs {
        let certificates = self.https.iter().flat_map(|https| &https.certificates);
        let pairs =
            certificates.map(|(name, certificate)| (name.clone(), Arc::clone(&certificate.pair)));
        pairs.collect()
    }

    /// The fingerprint of a certificate, or of the authorities, of this name.
    pub(crate) fn fingerprint(&self, name: &str) -> Option<&str> {
        let UpstreamSecrets { authorities, clients } = &self.upstream_secrets;
        let certificates = self.https.as_ref().map(|https| &https.certificates);
        let certificate =
            certificates.and_then(|all| all.get(name)).map(|it| it.pair.fingerprint());
        certificate
            .or_else(|| Some(authorities.get(name)?.fingerprint()))
            .or_else(|| Some(clients.get(name)?.fingerprint()))
    }
}

/// Authorities and certificates for TLS to upstreams, by names that no certificate for HTTPS
/// has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UpstreamSecrets {
    /// Of the authorities that issue the certificates of upstreams.
    pub(crate) authorities: BTreeMap<String, Arc<Authorities>>,
    /// The certificates that the gateway shows to upstreams.
    pub(crate) clients: KeyPairs,
}

/// The start of the names of clusters for which Envoy translates gRPC-Web to gRPC. No
/// Service can have such a name.
pub(crate) const GRPC_WEB_PREFIX: &str = "grpc-web|";

/// A port of a service, or of a version of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// `<service>.<namespace>.svc.<domain>|<port>`; a version has the suffix
    /// `|k1=v1,k2=v2`, and one that is called as gRPC-Web starts with `grpc-web|`.
    pub name: String,
    /// The protocol of its endpoints.
    pub protocol: Protocol,
    /// How connections to them are secured; `None` without TLS.
    pub(crate) tls: Option<UpstreamTls>,
    /// How its endpoints are found.
    pub discovery: Discovery,
    /// How one of them is selected for a request.
    pub balance: Balance,
    /// Whether requests may have the header of a session, which its endpoints must not get.
    pub(crate) has_sessions: bool,
    /// The Service.
    pub(crate) service: ObjectRef,
    /// Which endpoints of the Service it has.
    pub(crate) selector: EndpointSelector,
}

/// Selects the endpoints of a cluster among those of its service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EndpointSelector {
    /// The name of their port; empty if the only port has no name.
    pub(crate) port: String,
    /// The labels of the version; empty for all endpoints.
    pub(crate) labels: BTreeMap<String, String>,
}

/// The protocol of an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
}

/// TLS to an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UpstreamTls {
    /// The name that is sent (SNI).
    pub(crate) server_name: String,
    /// How the certificate of the upstream is verified; `None` if it is not.
    pub(crate) verification: Option<Verification>,
    /// The name of the certificate of the gateway, if it shows one.
    pub(crate) client: Option<String>,
}

/// The certificates of an upstream that are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verification {
    pub(crate) roots: Roots,
    /// The certificate has to be for one of these names.
    pub(crate) names: Vec<String>,
}

/// The authorities that have to have issued a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Roots {
    /// Those in this file on Envoy's machine.
    File(String),
    /// Those of this name.
    Secret(String),
}

/// How an endpoint is selected for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    /// As the settings say.
    Load(LoadBalancing),
    /// By the session of the client: always the same one.
    Session,
}

/// How the endpoints of a cluster are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Discovery {
    /// At these addresses, which change independently of the cluster.
    Addresses(BTreeSet<SocketAddr>),
    /// At all addresses of this DNS name, at this port. Envoy resolves the name.
    Dns(String, u16),
    /// At those addresses of a DNS name that are not denied. The controller
    /// resolves the name.
    Resolved {
        /// The name.
        name: String,
        /// Empty if they are not known.
        addresses: BTreeSet<SocketAddr>,
    },
}

/// The certificates for HTTPS, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Https {
    /// By their name in the route table: `namespace/secret`, or
    /// [`DEFAULT_CERTIFICATE`](ingress_filter::DEFAULT_CERTIFICATE).
    pub(crate) certificates: BTreeMap<String, Arc<Certificate>>,
    /// The name of the certificate of each host, exact or wildcard.
    pub(crate) hosts: BTreeMap<String, String>,
    pub(crate) alternatives: Alternatives,
}

/// For a certificate, by name, others of its hosts with another type of key.
pub(crate) type Alternatives = BTreeMap<String, BTreeSet<String>>;

impl Https {
    /// The certificates that a host or a client without one has, each with its
    /// alternatives.
    pub(crate) fn chains(&self) -> impl Iterator<Item = (&str, Vec<(&str, &Certificate)>)> {
        let used: BTreeSet<_> = self.hosts.values().map(String::as_str).collect();
        let is_used = move |name: &str| name == DEFAULT_CERTIFICATE || used.contains(name);
        let names = self.certificates.keys().map(String::as_str).filter(move |name| is_used(name));
        names.map(|name| {
            let others = self.alternatives.get(name).into_iter().flatten().map(String::as_str);
            let all = [name].into_iter().chain(others);
            let known = |name| Some((name, &**self.certificates.get(name)?));
            (name, all.filter_map(known).collect())
        })
    }
}

/// Certificates with their keys, by name.
pub(crate) type KeyPairs = BTreeMap<String, Arc<KeyPair>>;
