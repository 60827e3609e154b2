//! The desired state of the gateway: the route table, its clusters, and the
//! certificates of its hosts, each with the objects that it came from. It is
//! compiled from Kubernetes objects and converted to Envoy configuration, and is
//! independent of both.

mod served_table;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use crate::certificates::{Certificate, KeyPair};
use crate::object_ref::ObjectRef;
pub use served_table::{Patterns, ServedTable};

/// See the module.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// What the filter serves.
    pub table: Arc<ServedTable>,
    /// What the table's backends forward to, by name.
    pub clusters: Arc<Clusters>,
    /// What is served over HTTPS.
    pub(crate) https: Option<Https>,
}

/// Clusters by their name. Each by itself, since most are the same from one
/// gateway to the next.
pub type Clusters = BTreeMap<String, Arc<Cluster>>;

impl Gateway {
    /// Whether a connection can have the certificate of this name.
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
}

/// A port of a service, or of a version of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// `<service>.<namespace>.svc.<domain>|<port>`, for a version followed by
    /// `|k1=v1,k2=v2`.
    pub name: String,
    /// What its endpoints speak.
    pub protocol: Protocol,
    /// Where they are.
    pub discovery: Discovery,
    /// The Service.
    pub(crate) service: ObjectRef,
    /// Which of its endpoints.
    pub(crate) selector: EndpointSelector,
}

/// Which endpoints of a service a cluster has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EndpointSelector {
    /// The name of their port; empty where the only one has none.
    pub(crate) port: String,
    /// What the version is told by; nothing for all of them.
    pub(crate) labels: BTreeMap<String, String>,
}

/// What an upstream speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
}

/// Where the endpoints of a cluster are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Discovery {
    /// At these addresses, which change without touching the cluster.
    Addresses(BTreeSet<SocketAddr>),
    /// At all addresses of this DNS name, at this port, which Envoy looks up.
    Dns(String, u16),
    /// At those addresses of a DNS name that may be reached.
    Resolved {
        /// The name.
        name: String,
        /// None where they are not known.
        addresses: BTreeSet<SocketAddr>,
    },
}

/// What is served over HTTPS: at least one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Https {
    /// By the name that the route table has for them: `namespace/secret`, or
    /// [`DEFAULT_CERTIFICATE`](ingress_filter::DEFAULT_CERTIFICATE).
    pub(crate) certificates: BTreeMap<String, Arc<Certificate>>,
    /// The name of the certificate of each host, exact or with a wildcard.
    pub(crate) hosts: BTreeMap<String, String>,
}

/// Certificates with their keys, by name.
pub(crate) type KeyPairs = BTreeMap<String, Arc<KeyPair>>;
