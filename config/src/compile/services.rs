//! All services, the addresses behind them, and the pods at those.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::finding::Findings;
use crate::manifest::Object;
use crate::objects::endpoints::{PortAddresses, SERVICE_LABEL, read_endpoints, read_slice};
use crate::objects::service::Service;
use crate::objects::{Labels, Reading, is_dns_label};
use crate::selection::Selection;

/// By namespace, then by name.
type ByName<'a, V> = BTreeMap<&'a str, BTreeMap<&'a str, V>>;

/// What is known of services.
pub(super) struct Services<'a> {
    known: ByName<'a, Service>,
    addresses: ByName<'a, PortAddresses>,
    pods: ByName<'a, &'a Object>,
}

impl<'a> Services<'a> {
    pub(super) fn read(objects: &Selection<'a>, findings: &RefCell<Findings>) -> Self {
        let mut known = ByName::new();
        for object in &objects.services {
            let reading = Reading::new(object, findings);
            if !is_dns_label(&object.namespace) {
                reading.root().error_in(
                    "metadata.namespace",
                    "is no DNS label; correct it: lower-case letters, digits and -, 63 at most",
                );
                continue;
            }
            if let Some(service) = Service::read(&reading, &object.name) {
                known.entry(&*object.namespace).or_default().insert(&*object.name, service);
            }
        }
        let mut pods = ByName::new();
        for object in &objects.pods {
            pods.entry(&*object.namespace).or_default().insert(&*object.name, *object);
        }
        Self { known, addresses: read_addresses(objects, findings), pods }
    }

    /// A service, with its own namespace and name.
    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<(&'a str, &'a str, &Service)> {
        let (namespace, services) = self.known.get_key_value(namespace)?;
        let (name, service) = services.get_key_value(name)?;
        Some((namespace, name, service))
    }

    /// The addresses of a service, where the manifests say anything of them.
    pub(super) fn addresses(&self, namespace: &str, name: &str) -> Option<&PortAddresses> {
        self.addresses.get(namespace)?.get(name)
    }

    /// Whether there is such a pod, and it carries all of `labels`.
    pub(super) fn carries(&self, namespace: &str, pod: &str, labels: &Labels) -> bool {
        let pod = self.pods.get(namespace).and_then(|pods| pods.get(pod));
        pod.is_some_and(|pod| {
            labels.iter().all(|(key, value)| pod.label(key) == Some(value.as_str()))
        })
    }
}

/// Slices count where a service has any: Kubernetes writes both, and the slices
/// are the more complete.
fn read_addresses<'a>(
    objects: &Selection<'a>,
    findings: &RefCell<Findings>,
) -> ByName<'a, PortAddresses> {
    let mut addresses = ByName::new();
    for object in &objects.endpoint_slices {
        if let Some(service) = object.label(SERVICE_LABEL) {
            let ports =
                addresses.entry(&*object.namespace).or_default().entry(service).or_default();
            read_slice(&Reading::new(object, findings), ports);
        }
    }
    for object in &objects.endpoints {
        let mut ports = PortAddresses::new();
        read_endpoints(&Reading::new(object, findings), &mut ports);
        addresses.entry(&*object.namespace).or_default().entry(&*object.name).or_insert(ports);
    }
    addresses
}
