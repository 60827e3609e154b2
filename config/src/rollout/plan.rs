//! Computes the steps from the state of Envoy to a target, so that no request in
//! between lacks its cluster: a table may name a cluster only once Envoy has it,
//! and a cluster may be removed only once no table names it.
//!
//! Similarly, a table may bind a host to a certificate only while Envoy serves
//! that host with it. While the certificate of a host changes, the host is not
//! bound to either, so that no request gets 421 by mistake.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ingress_filter::table::TlsHost;

use crate::envoy::{
    FILTER_NAME, HTTP_LISTENER, HTTPS_LISTENER, Key, Kind, PROBE_LISTENER, Target, Version,
};
use crate::xds::Position;

/// Resources to send to Envoy, and those that it has to acknowledge before the
/// next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) stage: Stage,
    /// The resources in the version of the target.
    pub(super) tell: Vec<Key>,
    pub(super) withdraw: Vec<Key>,
    pub(super) expect: Vec<Key>,
    /// Endpoints and certificates, to be acknowledged while Envoy is subscribed
    /// to them.
    pub(super) updates: Vec<Key>,
    /// Resources that Envoy subscribes to because of another resource, and has to
    /// acknowledge: the endpoints of a cluster, what a listener needs. Each with
    /// that resource.
    pub(super) needs: Vec<(Key, Key)>,
}

/// The phases of a transition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Endpoints, certificates under their old names, clusters.
    Upstreams {
        /// Whether names are resolved, which xDS does not report.
        resolves: bool,
    },
    Routes,
    /// The next table, bound only to these certificates.
    Bridge(Vec<TlsHost>),
    Listeners,
    Table,
    Removals,
}

impl Step {
    fn new(stage: Stage, tell: Vec<Key>) -> Self {
        Self {
            stage,
            expect: tell.clone(),
            tell,
            withdraw: Vec::new(),
            updates: Vec::new(),
            needs: Vec::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.tell.is_empty()
            && self.withdraw.is_empty()
            && self.expect.is_empty()
            && self.updates.is_empty()
            && self.needs.is_empty()
    }
}

/// The steps to `target`. `bound` returns the hosts with certificates of a table,
/// by its version, if they are known.
pub(super) fn plan<'b>(
    at: &Position,
    bound: impl Fn(&Version) -> Option<&'b [TlsHost]>,
    target: &Target,
) -> Vec<Step> {
    // Envoy may process what a previous attempt has sent at any moment.
    let mut tables: Vec<_> = [&at.held, &at.told]
        .into_iter()
        .filter_map(|at| at.version(Kind::Filter, FILTER_NAME))
        .collect();
    if at.settled.contains(&Kind::Filter) {
        let held = target.resources.get(Kind::Filter, FILTER_NAME);
        tables.extend(held.map(|resource| &resource.version));
    }
    let bound: Vec<_> = tables.into_iter().map(bound).collect();
    let planner = Planner { at, bound: &bound, target };
    let mut steps = vec![planner.upstreams()];
    let has_listeners = at.settled.contains(&Kind::Listeners)
        || at.held.version(Kind::Listeners, HTTP_LISTENER).is_some();
    if has_listeners {
        let listeners = planner.listeners();
        let bridge = planner.bridge().filter(|_| !listeners.is_empty());
        let is_bridged = bridge.is_some();
        steps.push(Step::new(Stage::Routes, planner.differing(Kind::Routes)));
        steps.extend(bridge);
        steps.push(listeners);
        steps.push(planner.table(is_bridged));
    } else {
        steps.push(planner.opening());
        steps.push(planner.probe());
    }
    steps.push(planner.removals());
    steps.retain(|step| !step.is_empty());
    steps
}

struct Planner<'p> {
    at: &'p Position,
    bound: &'p [Option<&'p [TlsHost]>],
    target: &'p Target,
}

