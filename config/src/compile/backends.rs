//! The backends of Ingress paths: a port of a service, and its cluster.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use ingress_filter::table::{Action, Backend, Respond, Target, VirtualHost};

use super::actions::Actions;
use super::clusters::{Clusters, PortRef};
use super::rules::{Applicable, Rules};
use super::services::Services;
use super::unreachable::{Subject, Unreachable};
use super::upstream_tls::TlsUpstreams;
use crate::finding::{Finding, Findings};
use crate::manifest::Object;
use crate::model;
use crate::objects::service::ServicePort;
use crate::objects::{Labels, ingress};
use crate::settings::Settings;

/// The backend of paths whose own backend is unusable. They remain exposed and respond
/// with 503, because a 404 or the backend of a less specific path would be misleading.
const UNAVAILABLE: &str = "unavailable";

const CONSEQUENCE: &str = "The path answers 503";

/// The backends of the paths so far.
pub(super) struct Backends<'a> {
    settings: &'a Settings,
    findings: &'a RefCell<Findings>,
    clusters: Clusters<'a>,
    /// The used ports, by the name of the backend.
    used: BTreeMap<String, UsedPort<'a>>,
    some_unavailable: bool,
}

/// A port of a service to which an Ingress sends requests.
pub(super) struct UsedPort<'a> {
    pub(super) namespace: &'a str,
    pub(super) service: &'a str,
    pub(super) port: Cow<'a, ServicePort>,
    pub(super) cluster: String,
}

impl UsedPort<'_> {
    /// Its name in the route table.
    pub(super) fn name(&self) -> String {
        self.port.port.to_string()
    }
}

/// The backends and clusters of all paths and rules.
pub(super) struct Finished<'a> {
    pub(super) backends: Vec<Backend>,
    pub(super) clusters: model::Clusters,
    pub(super) dns_names: BTreeSet<String>,
    pub(super) tls: TlsUpstreams<'a>,
    /// For a backend that has become one of several ports, by its earlier name in
    /// routes: the backend and the port.
    renamed: HashMap<String, (String, String)>,
}

impl Finished<'_> {
    /// Replaces earlier names of backends in routes.
    pub(super) fn rename(&self, virtual_hosts: &mut [VirtualHost], default: Option<&mut Target>) {
        if self.renamed.is_empty() {
            return;
        }
        let routes = virtual_hosts.iter_mut().flat_map(|virtual_host| &mut virtual_host.routes);
        let names = routes.map(|route| (&mut route.backend, &mut route.port));
        let default = default.map(|target| (&mut target.backend, &mut target.port));
        for (backend, port) in names.chain(default) {
            if let Some((name, number)) = self.renamed.get(backend) {
                backend.clone_from(name);
                *port = Some(number.clone());
            }
        }
    }
}

impl<'a> Backends<'a> {
    pub(super) fn new(
        services: &'a Services<'a>,
        tls: TlsUpstreams<'a>,
        settings: &'a Settings,
        findings: &'a RefCell<Findings>,
    ) -> Self {
        Self {
            settings,
            findings,
            clusters: Clusters::new(services, tls, settings),
            used: BTreeMap::new(),
            some_unavailable: false,
        }
    }

    /// The name of a backend of `ingress`. An unreachable one gets a finding and responds
    /// with 503, and so does one that is not valid.
    pub(super) fn resolve(
        &mut self,
        ingress: &Object,
        backend: Option<&ingress::Backend>,
    ) -> String {
        let name = backend.and_then(|backend| {
            let found = self.find(ingress, backend);
            let report = |error: Unreachable| {
                let place = match error.subject() {
                    Subject::Service => backend.service_place(),
                    Subject::Port => backend.port_place(),
                };
                let message = format!("{error}. {CONSEQUENCE}");
                self.report(place.finding(ingress, error.code(), message));
            };
            found.map_err(report).ok()
        });
        name.unwrap_or_else(|| self.unavailable())
    }

    fn report(&self, finding: Finding) {
        self.findings.borrow_mut().push(finding);
    }

    /// The name of the backend that responds with 503.
    fn unavailable(&mut self) -> String {
        self.some_unavailable = true;
        UNAVAILABLE.into()
    }

    /// All backends with the rules of their services, all clusters, and the changed names
    /// of backends.
    pub(super) fn finish(mut self, mut rules: Rules<'_>) -> Finished<'a> {
        let mut by_service: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (name, port) in std::mem::take(&mut self.used) {
            by_service.entry((port.namespace, port.service)).or_default().push((name, port));
        }
        let (mut backends, mut renamed) =
            (Vec::with_capacity(by_service.len() + 1), HashMap::new());
        for ((namespace, service), mut used) in by_service {
            used.sort_by_key(|(_, port)| port.port.port);
            let (names, ports): (Vec<_>, Vec<_>) = used.into_iter().unzip();
            let name = match &*names {
                [only] => only.clone(),
                // The ports of a service share their rules.
                names => {
                    let name = format!("{namespace}/{service}");
                    renamed.extend(
                        names
                            .iter()
                            .cloned()
                            .zip(ports.iter().map(UsedPort::name))
                            .map(|(known, port)| (known, (name.clone(), port))),
                    );
                    name
                }
            };
            let rules = rules.of_service(namespace, service, self.findings);
            backends.push(self.backend(name, &ports, rules));
        }
        if self.some_unavailable {
            backends.push(unavailable(UNAVAILABLE.into()));
        }
        rules.report_unused(self.findings);
        let (clusters, dns_names, tls) = self.clusters.finish();
        Finished { backends, clusters, dns_names, tls, renamed }
    }

    fn backend(
        &mut self,
        name: String,
        ports: &[UsedPort<'a>],
        rules: Option<&[Applicable<'_>]>,
    ) -> Backend {
        let mut actions = Actions::new(&mut self.clusters, ports, self.settings, self.findings);
        let several = ports.len() > 1;
        let (rules, default) = match rules {
            None => (Vec::new(), UNAVAILABLE_ACTION),
            Some(rules) => {
                let rules = rules.iter().map(|rule| actions.rule(rule)).collect();
                (rules, actions.default_action())
            }
        };
        let ports = if several { actions.into_ports() } else { Vec::new() };
        Backend { name, ports, rules, default }
    }

    /// The backend of a port of a service.
    fn find(
        &mut self,
        ingress: &Object,
        backend: &ingress::Backend,
    ) -> Result<String, Unreachable> {
        let (namespace, service_name) = (&ingress.namespace, &*backend.service.value);
        let service = self.clusters.find(namespace, service_name)?;
        let service_port = service.port(PortRef::from(&backend.port.value))?;
        let name = format!("{namespace}/{service_name}:{}", service_port.port);
        if !self.used.contains_key(&name) {
            let reached = self.clusters.reach(service, &service_port, &Labels::new())?;
            if let Some(warning) = reached.warning {
                let message = warning.message(CONSEQUENCE);
                self.report(backend.port_place().finding(ingress, warning.code, message));
            }
            let used = UsedPort {
                namespace: service.namespace,
                service: service.name,
                port: service_port,
                cluster: reached.cluster,
            };
            self.used.insert(name.clone(), used);
        }
        Ok(name)
    }
}

const UNAVAILABLE_ACTION: Action = Action::Respond(Respond { status: 503 });

/// A backend that responds with 503.
fn unavailable(name: String) -> Backend {
    Backend { name, ports: Vec::new(), rules: Vec::new(), default: UNAVAILABLE_ACTION }
}
