//! The clusters that backends and rules forward to: a port of a service, or of
//! one version of it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::reach::Where;
use super::services::Services;
use super::unreachable::Unreachable;
use super::upstream_tls::TlsUpstreams;
use crate::finding::{Code, quote};
use crate::manifest::Object;
use crate::model::{
    self, Balance, Cluster, Discovery, EndpointSelector, GRPC_WEB_PREFIX, Protocol,
};
use crate::object_ref::ObjectRef;
use crate::objects::ingress::BackendPort;
use crate::objects::service::{Application, Http, Residence, Service, ServicePort, TargetPort};
use crate::objects::{Labels, describe_labels};
use crate::settings::Settings;

/// The most ports that a message lists.
const LISTED_PORTS: usize = 8;

/// The clusters so far.
pub(super) struct Clusters<'a> {
    services: &'a Services<'a>,
    settings: &'a Settings,
    tls: TlsUpstreams<'a>,
    by_name: model::Clusters,
    /// The DNS names to resolve.
    dns_names: BTreeSet<String>,
    /// The services whose requests may have the header of a session.
    in_sessions: BTreeSet<ObjectRef>,
}

/// A service that exists.
#[derive(Clone, Copy)]
pub(super) struct Named<'a> {
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    pub(super) object: &'a Object,
    pub(super) service: &'a Service,
}

/// A port as a backend names it.
#[derive(Clone, Copy)]
pub(super) enum PortRef<'a> {
    Number(u16),
    Name(&'a str),
}

impl<'a> From<&'a BackendPort> for PortRef<'a> {
    fn from(port: &'a BackendPort) -> Self {
        match port {
            BackendPort::Number(number) => Self::Number(*number),
            BackendPort::Name(name) => Self::Name(name),
        }
    }
}

/// A cluster, with a warning if it may not be what is intended.
pub(super) struct Reached {
    pub(super) cluster: String,
    pub(super) warning: Option<ClusterWarning>,
}

/// The reason why a cluster may not be what is intended.
#[derive(PartialEq, Eq)]
pub(super) struct ClusterWarning {
    pub(super) code: Code,
    reason: String,
}

impl ClusterWarning {
    /// The message, with the consequence if there are no endpoints.
    pub(super) fn message(&self, consequence: &str) -> String {
        match self.code {
            Code::VersionWithoutEndpoints | Code::GrpcWebOff => self.reason.clone(),
            _ => format!("{}. {consequence}", self.reason),
        }
    }
}

impl<'a> Clusters<'a> {
    pub(super) fn new(
        services: &'a Services<'a>,
        tls: TlsUpstreams<'a>,
        settings: &'a Settings,
    ) -> Self {
        Self {
            services,
            settings,
            tls,
            by_name: BTreeMap::new(),
            dns_names: BTreeSet::new(),
            in_sessions: BTreeSet::new(),
        }
    }

    /// All clusters, the DNS names to resolve, and what is needed for TLS.
    pub(super) fn finish(self) -> (model::Clusters, BTreeSet<String>, TlsUpstreams<'a>) {
        let Self { mut by_name, dns_names, tls, in_sessions, .. } = self;
        // Usually there are none.
        let clusters = by_name.values_mut().filter(|_| !in_sessions.is_empty());
        for cluster in clusters.filter(|cluster| in_sessions.contains(&cluster.service)) {
            *cluster = Arc::new(Cluster { has_sessions: true, ..(**cluster).clone() });
        }
        (by_name, dns_names, tls)
    }

