//! Leaves out the newest objects that exceed the budget of their namespace.

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::rules::Applicable;
use crate::budget::{Amounts, Level, Resource, fair_share};
use crate::finding::{Code, Findings};
use crate::manifest::{Node, Object, Value};
use crate::objects::endpoints::{PortAddresses, endpoints_of};
use crate::objects::ingress::{Backend, BackendPort, Ingress, TlsHosts};
use crate::objects::route_rule::{Effect, RouteRule, ServiceRef};
use crate::objects::{Labels, ObjectName};
use crate::selection::{OurIngress, Selection, TlsServices};
use crate::settings::Settings;

/// The approximate size in bytes of a record of the route table without its texts.
const RECORD: usize = 32;

/// The resources that objects need, the oldest object of each kind first.
#[derive(Default)]
struct Demands<'a>(Vec<Demand<'a>>);

/// The resources that one object needs.
struct Demand<'a> {
    object: &'a Object,
    amounts: Amounts,
    /// Resources that count once in a namespace, even if several objects name them, and
    /// how much of each.
    named: Vec<(Resource, Named<'a>, u64)>,
}

/// A resource that several objects may name.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Named<'a> {
    Host(&'a str),
    Secret(&'a ObjectName),
    Port(&'a str, &'a str, Port<'a>),
    Version(&'a str, &'a str, &'a Labels),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Port<'a> {
    Number(u16),
    Name(&'a str),
}

/// The result.
pub(super) struct Admitted {
    left_out: HashSet<*const Object>,
    pub(super) usage: Usage,
}

/// The resources that each namespace uses.
type Spent<'a> = BTreeMap<&'a str, Amounts>;

/// The resources that namespaces use of their budgets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Usage(BTreeMap<Box<str>, Amounts>);

impl Usage {
    fn new(spent: &Spent<'_>) -> Self {
        Self(spent.iter().map(|(namespace, amounts)| ((*namespace).into(), *amounts)).collect())
    }

    /// Adds the usage of other resources.
    pub(super) fn add_all(&mut self, other: Self) {
        for (namespace, amounts) in other.0 {
            self.0.entry(namespace).or_default().add_all(&amounts);
        }
    }

    /// The namespaces that are closest to a limit, the closest first, each with the
    /// fraction of each limit that it uses.
    pub(crate) fn closest(
        &self,
        limits: &Amounts,
        number: usize,
    ) -> Vec<(&str, Vec<(Resource, f64)>)> {
        let shares = self.0.iter().map(|(namespace, amounts)| {
            let shares = Resource::all().map(|it| (it, ratio(amounts.of(it), limits.of(it))));
            (&**namespace, shares.collect::<Vec<_>>())
        });
        let mut shares: Vec<_> = shares.collect();
        let greatest =
            |shares: &[(Resource, f64)]| shares.iter().map(|(_, share)| *share).fold(0.0, f64::max);
        shares.sort_by(|(_, one), (_, other)| greatest(other).total_cmp(&greatest(one)));
        shares.truncate(number);
        shares
    }
}

#[expect(clippy::cast_precision_loss, reason = "nobody has 2^52 of anything")]
fn ratio(amount: u64, limit: u64) -> f64 {
    if limit == 0 { 0.0 } else { amount as f64 / limit as f64 }
}

/// Admits Ingresses, the oldest first, and then rules within the budgets.
pub(super) fn admit<'a>(
    (ingresses, rules): (&[&'a OurIngress<'a>], &'a [Applicable<'a>]),
    tls_services: &'a TlsServices<'a>,
    settings: &Settings,
    findings: &RefCell<Findings>,
) -> Admitted {
    let mut demands = Demands::default();
    for OurIngress { object, read } in ingresses {
        if let Some(ingress) = &read.value {
            demands.add_ingress(object, ingress, tls_services);
        }
    }
    let mut rules: Vec<_> = rules.iter().collect();
    rules.sort_by_cached_key(|rule| age(rule.object));
    for rule in rules {
        demands.add_rule(rule.object, &rule.rule, tls_services);
    }
    demands.admit(settings, findings)
}

/// Leaves out the newest objects with endpoints that exceed the budget of their
/// namespace.
pub(super) fn admit_endpoints(
    objects: &mut Selection<'_>,
    settings: &Settings,
    findings: &RefCell<Findings>,
) -> Usage {
    let admitted = Demands::of_endpoints(objects).admit(settings, findings);
    objects.endpoint_slices.retain(|object| admitted.has(object));
    objects.endpoints.retain(|object| admitted.has(object));
    admitted.usage
}

/// Whether the budgets of these namespaces suffice for all their endpoints.
pub(super) fn has_room_for_endpoints<'a>(
    namespaces: &BTreeSet<&str>,
    objects: impl IntoIterator<Item = &'a Object>,
    settings: &Settings,
) -> bool {
    let limits = ObjectAndNamespace::of(settings);
    let mut spent = Spent::new();
    objects.into_iter().filter(|it| namespaces.contains(&*it.namespace)).all(|object| {
        let Some(read) = endpoints_of(object) else { return true };
        let mut amounts = Amounts::default();
        amounts.add(Resource::Endpoints, number_of(&read.value));
        let spent = spent.entry(&*object.namespace).or_default();
        let has_room = limits.refuse(spent, &amounts).is_none();
        spent.add_all(&amounts);
        has_room
    })
}

fn number_of(ports: &PortAddresses) -> u64 {
    amount(ports.values().map(BTreeMap::len).sum())
}

/// The age of an object, in the same order as for Ingresses.
fn age(object: &Object) -> impl Ord {
    let created = object.created();
    (created.is_none(), created, object.namespace.clone(), object.name.clone())
}

impl Admitted {
    /// Whether an object is admitted.
    pub(super) fn has(&self, object: &Object) -> bool {
        !self.left_out.contains(&std::ptr::from_ref(object))
    }
}

impl<'a> Demands<'a> {
    fn of_endpoints(objects: &Selection<'a>) -> Self {
        let objects = objects.endpoint_slices.iter().chain(&objects.endpoints);
        let mut objects: Vec<_> = objects.copied().collect();
        objects.sort_by_cached_key(|object| age(object));
        let mut demands = Self::default();
        for object in objects {
            let mut amounts = Amounts::default();
            let number = endpoints_of(object).map_or(0, |read| number_of(&read.value));
            amounts.add(Resource::Endpoints, number);
            demands.0.push(Demand { object, amounts, named: Vec::new() });
        }
        demands
    }

    fn add_ingress(
        &mut self,
        object: &'a Object,
        ingress: &'a Ingress,
        tls_services: &'a TlsServices<'a>,
    ) {
        let (mut amounts, mut named) = (Amounts::default(), Vec::new());
        for rule in &ingress.rules {
            let host = rule.host_or_any();
            named.push((Resource::Hosts, Named::Host(host), 1));
            amounts.add(Resource::Bytes, amount(host.len() + RECORD));
            for path in rule.paths.iter().flatten() {
                amounts.add(Resource::Paths, 1);
                amounts.add(Resource::Bytes, amount(path.path.text().len() + RECORD));
                named.extend(path.backend.iter().flat_map(|it| backend(object, it, tls_services)));
            }
        }
        if let Some(default) = &ingress.default_backend {
            let default = default.backend.iter();
            named.extend(default.flat_map(|it| backend(object, it, tls_services)));
        }
        for entry in &ingress.tls.value {
            let secret = entry.secret.as_ref().map(|secret| &secret.value);
            named.extend(secret.map(|secret| (Resource::Secrets, Named::Secret(secret), 1)));
            if let TlsHosts::Listed(hosts) = &entry.hosts {
                for host in hosts {
                    let host = Named::Host(&host.name.value);
                    named.push((Resource::Hosts, host, 1));
                    if matches!(host, Named::Host(host) if host.starts_with('*')) {
                        named.push((Resource::TlsWildcards, host, 1));
                    }
                }
            }
        }
        self.0.push(Demand { object, amounts, named });
    }

    fn add_rule(
        &mut self,
        object: &'a Object,
        rule: &'a RouteRule,
        tls_services: &'a TlsServices<'a>,
    ) {
        let (mut amounts, mut named) = (Amounts::default(), Vec::new());
        amounts.add(Resource::Rules, 1);
        let request = &rule.condition.request;
        amounts.add(
            Resource::Conditions,
            amount(request.headers.len() + request.source_subnets.len()),
        );
        amounts.add(Resource::Bytes, amount(weight(object.node.nearest(["spec"]))));
        if let Effect::Forward(forwarding) = &rule.effect {
            for share in &forwarding.route {
                let service = share.destination.as_ref().unwrap_or(&rule.destination);
                named.extend(version(service, &share.labels, tls_services));
            }
            let mirror = forwarding.mirror.iter();
            named.extend(mirror.flat_map(|it| version(it, &it.labels, tls_services)));
        }
        self.0.push(Demand { object, amounts, named });
    }

    /// Admits objects within the budgets, and reports those that are left out.
    fn admit(&self, settings: &Settings, findings: &RefCell<Findings>) -> Admitted {
        let limits = ObjectAndNamespace::of(settings);
        let (mut spent, mut refused) = self.admit_within(&limits);
        let total = settings.total_budget.at(Level::Total);
        let shares = limits.within(&total, &spent);
        if shares != limits {
            (spent, refused) = self.admit_within(&shares);
        }
        let mut findings = findings.borrow_mut();
        for Refused { demand, resource, amount, limit } in &refused {
            let is_share = shares.namespace.of(*resource) < limits.namespace.of(*resource);
            let message = limit.message(*resource, *amount, &demand.object.namespace, is_share);
            let at = demand.object.node.nearest(["metadata", "name"]).at;
            let code = Code::BudgetExceeded;
            findings.push(demand.object.finding(at, "metadata.name", code, message));
        }
        let left_out = refused.iter().map(|it| std::ptr::from_ref(it.demand.object)).collect();
        Admitted { left_out, usage: Usage::new(&spent) }
    }

    fn admit_within(&self, limits: &ObjectAndNamespace) -> (Spent<'a>, Vec<Refused<'_, 'a>>) {
        let (mut all_spent, mut seen) = (Spent::new(), HashSet::new());
        let mut refused = Vec::new();
        for demand in &self.0 {
            let namespace = &*demand.object.namespace;
            let (mut amounts, mut new) = (demand.amounts, Vec::new());
            for (resource, named, amount) in &demand.named {
                let key = (namespace, *resource, *named);
                if seen.insert(key) {
                    amounts.add(*resource, *amount);
                    new.push(key);
                }
            }
            let spent = all_spent.entry(namespace).or_default();
            let Some((resource, limit)) = limits.refuse(spent, &amounts) else {
                spent.add_all(&amounts);
                continue;
            };
            for key in &new {
                seen.remove(key);
            }
            refused.push(Refused { demand, resource, amount: amounts.of(resource), limit });
        }
        (all_spent, refused)
    }
}

/// An object that is left out.
struct Refused<'d, 'a> {
    demand: &'d Demand<'a>,
    resource: Resource,
    /// The amount of the resource that it needs.
    amount: u64,
    limit: Limit,
}

/// The limit that an object exceeds.
#[derive(Clone, Copy)]
enum Limit {
    OfObject(u64),
    OfNamespace { spent: u64, most: u64 },
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct ObjectAndNamespace {
    object: Amounts,
    namespace: Amounts,
}

impl ObjectAndNamespace {
    fn of(settings: &Settings) -> Self {
        Self {
            object: settings.object_budget.at(Level::Object),
            namespace: settings.namespace_budget.at(Level::Namespace),
        }
    }

    /// The reason why an object that needs `amounts` is left out, if it is.
    fn refuse(&self, spent: &Amounts, amounts: &Amounts) -> Option<(Resource, Limit)> {
        if let Some(resource) = Amounts::default().beyond(amounts, &self.object) {
            return Some((resource, Limit::OfObject(self.object.of(resource))));
        }
        let resource = spent.beyond(amounts, &self.namespace)?;
        let (spent, most) = (spent.of(resource), self.namespace.of(resource));
        Some((resource, Limit::OfNamespace { spent, most }))
    }

    /// The limits with which all namespaces together do not exceed `total`.
    fn within(&self, total: &Amounts, spent: &Spent<'_>) -> Self {
        let shares = Resource::all().fold(self.namespace, |limits, resource| {
            let wanted = spent.values().map(|amounts| amounts.of(resource)).collect();
            limits.min(resource, fair_share(wanted, total.of(resource)))
        });
        Self { namespace: shares, ..*self }
    }
}

impl Limit {
    fn message(self, resource: Resource, amount: u64, namespace: &str, is_share: bool) -> String {
        match self {
            Self::OfObject(most) => format!(
                "is left out: it needs {amount} {resource}, but one object may have {most}; divide it, or raise the setting objectBudget"
            ),
            Self::OfNamespace { spent, most } => {
                let (of, setting) = if is_share {
                    ("share of all", "totalBudget")
                } else {
                    ("budget", "namespaceBudget")
                };
                format!(
                    "is left out: it needs {amount} {resource}, and older objects of namespace {namespace} have {spent} of {most}, its {of}; remove some, or raise the setting {setting}"
                )
            }
        }
    }
}

/// The port of a service, and what is needed for TLS to it.
fn backend<'a>(
    ingress: &'a Object,
    backend: &'a Backend,
    tls_services: &'a TlsServices<'a>,
) -> impl Iterator<Item = (Resource, Named<'a>, u64)> {
    let (namespace, service) = (&*ingress.namespace, &*backend.service.value);
    let port = match &backend.port.value {
        BackendPort::Number(number) => Port::Number(*number),
        BackendPort::Name(name) => Port::Name(name),
    };
    let port = Named::Port(namespace, service, port);
    let memory = tls_services.memory_of_port(namespace, service, &backend.port.value);
    of_cluster(port, memory, tls_services.secrets_of_backend(namespace, backend))
}

/// A version of a service, and what is needed for TLS to it.
fn version<'a>(
    service: &'a ServiceRef,
    labels: &'a Labels,
    tls_services: &'a TlsServices<'a>,
) -> impl Iterator<Item = (Resource, Named<'a>, u64)> {
    let (namespace, name) = (&*service.namespace, &*service.name);
    let version = Named::Version(namespace, name, labels);
    let memory = tls_services.memory_of_service(namespace, name);
    of_cluster(version, memory, tls_services.secrets_of(namespace, name))
}

fn of_cluster<'a>(
    cluster: Named<'a>,
    tls_memory: Option<usize>,
    secrets: impl Iterator<Item = &'a ObjectName>,
) -> impl Iterator<Item = (Resource, Named<'a>, u64)> {
    let secrets = secrets.map(|secret| (Resource::Secrets, Named::Secret(secret), 1));
    let tls = tls_memory.map(|bytes| (Resource::TlsBytes, cluster, amount(bytes)));
    std::iter::once((Resource::Services, cluster, 1)).chain(tls).chain(secrets)
}

fn amount(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// The approximate size of a part of an object in the table.
fn weight(node: &Node) -> usize {
    let below = match &node.value {
        Value::String(text) | Value::Word(text, _) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(items) => items.iter().map(weight).sum(),
        Value::Map(entries) => {
            entries.iter().map(|(key, value)| key.name.len() + weight(value)).sum()
        }
        Value::Null
        | Value::Bool(_)
        | Value::Integer(_)
        | Value::Large(_)
        | Value::Float(_)
        | Value::Flawed(_) => 0,
    };
    below + 8
}
