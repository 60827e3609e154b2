//! Leaves out what Envoy rejects, so that it does not affect other objects: single
//! certificates, and if Envoy rejects a whole route table, the objects without which it
//! accepts it.
//!
//! The choice depends only on the responses of Envoy.

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
use crate::envoy::{HTTPS_LISTENER, Key, Kind};
use crate::finding::{Code, Finding};
use crate::manifest::Node;
use crate::model::{Cluster, Gateway, Roots, ServedTable};
use crate::object_ref::ObjectRef;
use crate::xds::Refusal;

pub(crate) use attempt::Attempt;

/// The first and the longest time until rejected objects are tried again.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(10);

/// The same for a certificate. Until its filter chain has drained, Envoy keeps a rejected
/// one, and would reject a listener that names it again.
const CERTIFICATE_PAUSE: Duration = Duration::from_hours(1);

/// What is left out, and why.
pub(crate) struct Isolation {
    refused: Refused,
    /// Objects that are left out until it is known whether they are the cause; the last
    /// one is tried next.
    untried: Vec<Vec<Suspect>>,
    good: Option<Good>,
    findings: Vec<Finding>,
    retry: Option<Instant>,
    pause: Duration,
    retry_certificates: Option<Instant>,
}

/// A possible cause of a rejection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Suspect {
    Object(ObjectRef),
    /// A certificate, by its fingerprint.
    Certificate(String),
}

/// The last configuration that Envoy has accepted.
struct Good {
    table: Arc<ServedTable>,
    certificates: BTreeSet<String>,
}

/// The next step after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Envoy has the complete configuration.
    Settled,
    /// Compile again without what is rejected now.
    Again,
    /// Nothing can be left out, because Envoy rejects any table. This may pass, so
    /// everything is tried again later.
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

    /// The objects and certificates to leave out.
    pub(crate) fn refused(&self) -> &Refused {
        &self.refused
    }

    /// The findings in addition to those of the compiler.
    pub(crate) fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The time at which rejected objects are tried again.
    pub(crate) fn retry_at(&self) -> Option<Instant> {
        self.retry.into_iter().chain(self.retry_certificates).min()
    }

    /// Includes what is left out again, if it is time.
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

    /// Envoy has accepted `gateway`, except for these resources.
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
            if let Some(fingerprint) = gateway.fingerprint(name) {
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

    /// Envoy has rejected the table, the listener or the routes (`key`) of `gateway`, with
    /// this message.
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
            // If Envoy rejects that for HTTP, too, the cause is a setting. Leaving out the
            // certificates would remove the listener for HTTPS, which still serves.
            Kind::Listeners if *key.name == *HTTPS_LISTENER => self.suspect_certificates(gateway),
            _ => Vec::new(),
        };
        if suspects.is_empty() {
            return self.give_up(now);
        }
        if suspects.len() > 1 {
            // First without any object, to learn whether Envoy accepts an empty table.
            let half = if self.good.is_some() { suspects.len() / 2 } else { 0 };
            suspects.drain(..half);
            self.untried.push(suspects.clone());
        }
        let mut is_any = false;
        for suspect in suspects {
            is_any |= self.leave_out(suspect, message, now, &find);
        }
        // Compiling the same again would never end.
        if is_any { Verdict::Again } else { self.give_up(now) }
    }

    /// The objects that are left out are not the cause either.
    fn give_up(&mut self, now: Instant) -> Verdict {
        self.refused = Refused::default();
        self.untried.clear();
        self.retry = Some(now + self.pause);
        Verdict::Hopeless
    }

    /// Returns whether there is anything to leave out.
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

    /// The objects that Envoy has not accepted before.
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

/// The finding about a cluster, or its endpoints, that Envoy rejects.
pub(crate) fn finding(gateway: &Gateway, name: &str, message: &str) -> Option<Finding> {
    // The name of endpoints contains the name of the cluster and a hash.
    let cluster = name.rsplit_once('#').map_or(name, |(cluster, _)| cluster);
    let Cluster { service, tls, .. } = &**gateway.clusters.get(cluster)?;
    let verification = tls.as_ref().and_then(|tls| tls.verification.as_ref());
    let remedy = match verification.map(|verification| &verification.roots) {
        Some(Roots::File(file)) if message.contains(&**file) => {
            "; put the authorities of the system into this file on Envoy's machine, or set upstreamCaFile"
        }
        _ => "",
    };
    let message = format!(
        "Envoy refuses the cluster {cluster} of this service: {message}{remedy}. Requests to it answer 503 until it changes"
    );
    let service = service.clone();
    Some(Finding::new(Code::EnvoyRefusesCluster, message).object(service).field("spec"))
}

/// The objects in which a table differs from the one before.
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

/// The parts of a table, by their source.
#[derive(Default)]
struct Parts<'t> {
    /// The routes by source, with their host.
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

/// The object of a source: `namespace/name`, which may be followed by `#` and a position.
fn object(kind: &str, source: &str) -> Option<ObjectRef> {
    let name = source.split_once('#').map_or(source, |(name, _)| name);
    let (namespace, name) = name.split_once('/')?;
    Some(ObjectRef { kind: kind.into(), namespace: namespace.into(), name: name.into() })
}
