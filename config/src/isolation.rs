//! Sets aside what Envoy refuses, so that it does not concern anybody else: a
//! certificate by itself, and of a route table, which is refused as a whole, the
//! objects without which it is taken.
//!
//! What is to be left out follows from what Envoy has said, and from nothing else.

mod attempt;
#[cfg(test)]
mod real_envoy;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ingress_filter::RouteTable;
use ingress_filter::table::{Backend, Route};

use crate::compile::Refused;
use crate::envoy::{Key, Kind};
use crate::finding::{Code, Finding};
use crate::manifest::Node;
use crate::model::{Gateway, ServedTable};
use crate::object_ref::ObjectRef;
use crate::xds::Refusal;

pub(crate) use attempt::Attempt;

/// When what was refused is told again, for the first time and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(10);

/// When a certificate is. Until its filter chain has drained, Envoy holds what it
/// has refused, and would refuse a listener that names it again.
const CERTIFICATE_PAUSE: Duration = Duration::from_hours(1);

/// See the module.
pub(crate) struct Isolation {
    refused: Refused,
    /// What is left out until it is known whether it is to blame; the next to be
    /// tried is the last.
    untried: Vec<Vec<Suspect>>,
    good: Option<Good>,
    findings: Vec<Finding>,
    retry: Option<Instant>,
    pause: Duration,
    retry_certificates: Option<Instant>,
}

/// What may be to blame for what Envoy refuses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Suspect {
    Object(ObjectRef),
    /// By its fingerprint.
    Certificate(String),
}

/// What Envoy has taken last.
struct Good {
    table: Arc<ServedTable>,
    certificates: BTreeSet<String>,
}

