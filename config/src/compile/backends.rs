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
use crate::finding::{Finding, Findings};
use crate::manifest::Object;
use crate::model;
use crate::objects::service::ServicePort;
use crate::objects::{Labels, ingress};
use crate::settings::Settings;

/// Serves paths whose own backend cannot: they stay exposed and answer 503, for
/// neither a 404 nor somebody else's backend would be true.
const UNAVAILABLE: &str = "unavailable";

const CONSEQUENCE: &str = "The path answers 503";

/// The backends that paths have asked for so far.
pub(super) struct Backends<'a> {
    settings: &'a Settings,
    findings: &'a RefCell<Findings>,
    clusters: Clusters<'a>,
    /// By the name of the backend.
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
    /// What the route table calls it.
    pub(super) fn name(&self) -> String {
        self.port.port.to_string()
    }
}

/// What paths and rules come to.
pub(super) struct Finished {
    pub(super) backends: Vec<Backend>,
    pub(super) clusters: model::Clusters,
    pub(super) dns_names: BTreeSet<String>,
    /// By the name that a route has for its backend, where that is only one port
    /// of it: the backend and the port.
    renamed: HashMap<String, (String, String)>,
}

impl Finished {
    /// Has routes name backends as they are called.
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
        settings: &'a Settings,
        findings: &'a RefCell<Findings>,
    ) -> Self {
        Self {
            settings,
            findings,
            clusters: Clusters::new(services, settings),
            used: BTreeMap::new(),
            some_unavailable: false,
        }
    }

    /// The name of a backend of `ingress`. What cannot be reached gets a finding
    /// and answers 503, as does what its reader has not understood.
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

    /// The name of the backend that answers 503.
    fn unavailable(&mut self) -> String {
        self.some_unavailable = true;
        UNAVAILABLE.into()
    }

    /// All backends, each with those of `rules` that are for its service, and
    /// the clusters of them all; and what became of the names that routes have.
    pub(super) fn finish(mut self, mut rules: Rules<'_>) -> Finished {
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
                // Its ports share their rules.
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
        let (clusters, dns_names) = self.clusters.finish();
        Finished { backends, clusters, dns_names, renamed }
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

/// A backend that answers 503.
fn unavailable(name: String) -> Backend {
    Backend { name, ports: Vec::new(), rules: Vec::new(), default: UNAVAILABLE_ACTION }
}
