//! Selects the objects to serve: those of the kinds and versions that are read,
//! without duplicates, and only the Ingresses of our class.
//!
//! All code that needs this selection takes it from here.

mod classes;
mod tls_services;
mod unread;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::budget::{Level, Resource};
use crate::finding::{Code, Findings};
use crate::kinds;
use crate::manifest::Object;
use crate::objects::ingress::Ingress;
use crate::objects::route_rule::{RouteRule, Scope};
use crate::objects::{ObjectName, Read};
use crate::settings::Settings;

use classes::Classes;
pub(crate) use tls_services::{TlsServices, service_names_secrets};
use tls_services::{backends, services};
pub(crate) use unread::{Others, Unread, unread_kinds};

/// The objects that are read, by kind.
#[derive(Default)]
pub(crate) struct Selection<'a> {
    ingresses: Vec<&'a Object>,
    ingress_classes: Vec<&'a Object>,
    pub(crate) services: Vec<&'a Object>,
    pub(crate) endpoints: Vec<&'a Object>,
    pub(crate) endpoint_slices: Vec<&'a Object>,
    pub(crate) pods: Vec<&'a Object>,
    pub(crate) secrets: Vec<&'a Object>,
    pub(crate) route_rules: Vec<&'a Object>,
}

/// An Ingress of our class.
pub(crate) struct OurIngress<'a> {
    pub(crate) object: &'a Object,
    pub(crate) read: Arc<Read<Option<Ingress>>>,
}

impl<'a> Selection<'a> {
    /// Groups objects by kind, skips kinds that are not read, and keeps the first
    /// of objects that are defined twice.
    pub(crate) fn of(
        objects: impl IntoIterator<Item = &'a Object>,
        findings: &RefCell<Findings>,
    ) -> Self {
        let mut selection = Self::default();
        let mut seen = HashMap::new();
        for object in objects {
            let Some(list) = selection.list(object) else { continue };
            // An API returns each object once.
            if object.file.is_none() {
                list.push(object);
                continue;
            }
            let first =
                *seen.entry((&*object.kind, &*object.namespace, &*object.name)).or_insert(object);
            if std::ptr::eq(first, object) {
                list.push(object);
                continue;
            }
            let message = format!(
                "is already defined{}; this one is ignored, remove one of the two",
                first.at(first.node.at)
            );
            let at = object.node.nearest(["metadata", "name"]).at;
            let code = Code::DuplicateObject;
            findings.borrow_mut().push(object.finding(at, "metadata.name", code, message));
        }
        selection
    }

    fn list(&mut self, object: &Object) -> Option<&mut Vec<&'a Object>> {
        if !kinds::is_read(&object.api_version, &object.kind) {
            return None;
        }
        Some(match &*object.kind {
            "Ingress" => &mut self.ingresses,
            "IngressClass" => &mut self.ingress_classes,
            "Service" => &mut self.services,
            "Endpoints" => &mut self.endpoints,
            "EndpointSlice" => &mut self.endpoint_slices,
            "Pod" => &mut self.pods,
            "Secret" => &mut self.secrets,
            "RouteRule" => &mut self.route_rules,
            _ => return None,
        })
    }

    pub(crate) fn tls_services(&self) -> TlsServices<'a> {
        TlsServices::of(&self.services, &self.secrets)
    }

    /// The Ingresses of our class, oldest first, which is the order in which they
    /// get their hosts and paths; and all others. The findings are about classes
    /// that are not valid. Findings about the Ingresses themselves are stored with
    /// each.
    pub(crate) fn ours(
        &self,
        settings: &Settings,
        findings: &RefCell<Findings>,
    ) -> (Vec<OurIngress<'a>>, Others<'a>) {
        let classes = Classes::read(&self.ingress_classes, settings, findings);
        let (mut ours, mut others) = (Vec::new(), Others::default());
        for object in &self.ingresses {
            match classes.claim(object) {
                Ok(()) => ours.push(OurIngress { object, read: Ingress::of(object) }),
                Err(why) => others.add(why, object),
            }
        }
        ours.sort_by(|one, other| one.age().cmp(&other.age()));
        (ours, others)
    }
}

impl OurIngress<'_> {
    /// An Ingress without a time does not exist yet, so it is the youngest.
    fn age(&self) -> impl Ord {
        let created = self.read.value.as_ref().and_then(|ingress| ingress.created);
        (created.is_none(), created, &self.object.namespace, &self.object.name)
    }
}

