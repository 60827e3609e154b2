//! The backends of Ingress paths: a port of a service, and its cluster.

use std::collections::{BTreeMap, BTreeSet};

use ingress_filter::table::{Action, Backend, Forward, Respond};

use super::services::Services;
use crate::envoy::{Cluster, Discovery, Protocol};
use crate::finding::quote;
use crate::objects::Cursor;
use crate::objects::service::{Application, Service, ServicePort};
use crate::settings::Settings;

/// Serves paths whose own backend cannot: they stay exposed and answer 503, for
/// neither a 404 nor somebody else's backend would be true.
const UNAVAILABLE: &str = "unavailable";

/// The backends that paths have asked for so far.
pub(super) struct Backends<'a> {
    services: &'a Services<'a>,
    settings: &'a Settings,
    /// By the name of the backend.
    clusters: BTreeMap<String, Cluster>,
    some_unavailable: bool,
}

/// How an Ingress of some version writes a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BackendSyntax {
    /// `serviceName`, `servicePort`.
    Flat,
    /// `service.name`, `service.port.number` or `.name`.
    Nested,
}

/// A port as a backend names it.
enum PortRef<'a> {
    Number(u16),
    Name(&'a str),
}

impl<'a> Backends<'a> {
    pub(super) fn new(services: &'a Services<'a>, settings: &'a Settings) -> Self {
        Self { services, settings, clusters: BTreeMap::new(), some_unavailable: false }
    }

    /// The name of the backend that `cursor`, in an object of `namespace`,
    /// describes. What cannot be reached gets a finding and answers 503.
    pub(super) fn resolve(
        &mut self,
        namespace: &str,
        cursor: &Cursor<'_>,
        syntax: BackendSyntax,
    ) -> String {
        let name = match syntax {
            BackendSyntax::Flat => self.resolve_flat(namespace, cursor),
            BackendSyntax::Nested => self.resolve_nested(namespace, cursor),
        };
        name.unwrap_or_else(|| {
            self.some_unavailable = true;
            UNAVAILABLE.into()
        })
    }

    /// All backends and their clusters.
    pub(super) fn finish(self) -> (Vec<Backend>, Vec<Cluster>) {
        let unavailable = self.some_unavailable.then(|| Backend {
            name: UNAVAILABLE.into(),
            rules: Vec::new(),
            default: Action::Respond(Respond { status: 503 }),
        });
        let forwarding = self.clusters.iter().map(|(name, cluster)| Backend {
            name: name.clone(),
            rules: Vec::new(),
            default: Action::Forward(Forward { cluster: cluster.name.clone() }),
        });
        let backends = forwarding.chain(unavailable).collect();
        let mut clusters: Vec<_> = self.clusters.into_values().collect();
        clusters.sort_by(|a, b| a.name.cmp(&b.name));
        (backends, clusters)
    }

    fn resolve_flat(&mut self, namespace: &str, cursor: &Cursor<'_>) -> Option<String> {
        cursor.only(&["serviceName", "servicePort", "resource"]);
        if refuse_resource(cursor) {
            return None;
        }
        let Some(name) = cursor.field("serviceName") else {
            cursor.error_in(
                "serviceName",
                "is missing; name a service of this namespace. The path answers 503",
            );
            return None;
        };
        let Some(port) = cursor.field("servicePort") else {
            cursor.error_in(
                "servicePort",
                "is missing; name a port of the service. The path answers 503",
            );
            return None;
        };
        let port_ref = match port.node().as_str() {
            Some(name) => PortRef::Name(name),
            None => PortRef::Number(port.as_port()?),
        };
        self.backend(namespace, &name, &port, port_ref)
    }

    fn resolve_nested(&mut self, namespace: &str, cursor: &Cursor<'_>) -> Option<String> {
        cursor.only(&["service", "resource"]);
        if refuse_resource(cursor) {
            return None;
        }
        let Some(service) = cursor.field("service").filter(Cursor::expect_mapping) else {
            cursor.error_in(
                "service",
                "is missing; give service.name and service.port. The path answers 503",
            );
            return None;
        };
        service.only(&["name", "port"]);
        let Some(name) = service.field("name") else {
            service.error_in(
                "name",
                "is missing; name a service of this namespace. The path answers 503",
            );
            return None;
        };
        let port = service.field("port").filter(Cursor::expect_mapping);
        if let Some(number) = port.as_ref().and_then(|port| port.field("number")) {
            return self.backend(namespace, &name, &number, PortRef::Number(number.as_port()?));
        }
        if let Some(port_name) = port.as_ref().and_then(|port| port.field("name")) {
            return self.backend(
                namespace,
                &name,
                &port_name,
                PortRef::Name(port_name.as_string()?),
            );
        }
        service.error_in("port", "is missing; give port.number or port.name. The path answers 503");
        None
    }

