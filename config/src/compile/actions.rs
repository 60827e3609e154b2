//! The actions of the rules of a service.

use std::cell::RefCell;
use std::collections::BTreeMap;

use ingress_filter::table::{self, Action, Destination, Forward, Timeout};

use super::backends::UsedPort;
use super::clusters::{ClusterWarning, Clusters, Reached};
use super::rules::Applicable;
use super::unreachable::Unreachable;
use crate::finding::Findings;
use crate::manifest::Object;
use crate::objects::route_rule::{Effect, Forwarding, ServiceRef, Share};
use crate::objects::service::Http;
use crate::objects::{Labels, Place};
use crate::settings::Settings;

/// Makes the actions of the backend of a service.
///
/// The actions name the clusters of the first port that is used. For each other port, a
/// map gives its own clusters for these.
pub(super) struct Actions<'c, 'a> {
    clusters: &'c mut Clusters<'a>,
    /// At least one.
    ports: &'c [UsedPort<'a>],
    settings: &'c Settings,
    findings: &'c RefCell<Findings>,
    /// The versions that actions forward to, by namespace, service and labels.
    led_to: BTreeMap<(String, String, Labels), LedTo>,
    /// For each port, its own clusters for those that actions name.
    instead: Vec<BTreeMap<String, Option<String>>>,
}

/// The maximum number of problems that are reported for one version of a service, because
/// each of many ports may have its own.
const MAX_PROBLEMS: usize = 8;

/// A version of a service that actions forward to.
struct LedTo {
    /// The cluster that actions name, if any port has one.
    named: Option<String>,
    /// The problems at all ports.
    problems: Vec<Problem>,
}

#[derive(PartialEq, Eq)]
enum Problem {
    Unreachable(Unreachable),
    Doubtful(ClusterWarning),
}