/// What to do after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Envoy has what there is to have.
    Settled,
    /// Compile again, with what is refused now.
    Again,
    /// Nothing can be set aside: Envoy would refuse any table. That may pass, so all
    /// is tried again later.
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
            retry_certificates: None,
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
        self.retry.into_iter().chain(self.retry_certificates).min()
    }

    /// Takes in again what is left out, where it is time to.
    pub(crate) fn retry(&mut self, now: Instant) {
        self.untried.clear();
        if self.retry_certificates.is_some_and(|at| at <= now) {
            self.refused = Refused::default();
            self.retry_certificates = None;
        }
        if self.retry.is_some_and(|at| at <= now) {
            self.refused.clear_objects();
            self.retry = None;
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Envoy has taken `gateway`, but for these.
    pub(crate) fn taken(
        &mut self,
        gateway: &Gateway,
        refused: &[(Key, Refusal)],
        now: Instant,
    ) -> Verdict {
        self.good = Some(Good::of(gateway));
        self.findings.clear();
        let mut is_new = false;
        for (Key { kind, name }, Refusal { message, .. }) in refused {
            if *kind != Kind::Secrets {
                self.findings.extend(finding(gateway, name, message));
                continue;
            }
            let certificates = gateway.https.as_ref().map(|https| &https.certificates);
            if let Some(certificate) = certificates.and_then(|all| all.get(&**name)) {
                let fingerprint = certificate.pair.fingerprint();
                is_new |= self.refused.add_certificate(fingerprint, message);
                self.retry_certificates.get_or_insert(now + CERTIFICATE_PAUSE);
            }
        }
        if let Some(group) = self.untried.pop() {
            for suspect in group {
                match suspect {
                    Suspect::Object(object) => self.refused.remove_object(&object),
                    Suspect::Certificate(print) => self.refused.remove_certificate(&print),
                }
            }
            is_new = true;
        }
        if is_new {
            return Verdict::Again;
        }
        if !self.refused.has_objects() && self.findings.is_empty() {
            (self.retry, self.pause) = (None, FIRST_PAUSE);
        } else if self.retry.is_none_or(|at| at <= now) {
            self.retry = Some(now + self.pause);
        }
        Verdict::Settled
    }

    /// Envoy has refused the table, the listener or the routes of `gateway`, as
    /// `key` says, and in these words.
    pub(crate) fn refused_whole(
        &mut self,
        key: &Key,
        message: &Arc<str>,
        gateway: &Gateway,
        now: Instant,
        find: impl Fn(&ObjectRef) -> Option<Node>,
    ) -> Verdict {
        let mut suspects: Vec<_> = match key.kind {
            Kind::Filter => {
                let good = self.good.as_ref().map(|good| &**good.table);
                suspects(good, &gateway.table).into_iter().map(Suspect::Object).collect()
            }
            Kind::Listeners => self.suspect_certificates(gateway),
            _ => Vec::new(),
        };
        if suspects.is_empty() {
            return self.give_up(now);
        }
        if suspects.len() > 1 {
            // Without any first: it is not known yet whether Envoy takes anything.
            let half = if self.good.is_some() { suspects.len() / 2 } else { 0 };
            suspects.drain(..half);
            self.untried.push(suspects.clone());
        }
        let mut is_any = false;
        for suspect in suspects {
            is_any |= self.leave_out(suspect, message, now, &find);
        }
        // To compile the same again would go on without end.
        if is_any { Verdict::Again } else { self.give_up(now) }
    }

    /// It was not for what is left out either.
    fn give_up(&mut self, now: Instant) -> Verdict {
        self.refused = Refused::default();
        self.untried.clear();
        self.retry = Some(now + self.pause);
        Verdict::Hopeless
    }

    /// Says whether there is anything to leave out.
    fn leave_out(
        &mut self,
        suspect: Suspect,
        message: &Arc<str>,
        now: Instant,
        find: impl Fn(&ObjectRef) -> Option<Node>,
    ) -> bool {
        match suspect {
            Suspect::Object(object) => {
                let node = find(&object);
                let is_there = node.is_some();
                if let Some(node) = node {
                    self.refused.add_object(object, node, message);
                }
                is_there
            }
            Suspect::Certificate(fingerprint) => {
                self.retry_certificates.get_or_insert(now + CERTIFICATE_PAUSE);
                self.refused.add_certificate(&fingerprint, message)
            }
        }
    }

    /// Those that Envoy has not taken before.
    fn suspect_certificates(&self, gateway: &Gateway) -> Vec<Suspect> {
        let mut certificates = Good::of(gateway).certificates;
        if let Some(good) = &self.good {
            certificates.retain(|print| !good.certificates.contains(print));
        }
        certificates.into_iter().map(Suspect::Certificate).collect()
    }
}

impl Good {
    fn of(gateway: &Gateway) -> Self {
        let https = gateway.https.iter().flat_map(|https| https.certificates.values());
        Self {
            table: Arc::clone(&gateway.table),
            certificates: https
                .map(|certificate| certificate.pair.fingerprint().to_owned())
                .collect(),
        }
    }
}

/// What is to be said of a cluster, or its endpoints, that Envoy refuses.
pub(crate) fn finding(gateway: &Gateway, name: &str, message: &str) -> Option<Finding> {
    // Endpoints are asked for by the name of the cluster and of its definition.
    let cluster = name.rsplit_once('#').map_or(name, |(cluster, _)| cluster);
    let service = gateway.clusters.get(cluster)?.service.clone();
    let message = format!(
        "Envoy refuses the cluster {cluster} of this service: {message}. Requests to it answer 503 until it changes"
    );
    Some(Finding::new(Code::EnvoyRefusesCluster, message).object(service).field("spec"))
}

/// The objects by which a table differs from the one before.
fn suspects(good: Option<&RouteTable>, table: &RouteTable) -> BTreeSet<ObjectRef> {
    let before = good.map(Parts::of).unwrap_or_default();
    let after = Parts::of(table);
    let is_other_backend = |name: &str| {
        let (before, after) = (before.backends.get(name), after.backends.get(name));
        let is_same = |before: &&Backend, after: &&Backend| {
            before.default == after.default && before.ports == after.ports
        };
        !before.zip(after).is_some_and(|(before, after)| is_same(before, after))
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
