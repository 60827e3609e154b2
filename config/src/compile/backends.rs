//! The backends of Ingress paths: a port of a service, and its cluster.

use std::cell::RefCell;
use std::collections::BTreeMap;

use ingress_filter::table::{Action, Backend, Respond};

use super::actions::Actions;
use super::clusters::{Clusters, PortRef};
use super::rules::Rules;
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
    pub(super) port: &'a ServicePort,
    pub(super) cluster: String,
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
                self.report(place.error(ingress, format!("{error}. {CONSEQUENCE}")));
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
    /// the clusters of them all.
    pub(super) fn finish(self, mut rules: Rules<'_>) -> (Vec<Backend>, model::Clusters) {
        let (mut clusters, findings) = (self.clusters, self.findings);
        let mut backends = Vec::with_capacity(self.used.len() + 1);
        for (name, port) in self.used {
            let mut actions = Actions::new(&mut clusters, &port, self.settings, findings);
            let backend = match rules.of_port(port.namespace, port.service, findings) {
                None => unavailable(name),
                Some(rules) => Backend {
                    name,
                    ports: Vec::new(),
                    rules: rules.iter().map(|rule| actions.rule(rule)).collect(),
                    default: actions.default_action(),
                },
            };
            backends.push(backend);
        }
        if self.some_unavailable {
            backends.push(unavailable(UNAVAILABLE.into()));
        }
        rules.report_unused(findings);
        (backends, clusters.finish())
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
            let reached = self.clusters.reach(service, service_port, &Labels::new())?;
            if let Some(warning) = reached.warning {
                let message = warning.message(CONSEQUENCE);
                self.report(backend.port_place().warning(ingress, message));
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

/// A backend that answers 503.
fn unavailable(name: String) -> Backend {
    Backend {
        name,
        ports: Vec::new(),
        rules: Vec::new(),
        default: Action::Respond(Respond { status: 503 }),
    }
}
