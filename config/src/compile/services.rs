//! All services, the addresses behind them, and the pods at those.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use super::reach::Reach;
use crate::finding::Findings;
use crate::manifest::Object;
use crate::model::EndpointSelector;
use crate::objects::endpoints::{Endpoint, PortAddresses, SERVICE_LABEL, of_endpoints, of_slice};
use crate::objects::service::Service;
use crate::objects::{Labels, Read};
use crate::selection::Selection;

/// By namespace, then by name.
type ByName<'a, V> = HashMap<&'a str, HashMap<&'a str, V>>;

/// What is known of services.
pub(super) struct Services<'a> {
    known: ByName<'a, Arc<Read<Option<Service>>>>,
    addresses: ByName<'a, Addresses>,
    pods: ByName<'a, &'a Object>,
    reach: Reach<'a>,
}

/// The addresses of one service, from all objects that tell of them.
#[derive(Default)]
pub(super) struct Addresses(Vec<Arc<Read<PortAddresses>>>);

impl<'a> Services<'a> {
    pub(super) fn read(
        objects: &Selection<'a>,
        reach: Reach<'a>,
        findings: &RefCell<Findings>,
    ) -> Self {
        let mut known = ByName::new();
        for object in &objects.services {
            let read = Service::of(object);
            read.tell(findings);
            known.entry(&*object.namespace).or_default().insert(&*object.name, read);
        }
        let mut pods = ByName::new();
        for object in &objects.pods {
            pods.entry(&*object.namespace).or_default().insert(&*object.name, *object);
        }
        Self { known, addresses: read_addresses(objects, reach, findings), pods, reach }
    }

    /// Which addresses their endpoints may have.
    pub(super) fn reach(&self) -> Reach<'a> {
        self.reach
    }

    /// A service, with its own namespace and name.
    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<(&'a str, &'a str, &Service)> {
        let (namespace, services) = self.known.get_key_value(namespace)?;
        let (name, service) = services.get_key_value(name)?;
        Some((namespace, name, service.value.as_ref()?))
    }

    /// The addresses of a service, where the manifests say anything of them.
    pub(super) fn addresses(&self, namespace: &str, name: &str) -> Option<&Addresses> {
        self.addresses.get(namespace)?.get(name)
    }

    /// The endpoints of a service that are selected, where the manifests say
    /// anything of its endpoints: those that are ready, or if none is, those that
    /// serve until they end.
    pub(super) fn endpoints(
        &self,
        namespace: &str,
        name: &str,
        EndpointSelector { port, labels }: &EndpointSelector,
    ) -> Option<BTreeSet<SocketAddr>> {
        let is_of_version = |pod: Option<&str>| {
            labels.is_empty() || pod.is_some_and(|pod| self.carries(namespace, pod, labels))
        };
        let all = self.addresses(namespace, name)?.at(port);
        let is_allowed = |address: &SocketAddr| self.reach.denies(address.ip()).is_none();
        let mut ending = BTreeSet::new();
        let mut ready = BTreeSet::new();
        for (address, Endpoint { pod, is_ready }) in all {
            if is_of_version(pod.as_deref()) && is_allowed(&address) {
                let chosen = if *is_ready { &mut ready } else { &mut ending };
                chosen.insert(address);
            }
        }
        Some(if ready.is_empty() { ending } else { ready })
    }

    /// Whether there is such a pod, and it carries all of `labels`.
    fn carries(&self, namespace: &str, pod: &str, labels: &Labels) -> bool {
        let pod = self.pods.get(namespace).and_then(|pods| pods.get(pod));
        pod.is_some_and(|pod| {
            labels.iter().all(|(key, value)| pod.label(key) == Some(value.as_str()))
        })
    }
}

impl Addresses {
    /// The addresses at a port.
    fn at(&self, port: &str) -> impl Iterator<Item = (SocketAddr, &Endpoint)> {
        let told = self.0.iter().filter_map(|read| read.value.get(port)).flatten();
        told.map(|(address, endpoint)| (*address, endpoint))
    }

    /// The names of all ports that have any.
    pub(super) fn ports(&self) -> BTreeSet<&str> {
        self.0.iter().flat_map(|read| read.value.keys()).map(String::as_str).collect()
    }
}

/// Slices count where a service has any: Kubernetes writes both, and the slices
/// are the more complete.
fn read_addresses<'a>(
    objects: &Selection<'a>,
    reach: Reach<'_>,
    findings: &RefCell<Findings>,
) -> ByName<'a, Addresses> {
    let mut addresses: ByName<'a, Addresses> = ByName::new();
    for object in &objects.endpoint_slices {
        if let Some(service) = object.label(SERVICE_LABEL) {
            let read = of_slice(object);
            tell_denied(object, read.tell(findings), reach, findings);
            addresses
                .entry(&*object.namespace)
                .or_default()
                .entry(service)
                .or_default()
                .0
                .push(read);
        }
    }
    for object in &objects.endpoints {
        let read = of_endpoints(object);
        tell_denied(object, read.tell(findings), reach, findings);
        let of_namespace = addresses.entry(&*object.namespace).or_default();
        of_namespace.entry(&*object.name).or_insert_with(|| Addresses(vec![read]));
    }
    addresses
}

/// Says which addresses of an object are left out, or would be in a cluster.
fn tell_denied(
    object: &Object,
    ports: &PortAddresses,
    reach: Reach<'_>,
    findings: &RefCell<Findings>,
) {
    let addresses: BTreeSet<_> =
        ports.values().flatten().map(|(address, _)| address.ip()).collect();
    let field = if &*object.kind == "Endpoints" { "subsets" } else { "endpoints" };
    let at = object.node.nearest([field]).at;
    let mut denied = addresses.iter().filter_map(|it| Some((it, reach.denies(*it)?)));
    if let Some((address, reason)) = denied.next() {
        let message = format!(
            "{address} {reason}; this endpoint is left out{}. Give the address of a pod, or of \
             another host",
            and_more(denied.count())
        );
        findings.borrow_mut().push(object.error(at, field, message));
    }
    let mut local = addresses.iter().filter_map(|it| Some((it, reach.would_deny(*it)?)));
    if let Some((address, kind)) = local.next() {
        let message = format!(
            "{address} is {kind}: the command serve sends requests there, while the controller \
             leaves such an endpoint out{}",
            and_more(local.count())
        );
        findings.borrow_mut().push(object.note(at, field, message));
    }
}

fn and_more(others: usize) -> String {
    if others == 0 { String::new() } else { format!(", and {others} more") }
}
