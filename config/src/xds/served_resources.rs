//! The resources that are served, and those that Envoy has rejected.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Versions;
use crate::envoy::{Key, Kind, Resource, Resources, Version};

/// The resources and their states; see the module.
#[derive(Default)]
pub(super) struct ServedResources {
    resources: Resources,
    /// Resources of a previous process. A client with another version may have a
    /// newer one, which it keeps until this process has set the resource.
    recovered: BTreeSet<Key>,
    /// Resources that clients have to remove.
    withdrawn: BTreeSet<Key>,
    refused: BTreeMap<Key, Refusal>,
}

/// A resource that Envoy has rejected, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) version: Version,
    /// The error message of Envoy.
    pub(crate) message: Arc<str>,
}

impl ServedResources {
    pub(super) fn recovered(resources: Resources) -> Self {
        let recovered = resources.iter().map(|(kind, name, _)| Key::new(kind, Arc::clone(name)));
        Self { recovered: recovered.collect(), resources, ..Self::default() }
    }

    pub(super) fn set(&mut self, key: &Key, resource: Resource) {
        self.recovered.remove(key);
        self.withdrawn.remove(key);
        if self.refused.get(key).is_some_and(|refused| refused.version != resource.version) {
            self.refused.remove(key);
        }
        self.resources.insert(key.clone(), resource);
    }

    pub(super) fn withdraw(&mut self, key: &Key) {
        self.resources.remove(key);
        self.recovered.remove(key);
        self.refused.remove(key);
        self.withdrawn.insert(key.clone());
    }

    /// All resources have been set or withdrawn.
    pub(super) fn settle(&mut self) {
        self.recovered.clear();
        self.withdrawn.clear();
    }

    pub(super) fn refuse(&mut self, key: Key, version: Version, message: &str) {
        let is_current = self
            .resources
            .get(key.kind, &key.name)
            .is_some_and(|resource| resource.version == version);
        if is_current {
            self.refused.insert(key, Refusal { version, message: message.into() });
        }
    }

    /// Clears the rejected resources, so that they are sent again.
    pub(super) fn forgive(&mut self) -> Vec<Key> {
        std::mem::take(&mut self.refused).into_keys().collect()
    }

    pub(super) fn refusal(&self, key: &Key) -> Option<&Refusal> {
        self.refused.get(key)
    }

    pub(super) fn version(&self, key: &Key) -> Option<&Version> {
        self.resources.get(key.kind, &key.name).map(|resource| &resource.version)
    }

    /// The names of all served resources of a type.
    pub(super) fn names(&self, kind: Kind) -> impl Iterator<Item = &Arc<str>> {
        self.resources.of(kind).map(|(name, _)| name)
    }

    /// The versions of all served resources of these types.
    pub(super) fn versions(&self, kinds: &BTreeSet<Kind>) -> Versions {
        let mut versions = Versions::default();
        for kind in kinds {
            for (name, resource) in self.resources.of(*kind) {
                versions.insert(*kind, Arc::clone(name), Arc::clone(&resource.version));
            }
        }
        versions
    }

    pub(super) fn all_refused(&self) -> impl Iterator<Item = (&Key, &Refusal)> {
        self.refused.iter()
    }

    pub(super) fn refused(&self) -> BTreeSet<Key> {
        self.refused.keys().cloned().collect()
    }

    /// The resource for a client that has the version `held`. `None` if it has the
    /// current version, if its version may be newer than a recovered resource, or
    /// if the resource was rejected or does not exist.
    pub(super) fn for_client(
        &self,
        kind: Kind,
        name: &Arc<str>,
        held: Option<&Version>,
    ) -> Option<&Resource> {
        let resource = self.resources.get(kind, name)?;
        let key = Key { kind, name: Arc::clone(name) };
        let is_known = held == Some(&resource.version)
            || held.is_some() && self.recovered.contains(&key)
            || self.refused.contains_key(&key);
        (!is_known).then_some(resource)
    }

    pub(super) fn is_withdrawn(&self, kind: Kind, name: &Arc<str>) -> bool {
        self.withdrawn.contains(&Key { kind, name: Arc::clone(name) })
    }
}
