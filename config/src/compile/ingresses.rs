//! Collects the rules of Ingresses into virtual hosts.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use ingress_filter::table::{PathMatch, Plaintext, Target, VirtualHost};
use thiserror::Error;

use super::backends::Backends;
use super::ownership::{ANY_HOST, Ownership};
use super::patterns::{Admission, Refusal};
use super::routes::{Candidate, HostRoutes};
use crate::finding::{Code, Finding, Findings, quote};
use crate::manifest::Object;
use crate::objects::Place;
use crate::objects::ingress::{DefaultBackend, Ingress, IngressPath, PathType, Rule};
use crate::settings::{ImplementationSpecific, Settings};

/// The virtual hosts of all Ingresses.
pub(super) struct Collected<'a> {
    pub(super) virtual_hosts: Vec<VirtualHost>,
    pub(super) default_backend: Option<Target>,
    /// The Ingresses that serve at least one path.
    pub(super) served: Names<'a>,
}

/// The message for a default backend that is limited to its own hosts.
const LEFT_OUT: &str = "does not serve the hosts of other namespaces: what no path of theirs matches \
                        answers 404. To have it serve them, set hostOwnership: shared";

/// Namespaces and names.
type Names<'a> = BTreeSet<(&'a str, &'a str)>;

/// Collects Ingresses, the oldest first.
pub(super) struct Collector<'a, 'b> {
    backends: &'a mut Backends<'b>,
    findings: &'a RefCell<Findings>,
    regex_paths: bool,
    notation: Notation,
    admission: &'a Admission,
    ownership: &'a Ownership<'a>,
    /// How plain HTTP is handled for Ingresses with TLS.
    plaintext: Option<Plaintext>,
    /// The routes by host, in the spelling of the route table.
    hosts: BTreeMap<&'a str, HostRoutes<'a>>,
    default: Option<(Target, &'a Object, &'a Place)>,
    served: Names<'a>,
}

impl<'a, 'b> Collector<'a, 'b> {
    pub(super) fn new(
        backends: &'a mut Backends<'b>,
        settings: &Settings,
        (admission, ownership): (&'a Admission, &'a Ownership<'a>),
        findings: &'a RefCell<Findings>,
    ) -> Self {
        Self {
            backends,
            findings,
            regex_paths: settings.regex_paths,
            notation: Notation(settings.implementation_specific),
            admission,
            ownership,
            plaintext: settings.http_for_tls.plaintext(),
            hosts: BTreeMap::new(),
            default: None,
            served: Names::new(),
        }
    }

    /// The virtual hosts and the default backend. Unreachable paths are left out, with a
    /// finding.
    pub(super) fn finish(self) -> Collected<'a> {
        let mut served = self.served;
        let is_not_of_default = |host: &str| {
            let default = self.default.as_ref();
            default.is_some_and(|(_, it, _)| self.ownership.is_foreign(&it.namespace, host))
        };
        let virtual_hosts = self.hosts.into_iter().map(|(host, routes)| {
            let reachable = routes.finish(host, &mut self.findings.borrow_mut());
            served.extend(reachable.iter().map(|candidate| name_of(candidate.ingress)));
            VirtualHost {
                routes: reachable.iter().map(Candidate::route).collect(),
                hosts: vec![host.to_owned()],
                no_default_backend: is_not_of_default(host),
            }
        });
        let virtual_hosts: Vec<_> = virtual_hosts.collect();
        if let Some((_, ingress, place)) = &self.default
            && virtual_hosts.iter().any(|it| it.no_default_backend)
        {
            // The message does not list the hosts, because they belong to others and change
            // often.
            let finding = place.finding(ingress, Code::DefaultBackendLimited, LEFT_OUT);
            self.findings.borrow_mut().push(finding);
        }
        Collected {
            virtual_hosts,
            default_backend: self.default.map(|(target, ..)| target),
            served,
        }
    }

    fn report(&self, place: &Place, object: &Object, code: Code, message: impl Into<String>) {
        self.findings.borrow_mut().push(place.finding(object, code, message));
    }

    pub(super) fn add(&mut self, object: &'a Object, ingress: &'a Ingress) {
        // Any entry counts, because hosts without their own certificate have the
        // default one.
        let plaintext = self.plaintext.filter(|_| ingress.has_tls);
        if let Some(default) = &ingress.default_backend {
            self.add_default(object, default, plaintext);
        }
        for rule in &ingress.rules {
            self.add_rule(object, rule, plaintext);
        }
        self.findings.borrow_mut().extend(self.notation.warning(object, ingress));
    }

