//! Compiles Kubernetes objects to the route table and the clusters.
//!
//! An invalid path, rule or object becomes a finding, and everything else is served. The
//! semantics are those of the Ingress in Kubernetes' `networking/v1`; paths of older
//! versions are in Istio's notation. RouteRules define how the requests that Ingresses
//! send to a service are handled.

mod actions;
mod backends;
mod budgets;
mod clusters;
mod counting;
mod endpoints;
mod ingresses;
mod ownership;
mod patterns;
mod reach;
mod refused;
mod routes;
mod rules;
mod services;
#[cfg(test)]
mod tests;
mod tls;
mod unreachable;
mod unreadable;
mod upstream_tls;

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ingress_filter::RouteTable;
use ingress_filter::table::PathMatch;

use crate::certificates::CheckCache;
use crate::finding::{Finding, Findings};
use crate::manifest::{Manifests, Object};
use crate::model::{Gateway, ServedTable};
use crate::object_ref::ObjectRef;
use crate::selection::{OurIngress, Selection, Unread, named_secrets, unread_kinds};
use crate::settings::{ObjectName, Settings};

use backends::{Backends, Finished};
use counting::CountDemands;
use ingresses::{Collected, Collector};
use ownership::Ownership;
use patterns::{Admission, PatternBudget, PatternCache};
use rules::{Applicable, Rules};
use services::Services;
use tls::{Tls, TlsCollector};
use unreadable::Remedies;
use upstream_tls::TlsUpstreams;

pub(crate) use budgets::Usage;
pub(crate) use endpoints::{Moved, service_of_endpoints, with_endpoints};
use reach::Reach;
pub(crate) use reach::{Resolved, Where};
pub(crate) use refused::Refused;
pub(crate) use unreadable::{UnreadableSecret, UnreadableSecrets};

/// The interval of checks, because certificates become valid and expire without an event.
const RECHECK_PERIOD: Duration = Duration::from_hours(1);

/// The result of compiling objects.
#[derive(Debug)]
pub struct Compiled {
    /// The desired state of the gateway.
    pub gateway: Gateway,
    /// The findings about the manifests, including those that could not be read.
    pub findings: Vec<Finding>,
    /// The Ingresses of this gateway's class, and whether they serve any path. One does
    /// not if all its paths are invalid or belong to older Ingresses.
    pub ingresses: Arc<HashMap<ObjectRef, bool>>,
    /// Objects that are not read or not served although their author may expect it; empty
    /// in a cluster, where they may be for other controllers.
    pub(crate) unread: Vec<Unread>,
    /// The Secrets that objects name, whether they exist or not.
    pub secrets: BTreeSet<ObjectName>,
    /// The DNS names to resolve, because Envoy must not resolve them itself.
    pub(crate) dns_names: BTreeSet<String>,
    /// The resources that each namespace uses of its budget.
    pub(crate) usage: Usage,
    /// The time when the result for the same objects may change, because a certificate
    /// becomes valid or expires.
    pub recheck_at: Option<SystemTime>,
}

impl Compiled {
    /// Whether any finding is an error.
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == crate::finding::Severity::Error)
    }
}

/// Compiles manifests. The result depends only on the arguments and, for the validity of
/// certificates, on the time.
pub fn compile(manifests: &Manifests, settings: &Settings) -> Compiled {
    compile_for(Where::OwnMachine, manifests, settings)
}

/// Same as [`compile`], with notes on what the controller would reject.
pub fn check(manifests: &Manifests, settings: &Settings) -> Compiled {
    compile_for(Where::OwnMachineForNow, manifests, settings)
}

/// Compiles the objects of a cluster as its gateway would. The Secrets in `unreadable`
/// could not be read.
pub(crate) fn compile_live(
    manifests: &Manifests,
    unreadable: &UnreadableSecrets,
    settings: &Settings,
) -> Compiled {
    let (refused, caches) = (Refused::default(), Caches::default());
    let here = Circumstances::of_manifests(settings, &refused, &caches);
    let circumstances = Circumstances { place: Where::ClusterFromOutside, unreadable, ..here };
    compile_manifests(manifests, &circumstances)
}

