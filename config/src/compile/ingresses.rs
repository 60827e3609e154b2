//! The rules of Ingresses, gathered into virtual hosts.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use ingress_filter::table::{Plaintext, Target, VirtualHost};

use super::backends::{BackendSyntax, Backends};
use super::host;
use super::paths::PathType;
use super::routes::{Candidate, HostRoutes};
use crate::finding::Findings;
use crate::manifest::{Object, Position};
use crate::object_ref::ObjectRef;
use crate::objects::{Cursor, Reading, is_named_well};
use crate::settings::Settings;

/// What Ingresses come to.
pub(super) struct Collected {
    pub(super) virtual_hosts: Vec<VirtualHost>,
    pub(super) default_backend: Option<Target>,
    /// Those that serve anything.
    pub(super) served: BTreeSet<ObjectRef>,
}

/// Reads Ingresses, the oldest first.
pub(super) struct Collector<'a, 'b> {
    backends: &'a mut Backends<'b>,
    findings: &'a RefCell<Findings>,
    regex_paths: bool,
    /// What becomes of plain HTTP where an Ingress has TLS.
    plaintext: Option<Plaintext>,
    /// By host, as the route table spells it.
    hosts: BTreeMap<String, HostRoutes<'a>>,
    default: Option<(Target, &'a Object, Position)>,
    served: BTreeSet<ObjectRef>,
}

impl<'a, 'b> Collector<'a, 'b> {
    pub(super) fn new(
        backends: &'a mut Backends<'b>,
        settings: &Settings,
        findings: &'a RefCell<Findings>,
    ) -> Self {
        Self {
            backends,
            findings,
            regex_paths: settings.regex_paths,
            plaintext: settings.http_for_tls.plaintext(),
            hosts: BTreeMap::new(),
            default: None,
            served: BTreeSet::new(),
        }
    }

    /// The virtual hosts and the default backend of all that was read. Paths
    /// that can never be reached are left out, with a finding.
    pub(super) fn finish(self) -> Collected {
        let mut served = self.served;
        let virtual_hosts = self.hosts.into_iter().map(|(host, routes)| {
            let reachable = routes.finish(&host, &mut self.findings.borrow_mut());
            served.extend(reachable.iter().map(|candidate| candidate.ingress.reference()));
            let routes = reachable.iter().map(Candidate::route).collect();
            VirtualHost { routes, hosts: vec![host] }
        });
        let virtual_hosts = virtual_hosts.collect();
        Collected {
            virtual_hosts,
            default_backend: self.default.map(|(target, ..)| target),
            served,
        }
    }

    pub(super) fn read(&mut self, ingress: &'a Object) {
        let reading = Reading::new(ingress, self.findings);
        let root = reading.root();
        if !is_named_well(ingress, &root) {
            return;
        }
        let spec = root.required("spec", "give rules or a default backend");
        let Some(spec) = spec.filter(Cursor::expect_mapping) else { return };
        let syntax =
            if ingress.version() == "v1" { BackendSyntax::Nested } else { BackendSyntax::Flat };
        let default_field = match syntax {
            BackendSyntax::Flat => "backend",
            BackendSyntax::Nested => "defaultBackend",
        };
        spec.only(&["rules", "tls", "ingressClassName", default_field]);
        match spec.field(default_field) {
            Some(backend) => self.read_default(ingress, &backend, syntax),
            None if spec.field("rules").is_none() => spec.error_in(
                "rules",
                format!(
                    "is missing; give rules or {default_field}, without them nothing is served"
                ),
            ),
            None => {}
        }
        for item in spec.list("rules") {
            self.read_rule(ingress, &item.cursor(), item.index, syntax);
        }
    }

