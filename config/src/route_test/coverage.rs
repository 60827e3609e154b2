//! The coverage of a table's routes and rules by the tests.

use std::collections::{BTreeSet, HashMap, HashSet};

use ingress_filter::RouteTable;
use ingress_filter::table::Backend;
use serde::Serialize;

use crate::explain::RouteIndex;

/// The coverage of a table.
#[derive(Debug, Serialize)]
pub struct Coverage {
    /// The percentage of all routes and rules that were reached; 0 if there are none.
    pub percent: f64,
    /// The coverage of routes: the paths of Ingresses, and the default backend.
    pub routes: Reach,
    /// The coverage of the rules of the routes' backends.
    pub rules: Reach,
}

/// The coverage of routes or rules.
#[derive(Debug, Serialize)]
pub struct Reach {
    /// Their number.
    pub total: usize,
    /// The number of those that were reached.
    pub reached: usize,
    /// The others, by the names of their objects.
    pub unreached: Vec<String>,
}

/// Records what each test reaches.
pub(super) struct Recorder<'t> {
    table: &'t RouteTable,
    backends: HashMap<&'t str, &'t Backend>,
    places: HashSet<RouteIndex>,
    rules: HashSet<String>,
}

impl<'t> Recorder<'t> {
    pub(super) fn new(table: &'t RouteTable) -> Self {
        let backends = table.backends.iter().map(|backend| (backend.name.as_str(), backend));
        let backends = backends.collect();
        Self { table, backends, places: HashSet::new(), rules: HashSet::new() }
    }

    /// Records that a request was served by this route, with the rule of this index.
    pub(super) fn record(&mut self, place: Option<RouteIndex>, rule: Option<usize>) {
        let Some(place) = place else { return };
        self.places.insert(place);
        let backend = self.backend_at(place).and_then(|name| self.backends.get(name));
        if let (Some(backend), Some(rule)) = (backend, rule) {
            self.rules.insert(rule_name(backend, rule));
        }
    }

    pub(super) fn coverage(&self) -> Coverage {
        let places: Vec<_> = self.places().collect();
        let routes = reach(
            places.iter(),
            |(place, _)| self.places.contains(place),
            |(_, name)| name.clone(),
        );
        let names = places.iter().filter_map(|(place, _)| self.backend_at(*place));
        let used: BTreeSet<_> = names.collect();
        let backends = used.iter().filter_map(|name| self.backends.get(name));
        // A RouteRule is a rule of each port of its service.
        let rules: BTreeSet<_> = backends
            .flat_map(|backend| (0..backend.rules.len()).map(|rule| rule_name(backend, rule)))
            .collect();
        let rules = reach(rules.iter(), |rule| self.rules.contains(*rule), |rule| (*rule).clone());
        Coverage { percent: percent(&routes, &rules), routes, rules }
    }

    fn backend_at(&self, place: RouteIndex) -> Option<&'t str> {
        match place {
            RouteIndex::Default => {
                self.table.default_backend.as_ref().map(|it| it.backend.as_str())
            }
            RouteIndex::Route(host, route) => {
                Some(&self.table.virtual_hosts.get(host)?.routes.get(route)?.backend)
            }
        }
    }

    /// All routes, by the names of their objects.
    fn places(&self) -> impl Iterator<Item = (RouteIndex, String)> {
        let hosts = self.table.virtual_hosts.iter().enumerate();
        let routes = hosts.flat_map(|(index, host)| {
            let routes = host.routes.iter().enumerate();
            routes.map(move |(route_index, route)| {
                let name = name_of(&host.hosts.join(", "), &route.path.to_string(), &route.source);
                (RouteIndex::Route(index, route_index), name)
            })
        });
        let default = self.table.default_backend.as_ref();
        routes.chain(
            default.map(|target| {
                (RouteIndex::Default, name_of("*", "default backend", &target.source))
            }),
        )
    }
}

fn name_of(hosts: &str, path: &str, source: &str) -> String {
    let source = if source.is_empty() { String::new() } else { format!(" ({source})") };
    format!("host {hosts}, {path}{source}")
}

fn rule_name(backend: &Backend, index: usize) -> String {
    match backend.rules.get(index) {
        Some(rule) if !rule.name.is_empty() => rule.name.clone(),
        _ => format!("rule {index} of {}", backend.name),
    }
}

fn reach<T>(
    all: impl Iterator<Item = T>,
    is_reached: impl Fn(&T) -> bool,
    name: impl Fn(&T) -> String,
) -> Reach {
    let (reached, unreached): (Vec<_>, Vec<_>) = all.partition(is_reached);
    Reach {
        total: reached.len() + unreached.len(),
        reached: reached.len(),
        unreached: unreached.iter().map(name).collect(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "no table holds 2^52 routes")]
fn percent(routes: &Reach, rules: &Reach) -> f64 {
    let total = routes.total + rules.total;
    if total == 0 {
        return 0.0;
    }
    100.0 * (routes.reached + rules.reached) as f64 / total as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = r#"{
        "version": 1,
        "backends": [
            {"name": "a", "default": {"forward": {"cluster": "a"}}, "rules": [
                {"name": "ns/r", "action": {"respond": {"status": 503}}},
                {"action": {"respond": {"status": 503}}}
            ]},
            {"name": "a-too", "default": {"forward": {"cluster": "a"}}, "rules": [
                {"name": "ns/r", "action": {"respond": {"status": 503}}}
            ]},
            {"name": "unused", "default": {"forward": {"cluster": "a"}}, "rules": [
                {"name": "ns/unused", "action": {"respond": {"status": 503}}}
            ]}
        ],
        "virtual_hosts": [{"hosts": ["*"], "routes": [
            {"match": {"exact": "/a"}, "backend": "a", "source": "ns/i#0.0"},
            {"match": {"prefix": "/b"}, "backend": "a-too"}
        ]}],
        "default_backend": {"backend": "a-too", "source": "ns/i#default"}
    }"#;

    fn coverage(reached: &[(RouteIndex, Option<usize>)]) -> Coverage {
        let table: RouteTable = serde_json::from_str(TABLE).unwrap();
        let mut recorder = Recorder::new(&table);
        for (place, rule) in reached {
            recorder.record(Some(*place), *rule);
        }
        recorder.coverage()
    }

    #[test]
    fn what_was_not_reached_is_named() {
        let nothing = coverage(&[]);
        assert_eq!((nothing.routes.total, nothing.rules.total, nothing.percent), (3, 2, 0.0));
        assert_eq!(
            nothing.routes.unreached,
            [
                "host *, exact /a (ns/i#0.0)",
                "host *, prefix /b",
                "host *, default backend (ns/i#default)"
            ]
        );
        assert_eq!(nothing.rules.unreached, ["ns/r", "rule 1 of a"]);
    }

    #[test]
    fn a_rule_is_reached_by_any_port_of_its_service() {
        let some = coverage(&[(RouteIndex::Default, Some(0)), (RouteIndex::Route(0, 0), None)]);
        assert_eq!(some.routes.unreached, ["host *, prefix /b"]);
        assert_eq!(some.rules.unreached, ["rule 1 of a"]);
        assert_eq!((some.routes.reached, some.rules.reached, some.percent), (2, 1, 60.0));
    }

    #[test]
    fn nothing_is_not_covered() {
        let coverage = Recorder::new(&RouteTable::empty()).coverage();
        assert_eq!((coverage.percent, coverage.routes.total), (0.0, 0));
    }
}
