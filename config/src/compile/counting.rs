//! The names under which requests are counted: the Ingress, up to a limit that is shared
//! fairly by namespaces.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use ingress_filter::table::{Backend, Route, Target, VirtualHost};

use crate::budget::fair_share;
use crate::manifest::Object;

/// Counts the requests of Ingresses beyond the limit.
const OTHER: &str = "other";

/// The Ingresses that have a name of their own, as `namespace/name`.
pub(super) struct CountNames(HashSet<String>);

/// The number of series that the Ingresses of each namespace need, by name: one for each
/// rule that can match, and one for no rule.
pub(super) struct CountDemands(BTreeMap<String, BTreeMap<String, u64>>);

impl CountNames {
    /// Names the routes.
    pub(super) fn assign(&self, virtual_hosts: &mut [VirtualHost], default: Option<&mut Target>) {
        let name = |source: &str| {
            let ingress = source.split_once('#').map_or("", |(ingress, _)| ingress);
            if self.0.contains(ingress) { ingress.to_owned() } else { OTHER.to_owned() }
        };
        for route in virtual_hosts.iter_mut().flat_map(|host| &mut host.routes) {
            route.count_as = name(&route.source);
        }
        if let Some(default) = default {
            default.count_as = name(&default.source);
        }
    }
}

impl CountDemands {
    /// What the Ingresses of a table need.
    pub(super) fn of(
        virtual_hosts: &[VirtualHost],
        default: Option<&Target>,
        backends: &[Backend],
    ) -> Self {
        let rules: BTreeMap<_, _> =
            backends.iter().map(|backend| (&*backend.name, backend.rules.len())).collect();
        let routes = virtual_hosts.iter().flat_map(|host| &host.routes);
        let routes = routes.map(|Route { source, backend, .. }| (source, backend));
        let default = default.map(|Target { source, backend, .. }| (source, backend));
        let mut used = BTreeMap::<_, BTreeSet<&str>>::new();
        for (source, backend) in routes.chain(default) {
            if let Some(ingress) = ingress_of(source) {
                used.entry(ingress).or_default().insert(backend);
            }
        }
        let mut demands = Self(BTreeMap::new());
        for ((namespace, name), backends) in used {
            let rules: usize = backends.iter().filter_map(|it| rules.get(it)).sum();
            let series = u64::try_from(rules).unwrap_or(u64::MAX).saturating_add(1);
            demands.0.entry(namespace.into()).or_default().insert(name.into(), series);
        }
        demands
    }

    /// Those that fit into `limit`, the oldest of each namespace.
    pub(super) fn within<'a>(
        &self,
        limit: u32,
        oldest_first: impl Iterator<Item = &'a Object>,
    ) -> CountNames {
        let wanted = self.0.values().map(|ingresses| ingresses.values().sum());
        let share = fair_share(wanted.collect(), limit.into());
        let mut spent = BTreeMap::<_, u64>::new();
        let mut names = HashSet::new();
        for Object { namespace, name, .. } in oldest_first {
            let series = self.0.get(&**namespace).and_then(|of| of.get(&**name));
            let Some(series) = series else { continue };
            let spent = spent.entry(namespace).or_default();
            if spent.saturating_add(*series) <= share {
                *spent += series;
                names.insert(format!("{namespace}/{name}"));
            }
        }
        CountNames(names)
    }
}

/// The namespace and name of the Ingress in the source of a route.
fn ingress_of(source: &str) -> Option<(&str, &str)> {
    source.split_once('#')?.0.split_once('/')
}