fn compile_for(place: Where<'_>, manifests: &Manifests, settings: &Settings) -> Compiled {
    let (refused, caches) = (Refused::default(), Caches::default());
    let circumstances =
        Circumstances { place, ..Circumstances::of_manifests(settings, &refused, &caches) };
    compile_manifests(manifests, &circumstances)
}

/// Compiles manifests, and reports the objects in them that are not read.
pub(crate) fn compile_manifests(
    manifests: &Manifests,
    circumstances: &Circumstances<'_>,
) -> Compiled {
    let unread: Vec<_> = unread_kinds(&manifests.passed_over).collect();
    let mut findings = manifests.findings.clone();
    findings.extend(unread.iter().map(|unread| unread.finding().clone()));
    let mut compiled = compile_objects(manifests.objects(), findings, circumstances);
    compiled.unread.extend(unread);
    compiled
}

/// All that a result depends on, except for the objects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances<'c> {
    /// The settings of the operator.
    pub(crate) settings: &'c Settings,
    pub(crate) place: Where<'c>,
    /// The time at which certificates must be valid.
    pub(crate) now: SystemTime,
    /// The Secrets that are missing because they cannot be read.
    pub(crate) unreadable: &'c UnreadableSecrets,
    /// The certificates and objects that Envoy has rejected.
    pub(crate) refused: &'c Refused,
    /// Earlier results, which only save time.
    pub(crate) caches: &'c Caches,
}

/// Results of earlier checks.
#[derive(Debug, Default)]
pub(crate) struct Caches {
    /// Checks of certificates.
    pub(crate) checks: CheckCache,
    /// Compiled regular expressions.
    patterns: PatternCache,
}

impl<'c> Circumstances<'c> {
    /// For manifests on this machine, which contain all objects.
    pub(crate) fn of_manifests(
        settings: &'c Settings,
        refused: &'c Refused,
        caches: &'c Caches,
    ) -> Self {
        static NONE: UnreadableSecrets = UnreadableSecrets::new();
        let (place, now) = (Where::OwnMachine, SystemTime::now());
        Self { settings, place, now, unreadable: &NONE, refused, caches }
    }
}

