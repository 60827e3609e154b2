//! Sets aside what Envoy refuses, so that it is no matter to anybody else: a
//! certificate by itself, and of a route table, which is refused as a whole, the
//! objects without which it is taken.
//!
//! All that is decided here is a function of what Envoy has said; nothing is done.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ingress_filter::RouteTable;
use ingress_filter::table::{Backend, Route};

use crate::compile::Refused;
use crate::envoy::{Key, Kind};
use crate::finding::Finding;
use crate::manifest::Node;
use crate::model::Gateway;
use crate::object_ref::ObjectRef;
use crate::xds::Refusal;

/// When what was refused is told again, for the first time and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(10);

/// See the module.
pub(crate) struct Isolation {
    refused: Refused,
    /// Objects that are left out until it is known whether they are to blame; the
    /// next to be tried is the last.
    untried: Vec<Vec<ObjectRef>>,
    /// The last table that Envoy has taken.
    good: Option<Arc<RouteTable>>,
    findings: Vec<Finding>,
    retry: Option<Instant>,
    pause: Duration,
}

/// What to do after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Envoy has what there is to have.
    Settled,
    /// Compile again, with what is refused now.
    Again,
    /// Nothing can be set aside: Envoy would refuse any table.
    Hopeless,
}

impl Isolation {
    pub(crate) fn new() -> Self {
        Self {
            refused: Refused::default(),
            untried: Vec::new(),
            good: None,
            findings: Vec::new(),
            retry: None,
            pause: FIRST_PAUSE,
        }
    }

    /// What is to be left out.
    pub(crate) fn refused(&self) -> &Refused {
        &self.refused
    }

    /// What is to be said beside what was found at compiling.
    pub(crate) fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// When what is refused is to be tried again.
    pub(crate) fn retry_at(&self) -> Option<Instant> {
        self.retry
    }

    /// Takes in again what is left out, since it is time to.
    pub(crate) fn retry(&mut self) {
        self.refused = Refused::default();
        self.untried.clear();
        self.retry = None;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    /// Envoy has taken `gateway`, but for these.
    pub(crate) fn taken(
        &mut self,
        gateway: &Gateway,
        refused: &[(Key, Refusal)],
        now: Instant,
    ) -> Verdict {
        self.good = Some(Arc::clone(&gateway.table));
        self.findings.clear();
        let mut is_new = false;
        for (Key { kind, name }, Refusal { message, .. }) in refused {
            if *kind == Kind::Secrets {
                let certificates = gateway.https.as_ref().map(|https| &https.certificates);
                if let Some(certificate) = certificates.and_then(|all| all.get(&**name)) {
                    is_new |= self.refused.add_certificate(&certificate.pair, message);
                }
            } else {
                self.findings.extend(finding(gateway, name, message));
            }
        }
        if let Some(group) = self.untried.pop() {
            for object in &group {
                self.refused.remove_object(object);
            }
            is_new = true;
        }
        if is_new {
            return Verdict::Again;
        }
        if self.refused.is_empty() && self.findings.is_empty() {
            (self.retry, self.pause) = (None, FIRST_PAUSE);
        } else if self.retry.is_none_or(|at| at <= now) {
            self.retry = Some(now + self.pause);
        }
        Verdict::Settled
    }

    /// Envoy has refused the table of `gateway`, with these words.
    pub(crate) fn refused_table(
        &mut self,
        gateway: &Gateway,
        message: &Arc<str>,
        find: impl Fn(&ObjectRef) -> Option<Node>,
    ) -> Verdict {
        let suspects = suspects(self.good.as_deref(), &gateway.table);
        let mut suspects: Vec<_> = suspects.into_iter().collect();
        if suspects.is_empty() {
            // Then it was not for those either.
            self.refused = Refused::default();
            self.untried.clear();
            return Verdict::Hopeless;
        }
        if suspects.len() > 1 {
            // Without any first: it is not known yet whether Envoy takes a table.
            let half = if self.good.is_some() { suspects.len() / 2 } else { 0 };
            let rest = suspects.split_off(half);
            self.untried.push(rest.clone());
            suspects = rest;
        }
        for object in suspects {
            if let Some(node) = find(&object) {
                self.refused.add_object(object, node, message);
            }
        }
        Verdict::Again
    }
}

/// What is to be said of a cluster, or its endpoints, that Envoy refuses.
fn finding(gateway: &Gateway, name: &str, message: &str) -> Option<Finding> {
    // Endpoints are asked for by the name of the cluster and of its definition.
    let cluster = name.rsplit_once('#').map_or(name, |(cluster, _)| cluster);
    let service = gateway.clusters.get(cluster)?.service.clone();
    let message = format!(
        "Envoy refuses the cluster {cluster} of this service: {message}. Until it changes, requests \
         to it answer 503"
    );
    Some(Finding::error(message).object(service).field("spec"))
}

/// The objects by which a table differs from the one before.
fn suspects(good: Option<&RouteTable>, table: &RouteTable) -> BTreeSet<ObjectRef> {
    let before = good.map(Parts::of).unwrap_or_default();
    let after = Parts::of(table);
    let is_other_backend = |name: &str| {
        let (before, after) = (before.backends.get(name), after.backends.get(name));
        before.map(|backend| &backend.default) != after.map(|backend| &backend.default)
    };
    let routes = after.routes.iter().filter(|(source, (host, route))| {
        before.routes.get(*source) != Some(&(*host, *route)) || is_other_backend(&route.backend)
    });
    let mut suspects: BTreeSet<_> =
        routes.filter_map(|(source, _)| object("Ingress", source)).collect();
    if let Some(default) = &table.default_backend
        && good.and_then(|good| good.default_backend.as_ref()) != Some(default)
    {
        suspects.extend(object("Ingress", &default.source));
    }
    for (name, backend) in &after.backends {
        let known = before.backends.get(name).map(|backend| &*backend.rules).unwrap_or_default();
        let known: BTreeMap<_, _> = known.iter().map(|rule| (&*rule.name, rule)).collect();
        let others = backend.rules.iter().filter(|rule| known.get(&*rule.name) != Some(rule));
        suspects.extend(others.filter_map(|rule| object("RouteRule", &rule.name)));
    }
    suspects
}

/// The parts of a table, by what they came from.
#[derive(Default)]
struct Parts<'t> {
    /// By source, with the host.
    routes: BTreeMap<&'t str, (&'t str, &'t Route)>,
    backends: BTreeMap<&'t str, &'t Backend>,
}

impl<'t> Parts<'t> {
    fn of(table: &'t RouteTable) -> Self {
        let routes = table.virtual_hosts.iter().flat_map(|virtual_host| {
            let host = virtual_host.hosts.first().map_or("", |host| host);
            virtual_host.routes.iter().map(move |route| (&*route.source, (host, route)))
        });
        let backends = table.backends.iter().map(|backend| (&*backend.name, backend));
        Self { routes: routes.collect(), backends: backends.collect() }
    }
}

/// The object of a source: `namespace/name`, perhaps with `#` and where in it.
fn object(kind: &str, source: &str) -> Option<ObjectRef> {
    let name = source.split_once('#').map_or(source, |(name, _)| name);
    let (namespace, name) = name.split_once('/')?;
    Some(ObjectRef { kind: kind.into(), namespace: namespace.into(), name: name.into() })
}
