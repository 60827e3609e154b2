//! An Envoy for tests that accepts resources in any order in which a real one might,
//! rejects those that a test selects, and checks after each one what must always hold.

use super::*;

/// An Envoy without a process.
#[derive(Clone, Default)]
pub(super) struct FakeEnvoy {
    pub(super) told: Resources,
    pub(super) withdrawn: BTreeSet<Key>,
    pub(super) held: Resources,
    pub(super) refused: BTreeMap<Key, Refusal>,
    /// Whether it rejects a resource.
    pub(super) refuses: Option<fn(&Key) -> bool>,
    /// The number of resources that it accepts before the process ends.
    pub(super) life: Option<usize>,
    pub(super) taken: usize,
    pub(super) resolves_nothing: bool,
    /// Determines the order in which it accepts resources that were sent together.
    pub(super) seed: u64,
    /// All targets, to interpret their resources.
    pub(super) targets: Vec<Arc<Target>>,
    pub(super) bridges: BTreeMap<Version, Vec<TlsHost>>,
    /// The clusters that it uses, in any definition.
    pub(super) used: BTreeSet<Arc<str>>,
}

impl FakeEnvoy {
    /// The next resource that it accepts or rejects, in a random order.
    fn next(&mut self) -> Option<Key> {
        let told = self.told.iter().filter(|(kind, name, resource)| {
            let key = Key::new(*kind, Arc::clone(name));
            self.held.get(*kind, name).map(|held| &held.version) != Some(&resource.version)
                && !self.refused.contains_key(&key)
                && self.asks_for(&key)
        });
        let told = told.map(|(kind, name, _)| Key::new(kind, Arc::clone(name)));
        let gone = self.withdrawn.iter().filter(|key| self.held.get(key.kind, &key.name).is_some());
        let mut due: Vec<_> = told.chain(gone.cloned()).collect();
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let index = usize::try_from(self.seed >> 33).unwrap() % due.len().max(1);
        (!due.is_empty()).then(|| due.swap_remove(index))
    }

    /// Whether it subscribes to a resource: to endpoints and authorities once it has their
    /// cluster, and to what listeners name once it has these.
    fn asks_for(&self, key: &Key) -> bool {
        match key.kind {
            Kind::Clusters | Kind::Listeners => true,
            Kind::Routes | Kind::Filter => self.held.of(Kind::Listeners).next().is_some(),
            Kind::Endpoints => self.targets.iter().any(|target| {
                target.endpoints.iter().any(|(cluster, name)| {
                    *name == key.name && self.holds_as(target, Kind::Clusters, cluster)
                })
            }),
            Kind::Secrets => self.targets.iter().any(|target| {
                let of_clusters = || target.cluster_secrets.values().flatten();
                let is_of_listener = || {
                    target.resources.get(Kind::Secrets, &key.name).is_some()
                        && of_clusters().all(|name| *name != key.name)
                };
                self.holds_as(target, Kind::Listeners, HTTPS_LISTENER) && is_of_listener()
                    || target.cluster_secrets.iter().any(|(cluster, names)| {
                        names.contains(&key.name) && self.holds_as(target, Kind::Clusters, cluster)
                    })
            }),
        }
    }

    fn holds_as(&self, target: &Target, kind: Kind, name: &str) -> bool {
        let held = self.held.get(kind, name);
        held.is_some() && held == target.resources.get(kind, name)
    }

    fn take_in(&mut self, key: &Key) {
        match self.told.get(key.kind, &key.name).cloned() {
            None => drop(self.held.remove(key)),
            Some(resource) if self.refuses.is_some_and(|refuses| refuses(key)) => {
                let refusal = Refusal { version: resource.version, message: "no".into() };
                self.refused.insert(key.clone(), refusal);
            }
            Some(resource) => self.held.insert(key.clone(), resource),
        }
        // The subscriptions of a removed cluster end.
        let asked = self.held.iter().map(|(kind, name, _)| Key::new(kind, Arc::clone(name)));
        for key in asked.filter(|key| !self.asks_for(key)).collect::<Vec<_>>() {
            self.held.remove(&key);
        }
    }

    /// Clusters are used once they have their secrets; until then, Envoy uses the previous
    /// definition, if there is one.
    fn warm_clusters(&mut self) {
        let has_secret = |name: &Arc<str>| {
            let key = Key::new(Kind::Secrets, Arc::clone(name));
            self.held.get(Kind::Secrets, name).is_some() || self.refused.contains_key(&key)
        };
        let is_warm = |name: &Arc<str>| {
            self.targets.iter().any(|target| {
                let mut secrets = target.cluster_secrets.get(name).into_iter().flatten();
                self.holds_as(target, Kind::Clusters, name) && secrets.all(has_secret)
            })
        };
        let held = self.held.of(Kind::Clusters).map(|(name, _)| name);
        let used = held.filter(|name| self.used.contains(*name) || is_warm(name));
        self.used = used.cloned().collect();
    }

