//! What the rules of a service come to at one of its ports.

use std::cell::RefCell;

use ingress_filter::table::{self, Action, Destination, Forward, Timeout};

use super::backends::UsedPort;
use super::clusters::{Clusters, Reached};
use super::rules::Applicable;
use super::unreachable::Unreachable;
use crate::finding::Findings;
use crate::manifest::Object;
use crate::objects::route_rule::{Effect, Forwarding, ServiceRef, Share};
use crate::objects::{Labels, Place};
use crate::settings::Settings;

/// Makes the actions of one backend.
pub(super) struct Actions<'c, 'a> {
    clusters: &'c mut Clusters<'a>,
    port: &'c UsedPort<'a>,
    settings: &'c Settings,
    findings: &'c RefCell<Findings>,
}

impl<'c, 'a> Actions<'c, 'a> {
    pub(super) fn new(
        clusters: &'c mut Clusters<'a>,
        port: &'c UsedPort<'a>,
        settings: &'c Settings,
        findings: &'c RefCell<Findings>,
    ) -> Self {
        Self { clusters, port, settings, findings }
    }

    /// What happens where no rule matches.
    pub(super) fn default_action(&self) -> Action {
        let timeout = self.default_timeout();
        Forward { timeout, ..Forward::to(self.port.cluster.clone()) }.into()
    }

    /// The rule as the route table has it.
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
        Forward {
            cluster,
            timeout: timeout.clone().or_else(|| self.default_timeout()),
            retries: retries.clone(),
            rewrite: rewrite.clone(),
            websocket: forwarding.websocket,
            mirror,
            append_headers: append_headers.clone(),
            cors: cors.clone(),
            fault: fault.clone(),
        }
    }

    fn default_timeout(&self) -> Option<Timeout> {
        let timeout = self.settings.default_timeout?;
        Some(Timeout { ms: timeout.milliseconds(), override_header: None })
    }

    fn destination(&mut self, object: &Object, shares: &[Share]) -> Destination {
        let mut shares: Vec<_> = shares
            .iter()
            .map(|share| table::Share { cluster: self.share(object, share), weight: share.weight })
            .collect();
        match &mut *shares {
            [] => Destination::Cluster(self.port.cluster.clone()),
            [table::Share { cluster: only @ Some(_), .. }] => {
                Destination::Cluster(only.take().unwrap_or_default())
            }
            _ => Destination::Split(shares),
        }
    }

    /// The cluster of a share; `None`, with a finding, where there is none.
    fn share(&mut self, object: &Object, share: &Share) -> Option<String> {
        let own = (self.port.namespace, self.port.service);
        let (namespace, name) =
            share.destination.as_ref().map_or(own, |other| (&*other.namespace, &*other.name));
        let reached = self.reach(namespace, name, &share.labels);
        self.report(object, &share.place, reached, "These requests answer 503")
    }

    fn mirror(&mut self, object: &Object, service: &ServiceRef) -> Option<String> {
        let ServiceRef { namespace, name, labels, place } = service;
        let reached = self.reach(namespace, name, labels);
        self.report(object, place, reached, "Nothing is mirrored")
    }

    /// The cluster of another service, at the port that is most like the one
    /// the Ingress names.
    fn reach(
        &mut self,
        namespace: &str,
        name: &str,
        labels: &Labels,
    ) -> Result<Reached, Unreachable> {
        let service = self.clusters.find(namespace, name)?;
        let port = service.port_like(self.port.port)?;
        self.clusters.reach(service, port, labels)
    }

    fn report(
        &self,
        object: &Object,
        place: &Place,
        reached: Result<Reached, Unreachable>,
        consequence: &str,
    ) -> Option<String> {
        let mut findings = self.findings.borrow_mut();
        match reached {
            Err(reason) => {
                findings.push(place.error(object, format!("{reason}. {consequence}")));
                None
            }
            Ok(Reached { cluster, warning }) => {
                if let Some(warning) = warning {
                    findings.push(place.warning(object, warning.message(consequence)));
                }
                Some(cluster)
            }
        }
    }
}
