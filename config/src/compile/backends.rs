//! The backends of Ingress paths: a port of a service, and its cluster.

use std::collections::{BTreeMap, BTreeSet};

use ingress_filter::table::{Action, Backend, Forward, Respond};

use super::services::Services;
use crate::envoy::{Cluster, Discovery, Protocol};
use crate::finding::quote;
use crate::objects::Cursor;
use crate::objects::service::{Application, Place, Service, ServicePort};
use crate::settings::Settings;

/// Serves paths whose own backend cannot: they stay exposed and answer 503, for
/// neither a 404 nor somebody else's backend would be true.
const UNAVAILABLE: &str = "unavailable";

const NAME_SERVICE: &str = "name a service of this namespace. The path answers 503";
const NAME_PORT: &str = "give port.number or port.name. The path answers 503";

/// The most ports that a message lists.
const LISTED_PORTS: usize = 8;

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
#[derive(Clone, Copy)]
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
            _ if !cursor.expect_mapping() => None,
            BackendSyntax::Flat => self.resolve_flat(namespace, cursor),
            BackendSyntax::Nested => self.resolve_nested(namespace, cursor),
        };
        name.unwrap_or_else(|| self.unavailable())
    }

    /// The name of the backend that answers 503.
    pub(super) fn unavailable(&mut self) -> String {
        self.some_unavailable = true;
        UNAVAILABLE.into()
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
            default: Forward::to(cluster.name.clone()).into(),
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
        let name = cursor.required("serviceName", NAME_SERVICE)?;
        let port =
            cursor.required("servicePort", "name a port of the service. The path answers 503")?;
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
        let service = cursor
            .required("service", "give service.name and service.port. The path answers 503")
            .filter(Cursor::expect_mapping)?;
        service.only(&["name", "port"]);
        let name = service.required("name", NAME_SERVICE)?;
        let port = service.required("port", NAME_PORT).filter(Cursor::expect_mapping)?;
        port.only(&["number", "name"]);
        match (port.field("number"), port.field("name")) {
            (Some(number), other) => {
                if let Some(other) = other {
                    other.warning("has no effect beside number; remove one of the two");
                }
                self.backend(namespace, &name, &number, PortRef::Number(number.as_port()?))
            }
            (None, Some(text)) => {
                self.backend(namespace, &name, &text, PortRef::Name(text.as_string()?))
            }
            (None, None) => {
                port.error(format!("is empty; {NAME_PORT}"));
                None
            }
        }
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
        let Some(service_port) = find_port(service, port_ref) else {
            port.error(format!(
                "service {namespace}/{service_name} has no such port; it has {}{}. The path answers 503",
                describe_ports(service),
                port_ref.remedy()
            ));
            return None;
        };
        let protocol = match &service_port.application {
            Application::Http1 => Protocol::Http1,
            Application::Http2 => Protocol::Http2,
            Application::Other(protocol) => {
                port.error(format!(
                    "port {} of service {namespace}/{service_name} speaks {protocol}, not HTTP; where that is untrue, \
                     name the port http, http2 or grpc, with an optional -suffix, or set its appProtocol. \
                     The path answers 503",
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
            if let Some(message) =
                self.no_addresses(namespace, service_name, service_port, &cluster)
            {
                port.warning(message);
            }
            self.clusters.insert(backend.clone(), cluster);
        }
        Some(backend)
    }

    /// That a service has addresses, though at none of its ports is the name
    /// that Kubernetes would have given it.
    fn no_addresses(
        &self,
        namespace: &str,
        name: &str,
        port: &ServicePort,
        cluster: &Cluster,
    ) -> Option<String> {
        let addresses = self.services.addresses(namespace, name)?;
        let by_address = matches!(cluster.discovery, Discovery::Addresses(_));
        let is_other = by_address && !addresses.is_empty() && !addresses.contains_key(&port.name);
        is_other.then(|| {
            let names: Vec<_> = addresses.keys().take(LISTED_PORTS).map(|name| quote(name)).collect();
            format!(
                "the endpoints of service {namespace}/{name} have no port named {}, but {}; give both the same name. \
                 The path answers 503",
                quote(&port.name),
                names.join(", ")
            )
        })
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
        if let Place::External(external) = &service.place {
            if !self.settings.external_name_services {
                return Err(format!(
                    "service {namespace}/{name} is of type ExternalName, which could lead anywhere; allow it with \
                     --external-name-services. The path answers 503"
                ));
            }
            let external = external.clone().ok_or_else(|| {
                format!(
                    "service {namespace}/{name} is of type ExternalName without a DNS name; correct its \
                     spec.externalName. The path answers 503"
                )
            })?;
            return Ok(Discovery::Dns(external, port.port));
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

impl PortRef<'_> {
    /// What to do where no port is meant, after the ports there are.
    fn remedy(self) -> &'static str {
        match self {
            Self::Name(name) if name.parse::<u16>().is_ok() => {
                "; in quotes this is a name, so write the number without them"
            }
            _ => "; correct this, or add the port",
        }
    }
}

/// A service may have a port for TCP and one for UDP of the same number: the one
/// that speaks HTTP is meant.
fn find_port<'s>(service: &'s Service, wanted: PortRef<'_>) -> Option<&'s ServicePort> {
    let is_wanted = |port: &&ServicePort| match wanted {
        PortRef::Number(number) => port.port == number,
        PortRef::Name(name) => !name.is_empty() && port.name == name,
    };
    let speaks_http = |port: &&ServicePort| !matches!(port.application, Application::Other(_));
    let wanted = || service.ports.iter().filter(is_wanted);
    wanted().find(speaks_http).or_else(|| wanted().next())
}

fn describe_ports(service: &Service) -> String {
    let mut ports: Vec<_> = service
        .ports
        .iter()
        .take(LISTED_PORTS)
        .map(|port| match &*port.name {
            "" => port.port.to_string(),
            name => format!("{} ({})", port.port, quote(name)),
        })
        .collect();
    match service.ports.len() {
        0 => ports.push("none".into()),
        all if all > LISTED_PORTS => ports.push(format!("{} more", all - LISTED_PORTS)),
        _ => {}
    }
    ports.join(", ")
}