    /// Checks what must hold after each resource.
    pub(super) fn check(&self) {
        let Some(filter) = self.held.get(Kind::Filter, FILTER_NAME) else { return };
        let is_it =
            |target: &&Arc<Target>| target.resources.get(Kind::Filter, FILTER_NAME) == Some(filter);
        let bound = match self.targets.iter().find(is_it) {
            Some(target) => {
                for cluster in target.resources.of(Kind::Clusters).map(|(name, _)| name) {
                    let is_refused =
                        self.refused.contains_key(&Key::new(Kind::Clusters, Arc::clone(cluster)));
                    let held = self.held.get(Kind::Clusters, cluster);
                    assert!(held.is_some() || is_refused, "a route without its cluster {cluster}");
                    assert!(held.is_none() || self.used.contains(cluster), "{cluster} is not warm");
                }
                target.tls_hosts().to_vec()
            }
            None => self.bridges[&filter.version].clone(),
        };
        let served = self
            .targets
            .iter()
            .find(|target| self.holds_as(target, Kind::Listeners, HTTPS_LISTENER));
        let Some(served) = served else { return };
        for TlsHost { hosts, certificate } in &bound {
            for host in hosts {
                let by = served.tls_hosts().iter().find(|group| group.hosts.contains(host));
                let by = by.map(|group| &group.certificate);
                assert_eq!(by, Some(certificate), "{host} is bound to another certificate");
            }
        }
    }

    pub(super) fn versions(resources: &Resources) -> Versions {
        let mut versions = Versions::default();
        for (kind, name, resource) in resources.iter() {
            versions.insert(kind, Arc::clone(name), Arc::clone(&resource.version));
        }
        versions
    }

    fn unconfirmed() -> RolloutError {
        RolloutError::Unconfirmed { what: "it".to_owned(), cause: "the process ended".to_owned() }
    }
}

impl Envoy for FakeEnvoy {
    async fn position(&mut self, _: &Resources) -> Result<Position, RolloutError> {
        Ok(Position {
            settled: BTreeSet::new(),
            held: Self::versions(&self.held),
            told: Self::versions(&self.told),
            refused: self.refused.keys().cloned().collect(),
        })
    }

    fn tell(&mut self, resources: Vec<(Key, Resource)>, withdraw: &[Key]) {
        for (key, resource) in resources {
            if self.refused.get(&key).is_some_and(|refused| refused.version != resource.version) {
                self.refused.remove(&key);
            }
            self.withdrawn.remove(&key);
            self.told.insert(key, resource);
        }
        for key in withdraw {
            self.told.remove(key);
            self.refused.remove(key);
            self.withdrawn.insert(key.clone());
        }
    }

    async fn confirm(&mut self, keys: &[Key], when: Confirm) -> Result<(), RolloutError> {
        while let Some(key) = self.next() {
            if self.life.is_some_and(|life| self.taken >= life) {
                return Err(Self::unconfirmed());
            }
            self.taken += 1;
            self.take_in(&key);
            self.warm_clusters();
            self.check();
        }
        for key in keys {
            let told = self.told.get(key.kind, &key.name);
            let is_taken = told == self.held.get(key.kind, &key.name);
            let is_idle = when == Confirm::WhileAsked && !self.asks_for(key);
            let is_done = is_taken || is_idle || self.refused.contains_key(key);
            assert!(is_done, "{key:?} is never confirmed");
        }
        Ok(())
    }

    async fn warm(&mut self, what: Warming) -> Result<(), RolloutError> {
        match what {
            Warming::Clusters if self.resolves_nothing => Err(Self::unconfirmed()),
            _ => Ok(()),
        }
    }

    fn refusals<'k>(&self, keys: impl IntoIterator<Item = &'k Key>) -> Vec<(Key, Refusal)> {
        let refusal = |key: &'k Key| Some((key.clone(), self.refused.get(key)?.clone()));
        keys.into_iter().filter_map(refusal).collect()
    }

    fn retry(&mut self) {
        self.refused.clear();
    }

    fn settle(&mut self, _: &Resources) {}

    fn refused_of(&self, target: &Resources) -> Vec<(Key, Refusal)> {
        let is_in = |(key, _): &(&Key, &Refusal)| target.get(key.kind, &key.name).is_some();
        let refused = self.refused.iter().filter(is_in);
        refused.map(|(key, refusal)| (key.clone(), refusal.clone())).collect()
    }
}