/// Compiles objects, with the findings of reading them.
pub(crate) fn compile_objects<'a>(
    objects: impl IntoIterator<Item = &'a Object>,
    findings: Findings,
    circumstances: &Circumstances<'_>,
) -> Compiled {
    let settings = circumstances.settings;
    let findings = RefCell::new(findings);
    let mut objects = Selection::of(objects, &findings);

    let mut usage = budgets::admit_endpoints(&mut objects, settings, &findings);
    let reach = Reach::new(settings, circumstances.place);
    let services = Services::read(&objects, reach, &findings);
    let refused = circumstances.refused;
    let (all, others) = objects.ours(settings, &findings);
    let unread: Vec<_> = match circumstances.place {
        Where::Cluster(_) => Vec::new(),
        _ => others.unread(settings).collect(),
    };
    findings.borrow_mut().extend(unread.iter().map(|unread| unread.finding().clone()));
    let ownership = Ownership::new(&all, settings.host_ownership);
    let (mut left_out, mut ours): (Vec<_>, Vec<_>) =
        all.iter().partition(|ours| refused.leaves_out(ours.object, &findings));
    objects.route_rules.retain(|rule| !refused.leaves_out(rule, &findings));
    let mut rules = rules::applicable(&objects.route_rules, settings, &findings);
    let tls_services = objects.tls_services();
    let admitted = budgets::admit((&ours, &rules), &tls_services, settings, &findings);
    left_out.extend(ours.extract_if(.., |ours| !admitted.has(ours.object)));
    rules.retain(|rule| admitted.has(rule.object));
    usage.add_all(admitted.usage);
    let secrets =
        named_secrets(ours.iter().copied(), &objects.route_rules, &tls_services, settings);
    let remedies = Remedies::new(circumstances, secrets.iter());
    let tls_upstreams = TlsUpstreams::new(&objects.secrets, *circumstances, remedies, &findings);
    let mut backends = Backends::new(&services, tls_upstreams, settings, &findings);
    let admission = admit_patterns(&ours, &rules, circumstances);
    let mut collector =
        Collector::new(&mut backends, settings, (&admission, &ownership), &findings);
    let mut tls = TlsCollector::new(&objects.secrets, &ownership, circumstances, &findings);
    for OurIngress { object, read } in &ours {
        let Some(ingress) = read.tell(&findings) else { continue };
        collector.add(object, ingress);
        tls.add(object, ingress);
    }
    let Collected { mut virtual_hosts, mut default_backend, served } = collector.finish();
    let is_served = |object: &Object| served.contains(&(&*object.namespace, &*object.name));
    let ingresses = ours.iter().map(|ours| (ours.object.reference(), is_served(ours.object)));
    let left_out = left_out.iter().map(|ours| (ours.object.reference(), false));
    let ingresses = Arc::new(ingresses.chain(left_out).collect());
    let Tls { https, hosts: tls_hosts, recheck_at } = tls.finish(circumstances, &secrets);
    ownership.report(&findings);
    let rules = Rules::new(rules, &admission, &findings);
    let finished = backends.finish(rules);
    finished.rename(&mut virtual_hosts, default_backend.as_mut());
    let Finished { backends, clusters, dns_names, tls, .. } = finished;
    if settings.request_metrics {
        let oldest_first = ours.iter().map(|ours| ours.object);
        CountDemands::of(&virtual_hosts, default_backend.as_ref(), &backends)
            .within(settings.request_metrics_limit, oldest_first)
            .assign(&mut virtual_hosts, default_backend.as_mut());
    }
    let (upstream_secrets, recheck_upstreams_at) = tls.finish();
    let recheck_at = recheck_at.into_iter().chain(recheck_upstreams_at).min();
    circumstances.caches.checks.sweep();

    let table = RouteTable {
        record: settings.recorded(),
        sanitized_by_envoy: true,
        backends,
        virtual_hosts,
        default_backend,
        https_port: settings.public_https_port(),
        tls_hosts,
        ..RouteTable::empty()
    };
    let table = Arc::new(ServedTable::new(table, admission.into_patterns()));
    let gateway = Gateway { table, clusters: Arc::new(clusters), https, upstream_secrets };
    let findings = findings.into_inner().into_sorted();
    Compiled { gateway, findings, ingresses, unread, secrets, dns_names, usage, recheck_at }
}

/// Compiles the regular expressions of Ingresses and rules within the budgets.
fn admit_patterns(
    ingresses: &[&OurIngress<'_>],
    rules: &[Applicable<'_>],
    circumstances: &Circumstances<'_>,
) -> Admission {
    let of_rules = rules.iter().flat_map(|Applicable { object, rule }| {
        let patterns = rule.condition.patterns.iter();
        patterns.map(|pattern| (&*object.namespace, &*pattern.text))
    });
    let is_served = circumstances.settings.regex_paths;
    let ingresses = ingresses.iter().filter(|_| is_served);
    let of_paths = ingresses.flat_map(|OurIngress { object, read }| {
        let rules = read.value().iter().flat_map(|ingress| &ingress.rules);
        let paths = rules.flat_map(|rule| rule.paths.iter().flatten());
        paths.filter_map(|path| match &path.path {
            PathMatch::Regex(text) => Some((&*object.namespace, &**text)),
            _ => None,
        })
    });
    let cache = &circumstances.caches.patterns;
    let budget = PatternBudget::new(circumstances.settings);
    let admission = Admission::of(of_rules.chain(of_paths), budget, cache);
    cache.sweep();
    admission
}
