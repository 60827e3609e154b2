//! The backends of Ingress paths: a port of a service, and its cluster.

use std::cell::RefCell;
use std::collections::BTreeMap;

use ingress_filter::table::{Action, Backend, Respond};

use super::actions::Actions;
use super::clusters::{Clusters, PortRef, Subject, Unreachable};
use super::rules::Rules;
use super::services::Services;
use crate::finding::Findings;
use crate::model;
use crate::objects::service::ServicePort;
use crate::objects::{Cursor, Labels};
use crate::settings::Settings;

/// Serves paths whose own backend cannot: they stay exposed and answer 503, for
/// neither a 404 nor somebody else's backend would be true.
const UNAVAILABLE: &str = "unavailable";

const NAME_SERVICE: &str = "name a service of this namespace. The path answers 503";
const NAME_PORT: &str = "give port.number or port.name. The path answers 503";

const CONSEQUENCE: &str = "The path answers 503";

/// The backends that paths have asked for so far.
pub(super) struct Backends<'a> {
    settings: &'a Settings,
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

/// How an Ingress of some version writes a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BackendSyntax {
    /// `serviceName`, `servicePort`.
    Flat,
    /// `service.name`, `service.port.number` or `.name`.
    Nested,
}

impl<'a> Backends<'a> {
    pub(super) fn new(services: &'a Services<'a>, settings: &'a Settings) -> Self {
        Self {
            settings,
            clusters: Clusters::new(services, settings),
            used: BTreeMap::new(),
            some_unavailable: false,
        }
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

    /// All backends, each with those of `rules` that are for its service, and
    /// the clusters of them all.
    pub(super) fn finish(
        self,
        mut rules: Rules<'_>,
        findings: &RefCell<Findings>,
    ) -> (Vec<Backend>, model::Clusters) {
        let mut clusters = self.clusters;
        let mut backends = Vec::with_capacity(self.used.len() + 1);
        for (name, port) in self.used {
            let mut actions = Actions::new(&mut clusters, &port, self.settings, findings);
            let backend = match rules.of_port(port.namespace, port.service, findings) {
                None => unavailable(name),
                Some(rules) => Backend {
                    name,
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
        let report = |(subject, message): Unreachable| {
            let cursor = if subject == Subject::Port { port } else { name };
            cursor.error(format!("{message}. {CONSEQUENCE}"));
        };
        let service = self.clusters.find(namespace, service_name).map_err(report).ok()?;
        let service_port = service.port(port_ref).map_err(report).ok()?;
        let backend = format!("{namespace}/{service_name}:{}", service_port.port);
        if !self.used.contains_key(&backend) {
            let reached =
                self.clusters.reach(service, service_port, &Labels::new()).map_err(report).ok()?;
            if let Some(doubt) = reached.doubt {
                port.warning(doubt.message(CONSEQUENCE));
            }
            let used = UsedPort {
                namespace: service.namespace,
                service: service.name,
                port: service_port,
                cluster: reached.cluster,
            };
            self.used.insert(backend.clone(), used);
        }
        Some(backend)
    }
}

/// A backend that answers 503.
fn unavailable(name: String) -> Backend {
    Backend { name, rules: Vec::new(), default: Action::Respond(Respond { status: 503 }) }
}

/// Whether the backend is an object store or the like, with its finding.
fn refuse_resource(cursor: &Cursor<'_>) -> bool {
    let resource = cursor.field("resource");
    if let Some(resource) = &resource {
        resource.error("resource backends are not served; name a service. The path answers 503");
    }
    resource.is_some()
}