    /// The backend of a port of a service, named by the cursors `name` and
    /// `port`.
    fn backend(
        &mut self,
        namespace: &str,
        name: &Cursor<'_>,
        port: &Cursor<'_>,
        port_ref: PortRef<'_>,
    ) -> Option<String> {
        let service_name = name.as_string()?;
        let Some(service) = self.services.get(namespace, service_name) else {
            name.error(format!(
                "there is no service {} in namespace {namespace}; add it, or correct the name. The path answers 503",
                quote(service_name)
            ));
            return None;
        };
        let Some(service_port) = find_port(service, &port_ref) else {
            port.error(format!(
                "service {namespace}/{service_name} has no such port; it has {}. The path answers 503",
                describe_ports(service)
            ));
            return None;
        };
        let protocol = match &service_port.application {
            Application::Http1 => Protocol::Http1,
            Application::Http2 => Protocol::Http2,
            Application::Other(protocol) => {
                port.error(format!(
                    "port {} of service {namespace}/{service_name} speaks {protocol}, not HTTP; name it http, http2 or \
                     grpc, with an optional -suffix, or set its appProtocol. The path answers 503",
                    service_port.port
                ));
                return None;
            }
        };
        let backend = format!("{namespace}/{service_name}:{}", service_port.port);
        if !self.clusters.contains_key(&backend) {
            let discovery = self
                .discover(namespace, service_name, service, service_port)
                .map_err(|reason| name.error(reason))
                .ok()?;
            let host = format!("{service_name}.{namespace}.svc.{}", self.settings.cluster_domain);
            let cluster =
                Cluster { name: format!("{host}|{}", service_port.port), protocol, discovery };
            self.clusters.insert(backend.clone(), cluster);
        }
        Some(backend)
    }

    /// Where the endpoints of a port are: at the addresses the manifests give,
    /// else behind the service's DNS name.
    fn discover(
        &self,
        namespace: &str,
        name: &str,
        service: &Service,
        port: &ServicePort,
    ) -> Result<Discovery, String> {
        if let Some(external) = &service.external_name {
            if !self.settings.external_name_services {
                return Err(format!(
                    "service {namespace}/{name} is of type ExternalName, which could lead anywhere; allow it with \
                     --external-name-services. The path answers 503"
                ));
            }
            return Ok(Discovery::Dns(external.clone(), port.port));
        }
        Ok(match self.services.addresses(namespace, name) {
            Some(ports) => {
                Discovery::Addresses(ports.get(&port.name).map_or_else(BTreeSet::new, Clone::clone))
            }
            None => Discovery::Dns(
                format!("{name}.{namespace}.svc.{}", self.settings.cluster_domain),
                port.port,
            ),
        })
    }
}

/// Whether the backend is an object store or the like, with its finding.
fn refuse_resource(cursor: &Cursor<'_>) -> bool {
    let resource = cursor.field("resource");
    if let Some(resource) = &resource {
        resource.error("resource backends are not served; name a service. The path answers 503");
    }
    resource.is_some()
}

fn find_port<'s>(service: &'s Service, wanted: &PortRef<'_>) -> Option<&'s ServicePort> {
    service.ports.iter().find(|port| match wanted {
        PortRef::Number(number) => port.port == *number,
        PortRef::Name(name) => port.name == *name,
    })
}

fn describe_ports(service: &Service) -> String {
    let ports: Vec<_> = service
        .ports
        .iter()
        .map(|port| {
            if port.name.is_empty() {
                port.port.to_string()
            } else {
                format!("{} ({})", port.port, port.name)
            }
        })
        .collect();
    if ports.is_empty() { "none".into() } else { ports.join(", ") }
}
