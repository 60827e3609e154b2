//! xDS resources: by type and name, encoded.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::bytes::Bytes;

use super::clusters::{ClusterLoadAssignment, ClusterMessage};
use super::filter::FilterConfig;
use super::listeners::Listener;
use super::message::Typed;
use super::routes::RouteConfiguration;
use super::tls::Secret;
use crate::digest::digest_of;

/// A type of resources, each with its discovery service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// Clusters (CDS).
    Clusters,
    /// Endpoints of clusters (EDS).
    Endpoints,
    /// Certificates and their keys (SDS).
    Secrets,
    /// Listeners (LDS).
    Listeners,
    /// The route configuration (RDS).
    Routes,
    /// The filter's configuration (ECDS).
    Filter,
}

impl Kind {
    /// All types, in the order in which a starting Envoy requests them.
    pub(crate) const ALL: [Self; 6] = [
        Self::Clusters,
        Self::Endpoints,
        Self::Secrets,
        Self::Listeners,
        Self::Routes,
        Self::Filter,
    ];

    pub(crate) const fn type_url(self) -> &'static str {
        match self {
            Self::Clusters => ClusterMessage::TYPE_URL,
            Self::Endpoints => ClusterLoadAssignment::TYPE_URL,
            Self::Listeners => Listener::TYPE_URL,
            Self::Routes => RouteConfiguration::TYPE_URL,
            Self::Filter => FilterConfig::TYPE_URL,
            Self::Secrets => Secret::TYPE_URL,
        }
    }

    pub(crate) fn of_type_url(type_url: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.type_url() == type_url)
    }

    /// The name in messages.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Clusters => "cluster",
            Self::Endpoints => "endpoints",
            Self::Listeners => "listener",
            Self::Routes => "route configuration",
            Self::Filter => "route table",
            Self::Secrets => "certificate",
        }
    }
}

/// The type and name of a resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) kind: Kind,
    pub(crate) name: Arc<str>,
}

impl Key {
    pub(crate) fn new(kind: Kind, name: impl Into<Arc<str>>) -> Self {
        Self { kind, name: name.into() }
    }
}

/// A hash of the content.
pub(crate) type Version = Arc<str>;

/// A resource. It may contain a private key, so its content is never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Resource {
    pub(crate) version: Version,
    /// The message.
    pub(crate) body: Bytes,
}

impl Resource {
    pub(super) fn new(message: &impl Typed) -> Self {
        Self::from_body(message.encode_to_vec().into())
    }

    pub(crate) fn from_body(body: Bytes) -> Self {
        Self { version: digest_of(&body).into(), body }
    }
}

impl std::fmt::Debug for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Resource({})", self.version)
    }
}

/// Resources of one type, by name.
pub(crate) type Named = BTreeMap<Arc<str>, Resource>;

/// Resources by kind and name. Those of a kind are shared as long as they are the
/// same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resources(BTreeMap<Kind, Arc<Named>>);

impl Resources {
    /// All of a kind.
    pub(crate) fn named(&self, kind: Kind) -> Option<&Arc<Named>> {
        self.0.get(&kind)
    }

    /// Replaces all of a kind.
    pub(crate) fn set(&mut self, kind: Kind, named: Arc<Named>) {
        self.0.insert(kind, named);
    }

    pub(crate) fn of(&self, kind: Kind) -> impl Iterator<Item = (&Arc<str>, &Resource)> {
        self.0.get(&kind).into_iter().flat_map(|named| named.iter())
    }

    pub(crate) fn get(&self, kind: Kind, name: &str) -> Option<&Resource> {
        self.0.get(&kind)?.get(name)
    }

    pub(crate) fn insert(&mut self, key: Key, resource: Resource) {
        Arc::make_mut(self.0.entry(key.kind).or_default()).insert(key.name, resource);
    }

    pub(crate) fn remove(&mut self, key: &Key) -> Option<Resource> {
        Arc::make_mut(self.0.get_mut(&key.kind)?).remove(&key.name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Kind, &Arc<str>, &Resource)> {
        self.0
            .iter()
            .flat_map(|(kind, named)| named.iter().map(|(name, resource)| (*kind, name, resource)))
    }
}
