//! The Services with ports that use TLS, and the Secrets that their annotations name.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::OurIngress;
use crate::finding::{Code, Finding};
use crate::manifest::Object;
use crate::objects::ingress::{Backend, BackendPort, Ingress};
use crate::objects::route_rule::{Effect, RouteRule, ServiceRef};
use crate::objects::secret::CaSecret;
use crate::objects::service::{Roots, Service, ServicePort, UpstreamTls};
use crate::objects::{ObjectName, Read};

/// The approximate memory that Envoy needs for TLS to a cluster, without authorities.
const CONTEXT: usize = 16 * 1024;

/// The same for the authorities of the system.
const SYSTEM_ROOTS: usize = 288 * 1024;

/// The Services of a namespace.
type ByName<'a> = HashMap<&'a str, Arc<Read<Option<Service>>>>;

/// See the module.
#[derive(Default)]
pub(crate) struct TlsServices<'a> {
    services: HashMap<&'a str, ByName<'a>>,
    secrets: HashMap<(&'a str, &'a str), &'a Object>,
}

impl<'a> TlsServices<'a> {
    pub(super) fn of(all: &[&'a Object], secrets: &[&'a Object]) -> Self {
        let mut services: HashMap<_, HashMap<_, _>> = HashMap::new();
        for object in all {
            let read = Service::of(object);
            if read.value.as_ref().is_some_and(Service::has_tls) {
                services.entry(&*object.namespace).or_default().insert(&*object.name, read);
            }
        }
        // Usually there are none.
        let secrets = secrets.iter().filter(|_| !services.is_empty());
        let secrets = secrets.map(|object| ((&*object.namespace, &*object.name), *object));
        Self { secrets: secrets.collect(), services }
    }

    /// Whether any of them names a Secret.
    pub(crate) fn name_secrets(&self) -> bool {
        let mut services = self.services.values().flat_map(HashMap::values);
        services.any(|read| secrets(read.value.as_ref()).next().is_some())
    }

    /// The Secrets that a service names.
    pub(crate) fn secrets_of(
        &self,
        namespace: &str,
        name: &str,
    ) -> impl Iterator<Item = &ObjectName> {
        secrets(self.get(namespace, name))
    }

    /// The same, if the port of a backend uses TLS.
    pub(crate) fn secrets_of_backend(
        &self,
        namespace: &str,
        backend: &Backend,
    ) -> impl Iterator<Item = &ObjectName> {
        let service = &*backend.service.value;
        let memory = self.memory_of_port(namespace, service, &backend.port.value);
        secrets(self.get(namespace, service).filter(|_| memory.is_some()))
    }

    /// The findings about the annotations of the backends of these Ingresses.
    pub(super) fn findings_of<'s>(
        &'s self,
        ours: &'s [OurIngress<'_>],
    ) -> impl Iterator<Item = &'s Finding> {
        let used = ours.iter().flat_map(|OurIngress { object, read }| {
            let backends = read.value.iter().flat_map(backends);
            backends.map(|backend| (&*object.namespace, &*backend.service.value))
        });
        let used: BTreeSet<_> = used.collect();
        let read = |(namespace, name)| self.services.get(namespace)?.get(name);
        let findings = used.into_iter().filter_map(read).flat_map(|read| &read.findings);
        findings.filter(|finding| {
            matches!(finding.code, Code::AnnotationNotValid | Code::UnknownAnnotation)
        })
    }

    /// The approximate memory of Envoy for TLS to a port; `None` without TLS.
    pub(crate) fn memory_of_port(
        &self,
        namespace: &str,
        name: &str,
        port: &BackendPort,
    ) -> Option<usize> {
        let is_wanted = |other: &&ServicePort| match port {
            BackendPort::Number(number) => other.port == *number,
            BackendPort::Name(name) => *other.name == **name,
        };
        let service = self.get(namespace, name)?;
        let port = service.ports.iter().find(is_wanted)?;
        port.has_tls().then(|| self.memory(service))
    }

    /// The same for all ports of a service, or of a version of it.
    pub(crate) fn memory_of_service(&self, namespace: &str, name: &str) -> Option<usize> {
        let service = self.get(namespace, name)?;
        let ports = service.ports.iter().filter(|port| port.has_tls()).count();
        Some(self.memory(service).saturating_mul(ports))
    }

    fn memory(&self, service: &Service) -> usize {
        let roots = match service.tls.as_ref().map(|tls| &tls.roots) {
            None | Some(Roots::Unverified) => 0,
            Some(Roots::System) => SYSTEM_ROOTS,
            Some(Roots::Secret(secret)) => {
                let key = (secret.name.namespace(), secret.name.name());
                let size = self.secrets.get(&key).map_or(0, |object| CaSecret::size(object));
                // Parsed certificates are larger than in PEM.
                size + size / 4
            }
        };
        CONTEXT + roots
    }

    fn get(&self, namespace: &str, name: &str) -> Option<&Service> {
        self.services.get(namespace)?.get(name)?.value.as_ref()
    }
}

/// Whether an object is a Service that names Secrets for TLS.
pub(crate) fn service_names_secrets(object: &Object) -> bool {
    &*object.kind == "Service"
        && object.annotations().is_some()
        && secrets(Service::of(object).value.as_ref()).next().is_some()
}

fn secrets(service: Option<&Service>) -> impl Iterator<Item = &ObjectName> {
    let tls = service.filter(|it| it.has_tls()).and_then(|service| service.tls.as_ref());
    tls.into_iter().flat_map(UpstreamTls::secrets).map(|secret| &secret.name)
}

/// The backends of an Ingress.
pub(super) fn backends(ingress: &Ingress) -> impl Iterator<Item = &Backend> {
    let paths = ingress.rules.iter().flat_map(|rule| rule.paths.iter().flatten());
    let default = ingress.default_backend.iter().filter_map(|default| default.backend.as_ref());
    paths.filter_map(|path| path.backend.as_ref()).chain(default)
}

/// The services to which a rule sends requests.
pub(super) fn services(rule: &RouteRule) -> impl Iterator<Item = &ServiceRef> {
    let forwarding = match &rule.effect {
        Effect::Forward(forwarding) => Some(forwarding),
        Effect::Redirect(_) => None,
    };
    forwarding.into_iter().flat_map(|forwarding| {
        let items = forwarding.route.iter();
        let items = items.filter_map(|item| item.destination.as_ref());
        items.chain(&forwarding.mirror)
    })
}
