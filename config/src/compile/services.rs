//! All Services, with their endpoints and pods.
//!
//! Problems of a Service or its endpoints are reported only if it is used: Services that
//! no served Ingress and no rule names do not concern this gateway.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use super::reach::Reach;
use crate::finding::{Code, Findings};
use crate::manifest::Object;
use crate::model::EndpointSelector;
use crate::objects::endpoints::{Endpoint, PortAddresses, SERVICE_LABEL, of_endpoints, of_slice};
use crate::objects::service::Service;
use crate::objects::{Labels, Read};
use crate::selection::Selection;

/// A map by namespace and name.
type ByName<'a, V> = HashMap<&'a str, HashMap<&'a str, V>>;

/// The Services and their endpoints.
pub(super) struct Services<'a> {
    known: ByName<'a, Known<'a>>,
    addresses: ByName<'a, Addresses<'a>>,
    pods: ByName<'a, &'a Object>,
    reach: Reach<'a>,
    findings: &'a RefCell<Findings>,
}

/// A Service.
struct Known<'a> {
    object: &'a Object,
    read: Arc<Read<Option<Service>>>,
    told: Told,
}

/// The addresses of one service, from all its objects.
#[derive(Default)]
pub(super) struct Addresses<'a> {
    objects: Vec<(&'a Object, Arc<Read<PortAddresses>>)>,
    told: Told,
}

/// Whether the problems of something have been reported.
#[derive(Default)]
struct Told(Cell<bool>);

impl Told {
    fn once(&self, tell: impl FnOnce()) {
        if !self.0.replace(true) {
            tell();
        }
    }
}

impl<'a> Services<'a> {
    pub(super) fn read(
        objects: &Selection<'a>,
        reach: Reach<'a>,
        findings: &'a RefCell<Findings>,
    ) -> Self {
        let mut known = ByName::new();
        for object in &objects.services {
            let service = Known { object, read: Service::of(object), told: Told::default() };
            known.entry(&*object.namespace).or_default().insert(&*object.name, service);
        }
        let mut pods = ByName::new();
        for object in &objects.pods {
            pods.entry(&*object.namespace).or_default().insert(&*object.name, *object);
        }
        Self { known, addresses: read_addresses(objects), pods, reach, findings }
    }

    /// The addresses that endpoints may have.
    pub(super) fn reach(&self) -> Reach<'a> {
        self.reach
    }

    /// A service, with its object.
    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<(&'a Object, &Service)> {
        let Known { object, read, told } = self.known.get(namespace)?.get(name)?;
        told.once(|| {
            read.tell(self.findings);
        });
        Some((object, read.value.as_ref()?))
    }

    /// The addresses of a service, if the manifests contain endpoints of it.
    pub(super) fn addresses(&self, namespace: &str, name: &str) -> Option<&Addresses<'a>> {
        self.addresses.get(namespace)?.get(name)
    }

    /// The selected endpoints of a service, if the manifests contain any: those that are
    /// ready, or if none is, those that terminate but still serve.
    pub(super) fn endpoints(
        &self,
        namespace: &str,
        name: &str,
        EndpointSelector { port, labels }: &EndpointSelector,
    ) -> Option<BTreeSet<SocketAddr>> {
        let is_of_version = |pod: Option<&str>| {
            labels.is_empty() || pod.is_some_and(|pod| self.carries(namespace, pod, labels))
        };
        let addresses = self.addresses(namespace, name)?;
        addresses.told.once(|| addresses.tell(self.reach, self.findings));
        let all = addresses.at(port);
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

    /// Whether this pod exists and has all of `labels`.
    fn carries(&self, namespace: &str, pod: &str, labels: &Labels) -> bool {
        let pod = self.pods.get(namespace).and_then(|pods| pods.get(pod));
        pod.is_some_and(|pod| {
            labels.iter().all(|(key, value)| pod.label(key) == Some(value.as_str()))
        })
    }
}

impl Addresses<'_> {
    fn tell(&self, reach: Reach<'_>, findings: &RefCell<Findings>) {
        for (object, read) in &self.objects {
            tell_denied(object, read.tell(findings), reach, findings);
        }
    }

    /// The addresses at a port.
    fn at(&self, port: &str) -> impl Iterator<Item = (SocketAddr, &Endpoint)> {
        let told = self.objects.iter().filter_map(|(_, read)| read.value.get(port)).flatten();
        told.map(|(address, endpoint)| (*address, endpoint))
    }

    /// The names of all ports with addresses.
    pub(super) fn ports(&self) -> BTreeSet<&str> {
        self.objects.iter().flat_map(|(_, read)| read.value.keys()).map(String::as_str).collect()
    }
}

/// Slices are used if a service has any: Kubernetes writes both, and slices are complete,
/// while Endpoints are limited in size.
fn read_addresses<'a>(objects: &Selection<'a>) -> ByName<'a, Addresses<'a>> {
    let mut addresses: ByName<'a, Addresses<'a>> = ByName::new();
    for object in &objects.endpoint_slices {
        if let Some(service) = object.label(SERVICE_LABEL) {
            let of_namespace = addresses.entry(&*object.namespace).or_default();
            let of_service = of_namespace.entry(service).or_default();
            of_service.objects.push((object, of_slice(object)));
        }
    }
    for object in &objects.endpoints {
        let of_namespace = addresses.entry(&*object.namespace).or_default();
        of_namespace.entry(&*object.name).or_insert_with(|| Addresses {
            objects: vec![(object, of_endpoints(object))],
            told: Told::default(),
        });
    }
    addresses
}

/// Reports the addresses of an object that are left out, or would be in a cluster.
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
            "{address} {reason}; this endpoint is left out{}. Use the address of a pod, or of another host",
            and_more(denied.count())
        );
        findings.borrow_mut().push(object.finding(at, field, Code::EndpointDenied, message));
    }
    let mut local = addresses.iter().filter_map(|it| Some((it, reach.would_deny(*it)?)));
    if let Some((address, kind)) = local.next() {
        let message = format!(
            "{address} is {kind}; `ingressctl serve` sends requests there, but the controller leaves such an endpoint out{}",
            and_more(local.count())
        );
        findings.borrow_mut().push(object.finding(at, field, Code::EndpointLocal, message));
    }
}

fn and_more(others: usize) -> String {
    if others == 0 { String::new() } else { format!(", and {others} more") }
}