    /// Whether a service has sessions: the name of its cookie.
    pub(super) fn session_cookie(&self, namespace: &str, name: &str) -> Option<&'a str> {
        self.find(namespace, name).ok()?.service.session_cookie.as_deref()
    }

    /// Notes that requests to a service may have the header of a session.
    pub(super) fn expect_sessions(&mut self, namespace: &str, name: &str) {
        let service = self.find(namespace, name).map(|named| named.object.reference());
        self.in_sessions.extend(service);
    }

    /// The service `name` of `namespace`.
    pub(super) fn find(&self, namespace: &str, name: &str) -> Result<Named<'a>, Unreachable> {
        match self.services.get(namespace, name) {
            Some((object, service)) => {
                let (namespace, name) = (&*object.namespace, &*object.name);
                Ok(Named { namespace, name, object, service })
            }
            None => Err(Unreachable::NoService { namespace: namespace.into(), name: name.into() }),
        }
    }

    /// The cluster of a port of a service, or of the version with these labels. It is
    /// added to the clusters.
    pub(super) fn reach(
        &mut self,
        target: Named<'_>,
        port: &ServicePort,
        labels: &Labels,
    ) -> Result<Reached, Unreachable> {
        let protocol = target.protocol(port)?;
        let host = self.host(target);
        let prefix = if self.translates(port) { GRPC_WEB_PREFIX } else { "" };
        let mut name = format!("{prefix}{host}|{}", port.port);
        if !labels.is_empty() {
            name = format!("{name}|{}", describe_labels(labels));
        }
        if !self.by_name.contains_key(&name) {
            let selector = EndpointSelector { port: port.name.clone(), labels: labels.clone() };
            let tls = port.has_tls().then(|| self.tls.of(target, port.port, &host)).transpose()?;
            let discovery = self.discover(target, port, &selector, host)?;
            let service = target.object.reference();
            let balance = self.balance(target);
            let own = name.clone();
            let cluster = Cluster {
                name: own,
                protocol,
                tls,
                discovery,
                balance,
                has_sessions: false,
                service,
                selector,
            };
            self.by_name.insert(name.clone(), Arc::new(cluster));
        }
        let known = self.by_name.get(&name);
        let warning = known.and_then(|known| self.warning(target, port, labels, &known.discovery));
        // At the Ingress, and not again at each version.
        let untranslated = || labels.is_empty().then(|| self.untranslated(target, port)).flatten();
        let warning = warning.or_else(untranslated);
        Ok(Reached { cluster: name, warning })
    }

    fn balance(&self, target: Named<'_>) -> Balance {
        match &target.service.session_cookie {
            Some(_) => Balance::Session,
            None => Balance::Load(self.settings.load_balancing),
        }
    }

    /// Whether Envoy translates calls of gRPC-Web for this port.
    fn translates(&self, port: &ServicePort) -> bool {
        self.settings.grpc_web && port.application.http() == Some(Http::GrpcWeb)
    }

    fn untranslated(&self, target: Named<'_>, port: &ServicePort) -> Option<ClusterWarning> {
        let is_untranslated =
            port.application.http() == Some(Http::GrpcWeb) && !self.translates(port);
        is_untranslated.then(|| ClusterWarning {
            code: Code::GrpcWebOff,
            reason: format!(
                "port {} of service {target} is for gRPC-Web, which the settings do not translate, so only gRPC is served; set --grpc-web, or name the port grpc",
                port.port
            ),
        })
    }

    fn host(&self, target: Named<'_>) -> String {
        format!("{}.{}.svc.{}", target.name, target.namespace, self.settings.cluster_domain)
    }

    /// The endpoints of a port: the addresses in the manifests, if any, or the DNS name
    /// of the service.
    fn discover(
        &mut self,
        target: Named<'_>,
        port: &ServicePort,
        selector: &EndpointSelector,
        host: String,
    ) -> Result<Discovery, Unreachable> {
        if let Residence::External(external) = &target.service.residence {
            if !self.settings.external_name_services {
                return Err(Unreachable::ExternalNotAllowed(target.to_string()));
            }
            let external = external
                .clone()
                .ok_or_else(|| Unreachable::ExternalWithoutName(target.to_string()))?;
            return Ok(self.resolve(external, port.port));
        }
        if let Some(addresses) = self.services.endpoints(target.namespace, target.name, selector) {
            return Ok(Discovery::Addresses(addresses));
        }
        let number = match (&target.service.residence, &port.target) {
            (Residence::Headless, TargetPort::Number(number)) => *number,
            (Residence::Headless, TargetPort::Name(name)) => {
                let (service, name) = (target.to_string(), name.to_string());
                return Err(Unreachable::NamedTargetPort { service, port: port.port, name });
            }
            _ => port.port,
        };
        Ok(self.resolve(host, number))
    }

    /// Lets Envoy resolve a DNS name, unless its addresses must be checked first.
    fn resolve(&mut self, name: String, port: u16) -> Discovery {
        let reach = self.services.reach();
        if !matches!(reach.place, Where::Cluster(_)) {
            return Discovery::Dns(name, port);
        }
        let addresses = reach.resolved(&name, port);
        self.dns_names.insert(name.clone());
        Discovery::Resolved { name, addresses }
    }

    /// The reason why a cluster may have no endpoints, or unintended ones.
    fn warning(
        &self,
        target: Named<'_>,
        port: &ServicePort,
        labels: &Labels,
        discovery: &Discovery,
    ) -> Option<ClusterWarning> {
        let Named { namespace, name, .. } = target;
        let version = describe_labels(labels);
        match discovery {
            Discovery::Addresses(chosen) => {
                let ports = self.services.addresses(namespace, name)?.ports();
                if !ports.is_empty() && !ports.contains(&*port.name) {
                    let names: Vec<_> =
                        ports.iter().take(LISTED_PORTS).map(|name| quote(name)).collect();
                    let reason = format!(
                        "the endpoints of service {namespace}/{name} have no port named {}, only {}; use the same name for both",
                        quote(&port.name),
                        names.join(", ")
                    );
                    return Some(ClusterWarning { code: Code::EndpointPortMismatch, reason });
                }
                (chosen.is_empty() && !labels.is_empty()).then(|| ClusterWarning {
                    code: Code::VersionWithoutPods,
                    reason: format!(
                        "service {namespace}/{name} has no ready pods with {version}; \
                         correct the labels, or add its Pods and their endpoints"
                    ),
                })
            }
            Discovery::Resolved { name, addresses } if addresses.is_empty() => {
                self.unresolved(name)
            }
            Discovery::Dns(host, _) | Discovery::Resolved { name: host, .. }
                if !labels.is_empty() =>
            {
                let reason = format!(
                    "it is not known which pods of service {namespace}/{name} have {version}, so requests go to all pods behind {host}; {}",
                    match target.service.residence {
                        Residence::InCluster | Residence::Headless =>
                            "add its Endpoints or EndpointSlices, and its Pods",
                        Residence::External(_) => "remove the labels",
                    }
                );
                Some(ClusterWarning { code: Code::VersionWithoutEndpoints, reason })
            }
            Discovery::Dns(..) | Discovery::Resolved { .. } => None,
        }
    }

    /// The reason why a DNS name has no allowed address, if that is known.
    fn unresolved(&self, name: &str) -> Option<ClusterWarning> {
        let reach = self.services.reach();
        let Where::Cluster(resolved) = reach.place else { return None };
        match resolved.get(name)? {
            Err(reason) => {
                let reason = format!(
                    "the DNS name {} cannot be resolved: {reason}. Correct the name, or the name server; the lookup is repeated",
                    quote(name)
                );
                Some(ClusterWarning { code: Code::DnsNotResolved, reason })
            }
            Ok(addresses) => {
                let denied = addresses.iter().find_map(|it| Some((it, reach.denies(*it)?)));
                denied.map(|(address, reason)| {
                    let reason = format!(
                        "the DNS name {} resolves to {address}, which {reason}; name another host",
                        quote(name)
                    );
                    ClusterWarning { code: Code::DnsAddressDenied, reason }
                })
            }
        }
    }
}

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl<'a> Named<'a> {
    /// The port of the service that `wanted` refers to.
    pub(super) fn port(self, wanted: PortRef<'_>) -> Result<Cow<'a, ServicePort>, Unreachable> {
        self.find_port(wanted).ok_or_else(|| Unreachable::NoSuchPort {
            service: self.to_string(),
            ports: self.describe_ports(),
            remedy: wanted.remedy(),
        })
    }

    /// The port of the service with the name of `other`, or else with its number.
    pub(super) fn port_like(
        self,
        other: &ServicePort,
    ) -> Result<Cow<'a, ServicePort>, Unreachable> {
        let by_number = || self.find_port(PortRef::Number(other.port));
        self.find_port(PortRef::Name(&other.name)).or_else(by_number).ok_or_else(|| {
            Unreachable::NoPortLike {
                service: self.to_string(),
                name: other.name.clone(),
                number: other.port,
                ports: self.describe_ports(),
            }
        })
    }

    fn find_port(self, wanted: PortRef<'_>) -> Option<Cow<'a, ServicePort>> {
        self.find_listed(wanted).map(Cow::Borrowed).or_else(|| match wanted {
            // An external name has all ports.
            PortRef::Number(number) if self.is_without_ports() => {
                Some(Cow::Owned(ServicePort::unlisted(number)))
            }
            _ => None,
        })
    }

    fn is_without_ports(self) -> bool {
        matches!(self.service.residence, Residence::External(_)) && self.service.ports.is_empty()
    }

    /// The TCP port, if the service has the same number for TCP and UDP.
    fn find_listed(self, wanted: PortRef<'_>) -> Option<&'a ServicePort> {
        let is_wanted = |port: &&ServicePort| match wanted {
            PortRef::Number(number) => port.port == number,
            PortRef::Name(name) => !name.is_empty() && port.name == name,
        };
        let speaks_http = |port: &&ServicePort| !matches!(port.application, Application::Other(_));
        let wanted = || self.service.ports.iter().filter(is_wanted);
        wanted().find(speaks_http).or_else(|| wanted().next())
    }

    fn protocol(self, port: &ServicePort) -> Result<Protocol, Unreachable> {
        match &port.application {
            Application::Plain(http) | Application::Tls(http) => Ok(match http {
                Http::Http1 | Http::WebSocket => Protocol::Http1,
                Http::Http2 | Http::GrpcWeb => Protocol::Http2,
            }),
            Application::Other(protocol) => Err(Unreachable::NotHttp {
                port: port.port,
                service: self.to_string(),
                protocol: protocol.clone(),
            }),
        }
    }

    fn describe_ports(self) -> String {
        let all = &self.service.ports;
        let mut ports: Vec<_> = all
            .iter()
            .take(LISTED_PORTS)
            .map(|port| match &*port.name {
                "" => port.port.to_string(),
                name => format!("{} ({})", port.port, quote(name)),
            })
            .collect();
        match all.len() {
            0 => ports.push("none".into()),
            all if all > LISTED_PORTS => ports.push(format!("{} more", all - LISTED_PORTS)),
            _ => {}
        }
        ports.join(", ")
    }
}

impl PortRef<'_> {
    /// The remedy for an unknown port, with the ports of the service.
    fn remedy(self) -> &'static str {
        match self {
            Self::Name(name) if name.parse::<u16>().is_ok() => {
                "; in quotes this is a name, so write the number without them"
            }
            _ => "; correct this, or add the port",
        }
    }
}