/// The Secrets that these Ingresses, oldest first, and the Services to which they and
/// the rules send requests name, within the budgets of their namespaces, and the Secret
/// of the default certificate.
pub(crate) fn named_secrets<'o>(
    ours: impl IntoIterator<Item = &'o OurIngress<'o>> + Clone,
    route_rules: &[&Object],
    tls_services: &TlsServices<'_>,
    settings: &Settings,
) -> BTreeSet<ObjectName> {
    let most = settings.namespace_budget.at(Level::Namespace).of(Resource::Secrets);
    let mut named = NamedSecrets { most, by_namespace: BTreeMap::new() };
    let name_secrets = tls_services.name_secrets();
    for OurIngress { object, read } in ours.clone() {
        let entries = read.value.iter().flat_map(|ingress| &ingress.tls.value);
        let own = entries.filter_map(|entry| entry.secret.as_ref()).map(|secret| &secret.value);
        let backends = read.value.iter().filter(|_| name_secrets).flat_map(backends);
        let of_services = backends
            .flat_map(|backend| tls_services.secrets_of_backend(&object.namespace, backend));
        named.add(&object.namespace, own.chain(of_services));
    }
    if name_secrets {
        for rule in rules_of(ours, route_rules, settings) {
            for service in services(&rule) {
                let secrets = tls_services.secrets_of(&service.namespace, &service.name);
                named.add(&service.namespace, secrets);
            }
        }
    }
    named.finish(&settings.default_certificate)
}

/// The valid rules of the services to which these Ingresses send requests.
fn rules_of<'o>(
    ours: impl IntoIterator<Item = &'o OurIngress<'o>>,
    route_rules: &[&Object],
    settings: &Settings,
) -> Vec<Arc<RouteRule>> {
    let used = ours.into_iter().flat_map(|OurIngress { object, read }| {
        let backends = read.value.iter().flat_map(backends);
        backends.map(|backend| (&*object.namespace, &*backend.service.value))
    });
    let used: HashSet<_> = used.collect();
    let scope = rule_scope(settings);
    let rules = route_rules.iter().filter_map(|object| RouteRule::of(object, &scope).value.clone());
    let is_used = |rule: &Arc<RouteRule>| {
        used.contains(&(&*rule.destination.namespace, &*rule.destination.name))
    };
    rules.filter(is_used).collect()
}

/// The services that rules may name.
pub(crate) fn rule_scope(settings: &Settings) -> Scope {
    Scope {
        cluster_domain: settings.cluster_domain.as_str().into(),
        cross_namespace: settings.cross_namespace_rules,
    }
}

/// Collects the names of Secrets.
struct NamedSecrets<'n> {
    /// The most of a namespace.
    most: u64,
    by_namespace: BTreeMap<Box<str>, BTreeSet<&'n ObjectName>>,
}

impl<'n> NamedSecrets<'n> {
    /// Adds the Secrets that an object of a namespace names, unless they are too many.
    fn add(&mut self, namespace: &str, names: impl Iterator<Item = &'n ObjectName>) {
        let mut names = names.peekable();
        if names.peek().is_none() {
            return;
        }
        let known = self.by_namespace.entry(namespace.into()).or_default();
        let new: BTreeSet<_> = names.filter(|name| !known.contains(name)).collect();
        if u64::try_from(known.len() + new.len()).is_ok_and(|number| number <= self.most) {
            known.extend(new);
        }
    }

    fn finish(self, default: &ObjectName) -> BTreeSet<ObjectName> {
        let named = self.by_namespace.into_values().flatten();
        named.chain([default]).cloned().collect()
    }
}

/// The Secrets that `objects` name, existing or not, so that they can be fetched,
/// or allowed by RBAC, before the compilation. The findings are those that affect
/// this: whether an Ingress is of our class, and which parts of it are not valid.
pub(crate) fn secrets_wanted<'a>(
    objects: impl IntoIterator<Item = &'a Object>,
    settings: &Settings,
) -> Read<BTreeSet<ObjectName>> {
    let bears = |object: &&Object| {
        matches!(&*object.kind, "Ingress" | "IngressClass" | "Service" | "RouteRule")
    };
    let selection = Selection::of(objects.into_iter().filter(bears), &RefCell::default());
    let findings = RefCell::default();
    let (ours, others) = selection.ours(settings, &findings);
    let tls_services = selection.tls_services();
    let value = named_secrets(&ours, &selection.route_rules, &tls_services, settings);
    let mut findings = findings.into_inner();
    findings.extend(others.unread(settings).map(|unread| unread.finding().clone()));
    for OurIngress { read, .. } in &ours {
        let bearing = read.value.as_ref().map_or(&read.findings, |ingress| &ingress.tls.findings);
        findings.extend(bearing.iter().cloned());
    }
    findings.extend(tls_services.findings_of(&ours).cloned());
    Read { value, findings: findings.into_sorted() }
}