    fn add_default(
        &mut self,
        object: &'a Object,
        default: &'a DefaultBackend,
        plaintext: Option<Plaintext>,
    ) {
        let DefaultBackend { backend, place } = default;
        if let Err(foreign) = self.ownership.check(object, ANY_HOST) {
            let message = format!("is not used: {foreign}");
            self.report(place, object, Code::HostOfOtherNamespace, message);
            return;
        }
        if let Some((_, older, older_place)) = &self.default {
            let message = format!(
                "is not used, because the older {}{} has a default backend; remove one of the two",
                older.reference(),
                older.at(older_place.at),
            );
            self.report(place, object, Code::DuplicateDefaultBackend, message);
            return;
        }
        let backend = self.backends.resolve(object, backend.as_ref());
        let source = format!("{}/{}#default", object.namespace, object.name);
        self.served.insert(name_of(object));
        self.default = Some((
            Target { backend, port: None, source, count_as: String::new(), plaintext },
            object,
            place,
        ));
    }

    fn add_rule(&mut self, object: &'a Object, rule: &'a Rule, plaintext: Option<Plaintext>) {
        let host = rule.host_or_any();
        if let Err(foreign) = self.ownership.check(object, host) {
            let message = format!("{foreign}. This rule is not served");
            self.report(&rule.host_place(), object, Code::HostOfOtherNamespace, message);
            return;
        }
        // A rule without paths also defines the host, which then has the default backend
        // instead of the routes of a less specific host.
        self.hosts.entry(host).or_default();
        let Some(paths) = &rule.paths else {
            self.served.insert(name_of(object));
            return;
        };
        for path in paths {
            if let Err(reason) = self.check_regex(&object.namespace, path) {
                let message = format!("{} {reason}", quote(path.path.text()));
                self.report(&path.place(), object, reason.code(), message);
                continue;
            }
            let backend = self.backends.resolve(object, path.backend.as_ref());
            let pattern = match self.notation.pattern(path) {
                Cow::Borrowed(pattern) => pattern.canonical(),
                Cow::Owned(pattern) => Cow::Owned(pattern.canonical().into_owned()),
            };
            self.hosts.entry(host).or_default().push(Candidate {
                path,
                pattern,
                backend,
                plaintext,
                ingress: object,
            });
        }
    }

    /// Regular expressions are served if the settings allow them, within the budgets.
    fn check_regex(&self, namespace: &str, path: &IngressPath) -> Result<(), RegexError> {
        match &path.path {
            PathMatch::Regex(_) if !self.regex_paths => Err(RegexError::NotAllowed),
            PathMatch::Regex(text) => Ok(self.admission.check(namespace, text)?),
            PathMatch::Exact(_) | PathMatch::Prefix(_) | PathMatch::StringPrefix(_) => Ok(()),
        }
    }
}

/// How paths of type `ImplementationSpecific`, or without a type, are matched.
#[derive(Clone, Copy)]
struct Notation(ImplementationSpecific);

impl Notation {
    fn pattern(self, path: &IngressPath) -> Cow<'_, PathMatch> {
        match (&path.path, path.path_type, self.0) {
            (
                PathMatch::Exact(text),
                PathType::ImplementationSpecific,
                ImplementationSpecific::Prefix,
            ) => Cow::Owned(PathMatch::Prefix(text.clone())),
            (pattern, ..) => Cow::Borrowed(pattern),
        }
    }

    /// A warning about the first path that matches only itself although its author may
    /// expect a prefix.
    fn warning(self, object: &Object, ingress: &Ingress) -> Option<Finding> {
        let is_of_istio = object.version() != "v1";
        let is_meant = |text: &str| is_of_istio && !text.ends_with('/');
        let paths = ingress.rules.iter().flat_map(|rule| rule.paths.iter().flatten());
        let mut unclear = paths.filter_map(|path| match &path.path {
            PathMatch::Exact(text)
                if path.path_type == PathType::ImplementationSpecific && !is_meant(text) =>
            {
                Some((path, text))
            }
            _ => None,
        });
        if self.0 == ImplementationSpecific::Prefix {
            return None;
        }
        let (path, text) = unclear.next()?;
        let others = match unclear.count() {
            0 => String::new(),
            1 => ", and so does 1 other path here".into(),
            others => format!(", and so do {others} other paths here"),
        };
        let message = format!(
            "{} matches only itself{others}: without .* at its end, a path of type ImplementationSpecific or without \
             a type is exact; write pathType: Prefix for all below it, or Exact, or set implementationSpecific: prefix",
            quote(text),
        );
        Some(path.place().finding(object, Code::ImplementationSpecificExact, message))
    }
}

fn name_of(ingress: &Object) -> (&str, &str) {
    (&ingress.namespace, &ingress.name)
}

/// The reason why a path with a regular expression is not served.
#[derive(Debug, Error)]
enum RegexError {
    #[error(
        "is a regular expression, which the settings do not allow; use pathType: Prefix or Exact, end the path in .* for a prefix, or set --regex-paths"
    )]
    NotAllowed,
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl RegexError {
    fn code(&self) -> Code {
        match self {
            Self::NotAllowed => Code::RegexPathsOff,
            Self::Refused(refusal) => refusal.code(),
        }
    }
}