impl Planner<'_> {
    fn upstreams(&self) -> Step {
        let Self { at, target, .. } = self;
        // Clusters that Envoy rejects stay rejected while they are unchanged.
        let mut clusters = self.differing(Kind::Clusters);
        clusters.retain(|key| !self.is_refused(key));
        let resolves = clusters.iter().any(|cluster| !target.endpoints.contains_key(&cluster.name));
        let mut step = Step::new(Stage::Upstreams { resolves }, clusters);
        let endpoints = target.endpoints.iter().filter(|_| !self.is_settled(Kind::Endpoints));
        for (cluster, name) in endpoints {
            let cluster = Key::new(Kind::Clusters, Arc::clone(cluster));
            if at.held.version(Kind::Endpoints, name).is_none() && !self.is_refused(&cluster) {
                step.needs.push((cluster, Key::new(Kind::Endpoints, Arc::clone(name))));
            }
        }
        let secrets = target.cluster_secrets.iter().filter(|_| !self.is_settled(Kind::Secrets));
        for (cluster, names) in secrets {
            let cluster = Key::new(Kind::Clusters, Arc::clone(cluster));
            let is_needed = |name: &&Arc<str>| {
                at.held.version(Kind::Secrets, name).is_none() && !self.is_refused(&cluster)
            };
            let needed = names.iter().filter(is_needed);
            let needed = needed.map(|name| Key::new(Kind::Secrets, Arc::clone(name)));
            step.needs.extend(needed.map(|secret| (cluster.clone(), secret)));
        }
        for kind in [Kind::Endpoints, Kind::Secrets] {
            if self.is_settled(kind) {
                continue;
            }
            for (name, resource) in target.resources.of(kind) {
                let held = at.held.version(kind, name);
                let is_news = held.is_some_and(|held| *held != resource.version);
                if is_news || at.told.version(kind, name) != Some(&resource.version) {
                    let key = Key::new(kind, Arc::clone(name));
                    // Even if Envoy has none: a draining filter chain is still
                    // subscribed to it, and has to get it before a listener
                    // names it again.
                    step.updates.push(key.clone());
                    step.tell.push(key);
                }
            }
        }
        step
    }

    /// The first listener: the resources that it needs are sent before it, and it
    /// listens once it has them.
    fn opening(&self) -> Step {
        let mut needs: Vec<_> = self
            .all(&[Kind::Routes, Kind::Filter])
            .into_iter()
            .map(|key| (Key::new(Kind::Listeners, HTTP_LISTENER), key))
            .collect();
        needs.extend(self.certificates().into_iter().map(of_https));
        let mut listeners = self.all(&[Kind::Listeners]);
        listeners.retain(|key| !is_probe(key));
        let mut tell = self.all(&[Kind::Routes, Kind::Filter]);
        tell.extend_from_slice(&listeners);
        Step { expect: listeners, needs, ..Step::new(Stage::Listeners, tell) }
    }

    /// The probe listener, once the others have a table.
    fn probe(&self) -> Step {
        let mut listeners = self.all(&[Kind::Listeners]);
        listeners.retain(is_probe);
        Step::new(Stage::Listeners, listeners)
    }

    fn listeners(&self) -> Step {
        let mut step = Step::new(Stage::Listeners, self.differing(Kind::Listeners));
        step.withdraw = self.surplus(Kind::Listeners);
        step.expect.extend_from_slice(&step.withdraw);
        let mut secrets = self.certificates();
        secrets.retain(|_| !self.is_settled(Kind::Secrets));
        secrets.retain(|key| self.at.held.version(Kind::Secrets, &key.name).is_none());
        step.needs.extend(secrets.into_iter().map(of_https));
        step
    }

    /// The next table with only the hosts whose certificate does not change, if
    /// it changes for some; if those are not known, with none.
    fn bridge(&self) -> Option<Step> {
        let next = self.target.tls_hosts();
        if self.bound.iter().all(|bound| *bound == Some(next)) {
            return None;
        }
        let hosts = self.bound.iter().fold(next.to_vec(), |hosts, bound| {
            bound.map(|bound| staying(bound, &hosts)).unwrap_or_default()
        });
        let filter = Key::new(Kind::Filter, FILTER_NAME);
        Some(Step { tell: Vec::new(), ..Step::new(Stage::Bridge(hosts), vec![filter]) })
    }

    fn table(&self, is_bridged: bool) -> Step {
        let tell =
            if is_bridged { self.all(&[Kind::Filter]) } else { self.differing(Kind::Filter) };
        Step::new(Stage::Table, tell)
    }

    fn removals(&self) -> Step {
        let clusters = self.surplus(Kind::Clusters);
        let mut step = Step::new(Stage::Removals, Vec::new());
        step.expect.clone_from(&clusters);
        step.withdraw = clusters;
        // Envoy removes these by itself, together with the resource that needed
        // them.
        for kind in [Kind::Clusters, Kind::Endpoints, Kind::Secrets, Kind::Listeners] {
            let told = self.at.told.of(kind).map(|(name, _)| name);
            step.withdraw.extend(self.not_in_target(kind, told));
        }
        step
    }

    /// Whether Envoy has the resources of the target of a type.
    fn is_settled(&self, kind: Kind) -> bool {
        self.at.settled.contains(&kind)
    }

    /// Whether Envoy has rejected the version of the target.
    fn is_refused(&self, Key { kind, name }: &Key) -> bool {
        let wanted = self.target.resources.get(*kind, name).map(|resource| &resource.version);
        self.at.told.version(*kind, name) == wanted
            && self.at.refused.contains(&Key::new(*kind, Arc::clone(name)))
    }

    /// All resources of some types.
    fn all(&self, kinds: &[Kind]) -> Vec<Key> {
        let of = |kind: &Kind| {
            let kind = *kind;
            self.target.resources.of(kind).map(move |(name, _)| Key::new(kind, Arc::clone(name)))
        };
        kinds.iter().flat_map(of).collect()
    }

    /// The certificates of filter chains.
    fn certificates(&self) -> Vec<Key> {
        let of_clusters: BTreeSet<_> = self.target.cluster_secrets.values().flatten().collect();
        let mut certificates = self.all(&[Kind::Secrets]);
        certificates.retain(|key| !of_clusters.contains(&key.name));
        certificates
    }

    /// Resources that Envoy does not have in the version of the target, or would
    /// not get if it restarted.
    fn differing(&self, kind: Kind) -> Vec<Key> {
        let Position { held, told, .. } = self.at;
        let is_open = !self.is_settled(kind);
        let resources = self.target.resources.of(kind).filter(|_| is_open);
        let differing = resources.filter(|(name, resource)| {
            [held, told].iter().any(|at| at.version(kind, name) != Some(&resource.version))
        });
        differing.map(|(name, _)| Key::new(kind, Arc::clone(name))).collect()
    }

    /// Resources of Envoy that are not in the target.
    fn surplus(&self, kind: Kind) -> Vec<Key> {
        self.not_in_target(kind, self.at.held.of(kind).map(|(name, _)| name))
    }

    fn not_in_target<'n>(&self, kind: Kind, names: impl Iterator<Item = &'n Arc<str>>) -> Vec<Key> {
        let surplus = names.filter(|name| self.target.resources.get(kind, name).is_none());
        surplus.map(|name| Key::new(kind, Arc::clone(name))).collect()
    }
}

fn is_probe(key: &Key) -> bool {
    key.kind == Kind::Listeners && *key.name == *PROBE_LISTENER
}

/// A certificate, which its filter chain needs.
fn of_https(certificate: Key) -> (Key, Key) {
    (Key::new(Kind::Listeners, HTTPS_LISTENER), certificate)
}

/// The hosts whose certificate is the same in both.
pub(super) fn staying(before: &[TlsHost], next: &[TlsHost]) -> Vec<TlsHost> {
    let pairs = |groups: &'_ [TlsHost]| -> BTreeSet<(String, String)> {
        let pairs = groups.iter().flat_map(|group| {
            group.hosts.iter().map(|host| (group.certificate.clone(), host.clone()))
        });
        pairs.collect()
    };
    let (before, next) = (pairs(before), pairs(next));
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (certificate, host) in before.intersection(&next).cloned() {
        groups.entry(certificate).or_default().push(host);
    }
    groups.into_iter().map(|(certificate, hosts)| TlsHost { hosts, certificate }).collect()
}