impl<'c, 'a> Actions<'c, 'a> {
    pub(super) fn new(
        clusters: &'c mut Clusters<'a>,
        ports: &'c [UsedPort<'a>],
        settings: &'c Settings,
        findings: &'c RefCell<Findings>,
    ) -> Self {
        let mut this = Self {
            clusters,
            ports,
            settings,
            findings,
            led_to: BTreeMap::new(),
            instead: vec![BTreeMap::new(); ports.len()],
        };
        let own: Vec<_> = ports.iter().map(|port| Some(port.cluster.clone())).collect();
        let named = this.name(own);
        if let Some(port) = ports.first() {
            let own = (port.namespace.to_owned(), port.service.to_owned(), Labels::new());
            // Its problems have been reported at the Ingress.
            this.led_to.insert(own, LedTo { named, problems: Vec::new() });
        }
        this
    }

    /// The clusters of each port for those that actions name.
    pub(super) fn into_ports(self) -> Vec<table::Port> {
        let ports = self.ports.iter().zip(self.instead);
        let port =
            |(port, clusters): (&UsedPort<'_>, _)| table::Port { name: port.name(), clusters };
        ports.map(port).collect()
    }

    /// The name that actions use for a cluster that differs between ports: that of the
    /// first port that has one.
    fn name(&mut self, at_ports: Vec<Option<String>>) -> Option<String> {
        let named = at_ports.iter().flatten().next()?.clone();
        for (instead, cluster) in self.instead.iter_mut().zip(at_ports) {
            if cluster.as_ref() != Some(&named) {
                instead.insert(named.clone(), cluster);
            }
        }
        Some(named)
    }

    /// The cluster of the service itself that actions name.
    fn own_cluster(&self) -> String {
        self.ports.first().map(|port| port.cluster.clone()).unwrap_or_default()
    }

    /// Whether any of the ports allows it by its `appProtocol`, because all share their
    /// rules.
    fn speak_websocket(&self) -> bool {
        self.ports.iter().any(|used| used.port.application.http() == Some(Http::WebSocket))
    }

    /// The action if no rule matches.
    pub(super) fn default_action(&mut self) -> Action {
        Forward {
            timeout: self.default_timeout(),
            websocket: self.speak_websocket(),
            session_cookie: self.session_cookie(&[], None),
            ..Forward::to(self.own_cluster())
        }
        .into()
    }

    /// The rule in the route table.
    pub(super) fn rule(&mut self, applicable: &Applicable<'_>) -> table::Rule {
        let Applicable { object, rule } = applicable;
        let action = match &rule.effect {
            Effect::Redirect(redirect) => redirect.clone().into(),
            Effect::Forward(forwarding) => self.forward(object, forwarding).into(),
        };
        table::Rule {
            name: format!("{}/{}", object.namespace, object.name),
            matches: rule.condition.request.clone(),
            action,
        }
    }

    fn forward(&mut self, object: &Object, forwarding: &Forwarding) -> Forward {
        let cluster = self.destination(object, &forwarding.route);
        let mirror = forwarding.mirror.as_ref();
        let mirror = mirror.and_then(|service| self.mirror(object, service));
        let Forwarding { timeout, retries, rewrite, append_headers, cors, fault, .. } = forwarding;
        let limits = ClientLimits(self.settings);
        Forward {
            cluster,
            timeout: limits.timeout(timeout.as_ref()).or_else(|| self.default_timeout()),
            retries: limits.retries(retries.as_ref()),
            rewrite: rewrite.clone(),
            websocket: forwarding.websocket || self.speak_websocket(),
            mirror,
            append_headers: append_headers.clone(),
            cors: cors.clone(),
            fault: limits.fault(fault.as_ref()),
            session_cookie: self.session_cookie(&forwarding.route, forwarding.mirror.as_ref()),
        }
    }

    /// The cookie for requests to one of `shares`, or to the service itself if there are
    /// none. They have one cookie, so that a client always gets the same share.
    fn session_cookie(&mut self, shares: &[Share], mirror: Option<&ServiceRef>) -> Option<String> {
        let own = self.ports.first().map(|port| (port.namespace, port.service))?;
        let named = shares.iter().map(|share| match &share.destination {
            Some(other) => (&*other.namespace, &*other.name),
            None => own,
        });
        let services: Vec<_> = named.chain(shares.is_empty().then_some(own)).collect();
        let mut cookies = services
            .iter()
            .filter_map(|(namespace, name)| self.clusters.session_cookie(namespace, name));
        let cookie = cookies.next()?.to_owned();
        let mirror = mirror.map(|mirror| (&*mirror.namespace, &*mirror.name));
        for (namespace, name) in services.into_iter().chain(mirror) {
            self.clusters.expect_sessions(namespace, name);
        }
        Some(cookie)
    }

    fn default_timeout(&self) -> Option<Timeout> {
        let timeout = self.settings.default_timeout?;
        let (override_header, override_limit_ms) = (None, None);
        Some(Timeout { ms: timeout.milliseconds(), override_header, override_limit_ms })
    }

    fn destination(&mut self, object: &Object, shares: &[Share]) -> Destination {
        let mut shares: Vec<_> = shares
            .iter()
            .map(|share| table::Share { cluster: self.share(object, share), weight: share.weight })
            .collect();
        match &mut *shares {
            [] => Destination::Cluster(self.own_cluster()),
            [table::Share { cluster: only @ Some(_), .. }] => {
                Destination::Cluster(only.take().unwrap_or_default())
            }
            _ => Destination::Split(shares),
        }
    }

    /// The cluster of a weighted destination; `None`, with a finding, if it has none.
    fn share(&mut self, object: &Object, share: &Share) -> Option<String> {
        let own = self.ports.first()?;
        let (namespace, name) = match &share.destination {
            Some(other) => (&*other.namespace, &*other.name),
            None => (own.namespace, own.service),
        };
        let reached = (namespace, name, &share.labels);
        self.reach(reached, (object, &share.place), "These requests answer 503")
    }

    fn mirror(&mut self, object: &Object, service: &ServiceRef) -> Option<String> {
        let ServiceRef { namespace, name, labels, place } = service;
        self.reach((namespace, name, labels), (object, place), "Nothing is mirrored")
    }

    /// The cluster that actions name for a version of a service. Its problems are
    /// reported at each place that names it.
    fn reach(
        &mut self,
        (namespace, name, labels): (&str, &str, &Labels),
        (object, place): (&Object, &Place),
        consequence: &str,
    ) -> Option<String> {
        let key = (namespace.to_owned(), name.to_owned(), labels.clone());
        if !self.led_to.contains_key(&key) {
            let led_to = self.lead_to(namespace, name, labels);
            self.led_to.insert(key.clone(), led_to);
        }
        let LedTo { named, problems } = self.led_to.get(&key)?;
        let findings = problems.iter().map(|problem| match problem {
            Problem::Unreachable(reason) => {
                place.finding(object, reason.code(), format!("{reason}. {consequence}"))
            }
            Problem::Doubtful(warning) => {
                place.finding(object, warning.code, warning.message(consequence))
            }
        });
        self.findings.borrow_mut().extend(findings);
        named.clone()
    }

    fn lead_to(&mut self, namespace: &str, name: &str, labels: &Labels) -> LedTo {
        let (mut at_ports, mut problems) = (Vec::with_capacity(self.ports.len()), Vec::new());
        for port in self.ports {
            let (cluster, problem) = match self.reach_at(port, namespace, name, labels) {
                Ok(Reached { cluster, warning }) => (Some(cluster), warning.map(Problem::Doubtful)),
                Err(reason) => (None, Some(Problem::Unreachable(reason))),
            };
            at_ports.push(cluster);
            // Most problems are the same at every port.
            let is_new =
                |problem: &Problem| problems.len() < MAX_PROBLEMS && !problems.contains(problem);
            problems.extend(problem.filter(is_new));
        }
        LedTo { named: self.name(at_ports), problems }
    }

    /// The cluster of another service, at the port that corresponds to the one that the
    /// Ingress names.
    fn reach_at(
        &mut self,
        port: &UsedPort<'_>,
        namespace: &str,
        name: &str,
        labels: &Labels,
    ) -> Result<Reached, Unreachable> {
        let service = self.clusters.find(namespace, name)?;
        let port = service.port_like(&port.port)?;
        self.clusters.reach(service, &port, labels)
    }
}

/// The limits of what clients can request in the headers that rules name.
struct ClientLimits<'s>(&'s Settings);

impl ClientLimits<'_> {
    fn timeout(&self, timeout: Option<&Timeout>) -> Option<Timeout> {
        let mut timeout = timeout?.clone();
        timeout.override_limit_ms = self.ms(timeout.override_header.as_ref());
        Some(timeout)
    }

    fn retries(&self, retries: Option<&table::Retries>) -> Option<table::Retries> {
        let mut retries = retries?.clone();
        let limit = self.0.client_retry_limit;
        retries.override_limit = retries.override_header.as_ref().map(|_| limit);
        Some(retries)
    }

    fn fault(&self, fault: Option<&table::Fault>) -> Option<table::Fault> {
        let mut fault = fault?.clone();
        if let Some(delay) = &mut fault.delay {
            delay.override_limit_ms = self.ms(delay.override_header.as_ref());
        }
        Some(fault)
    }

    /// The limit, if there is an override header.
    fn ms(&self, header: Option<&String>) -> Option<u32> {
        header.map(|_| self.0.client_time_limit.milliseconds())
    }
}