    fn read_default(&mut self, ingress: &'a Object, cursor: &Cursor<'_>, syntax: BackendSyntax) {
        if let Some((_, older, at)) = &self.default {
            cursor.warning(format!(
                "is not used: {}{} has a default backend and is the older; remove one of the two",
                older.reference(),
                older.at(*at),
            ));
            return;
        }
        let backend = self.backends.resolve(&ingress.namespace, cursor, syntax);
        let source = format!("{}/{}#default", ingress.namespace, ingress.name);
        self.served.insert(ingress.reference());
        let target = Target { backend, source, plaintext: self.plaintext_of(ingress) };
        self.default = Some((target, ingress, cursor.node().at));
    }

    /// What becomes of plain HTTP on the paths of `ingress`. Any entry will do,
    /// one without a certificate of its own has the default one.
    fn plaintext_of(&self, ingress: &Object) -> Option<Plaintext> {
        let tls = ingress.node.get("spec")?.get("tls")?.as_list()?;
        self.plaintext.filter(|_| !tls.is_empty())
    }

    fn read_rule(
        &mut self,
        ingress: &'a Object,
        rule: &Cursor<'_>,
        index: usize,
        syntax: BackendSyntax,
    ) {
        if !rule.expect_mapping() {
            return;
        }
        rule.only(&["host", "http"]);
        let host = match rule.field("host") {
            None => "*",
            Some(field) => match field.as_string() {
                None => return,
                Some("") => "*",
                Some(text) => match host::parse(text) {
                    Ok(host) => host,
                    Err(message) => {
                        return field.error(format!("{message}; this rule is not served"));
                    }
                },
            },
        };
        // A rule without paths still makes the host its own: it has the default
        // backend, not the routes of a less specific host.
        let mut routes = self.hosts.remove(host).unwrap_or_default();
        if rule.field("http").is_none() {
            self.served.insert(ingress.reference());
        }
        if let Some(http) = rule.mapping("http") {
            http.only(&["paths"]);
            for item in http.list("paths") {
                let place = (index, item.index);
                routes.extend(self.read_path(ingress, &item.cursor(), place, syntax));
            }
        }
        self.hosts.insert(host.to_owned(), routes);
    }

    fn read_path(
        &mut self,
        ingress: &'a Object,
        cursor: &Cursor<'_>,
        (rule_index, path_index): (usize, usize),
        syntax: BackendSyntax,
    ) -> Option<Candidate<'a>> {
        if !cursor.expect_mapping() {
            return None;
        }
        cursor.only(&["path", "pathType", "backend"]);
        let path_type = read_path_type(cursor, syntax)?;
        let (path, at) = match cursor.field("path") {
            Some(field) => (
                path_type
                    .parse_path(field.as_string()?, self.regex_paths)
                    .map_err(|message| field.error(message))
                    .ok()?,
                field.node().at,
            ),
            None if path_type == PathType::ImplementationSpecific => {
                (path_type.parse_path("", false).ok()?, cursor.node().at)
            }
            None => {
                cursor.error_in("path", "is missing; with this pathType it has to start with /");
                return None;
            }
        };
        let backend = match cursor.required("backend", NAME_BACKEND) {
            Some(backend) => self.backends.resolve(&ingress.namespace, &backend, syntax),
            None => self.backends.unavailable(),
        };
        let plaintext = self.plaintext_of(ingress);
        Some(Candidate { path, path_type, backend, plaintext, ingress, rule_index, path_index, at })
    }
}

const NAME_BACKEND: &str = "name the service and port that serve this path. The path answers 503";

/// The path's type. Only `networking.k8s.io/v1` demands one.
fn read_path_type(cursor: &Cursor<'_>, syntax: BackendSyntax) -> Option<PathType> {
    match cursor.field("pathType") {
        Some(field) => {
            PathType::parse(field.as_string()?).map_err(|message| field.error(message)).ok()
        }
        None if syntax == BackendSyntax::Flat => Some(PathType::ImplementationSpecific),
        None => {
            cursor.error_in(
                "pathType",
                "is missing; networking.k8s.io/v1 demands Exact, Prefix or ImplementationSpecific",
            );
            None
        }
    }
}
