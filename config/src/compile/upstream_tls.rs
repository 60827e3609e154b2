//! TLS to the endpoints of Services: the certificates that are accepted, and the one that
//! the gateway shows.
//!
//! A port is not served unless its certificates can be verified as its Service asks.

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::SystemTime;

use super::clusters::Named;
use super::unreachable::Unreachable;
use super::unreadable::Remedies;
use super::{Circumstances, RECHECK_PERIOD};
use crate::certificates::{Authorities, Certificate, Problem, Role};
use crate::finding::{Code, Finding, Findings, quote};
use crate::manifest::Object;
use crate::model::{Roots, UpstreamSecrets, UpstreamTls, Verification};
use crate::objects::secret::CaSecret;
use crate::objects::service::{self, Residence, SecretRef};
use crate::objects::{ObjectName, Place, Reading};

/// The settings of TLS of each service, as they are first needed.
pub(super) struct TlsUpstreams<'a> {
    secrets: HashMap<(&'a str, &'a str), &'a Object>,
    circumstances: Circumstances<'a>,
    remedies: Remedies<'a>,
    findings: &'a RefCell<Findings>,
    /// By namespace and name; `None` if it is unusable, which has been reported.
    by_service: BTreeMap<(String, String), Option<UpstreamTls>>,
    /// The same, by the name of the Secret.
    authorities: BTreeMap<ObjectName, Option<Arc<Authorities>>>,
    clients: BTreeMap<ObjectName, Option<Arc<Certificate>>>,
}

impl<'a> TlsUpstreams<'a> {
    pub(super) fn new(
        secrets: &[&'a Object],
        circumstances: Circumstances<'a>,
        remedies: Remedies<'a>,
        findings: &'a RefCell<Findings>,
    ) -> Self {
        let by_name = |secret: &&'a Object| ((&*secret.namespace, &*secret.name), *secret);
        Self {
            secrets: secrets.iter().map(by_name).collect(),
            circumstances,
            remedies,
            findings,
            by_service: BTreeMap::new(),
            authorities: BTreeMap::new(),
            clients: BTreeMap::new(),
        }
    }

    /// How to connect to ports of a service with TLS. Its full DNS name is `host`.
    pub(super) fn of(
        &mut self,
        target: Named<'_>,
        port: u16,
        host: &str,
    ) -> Result<UpstreamTls, Unreachable> {
        let key = (target.namespace.to_owned(), target.name.to_owned());
        if !self.by_service.contains_key(&key) {
            let tls = self.read(target, host);
            self.by_service.insert(key.clone(), tls);
        }
        let known = self.by_service.get(&key).cloned().flatten();
        known.ok_or_else(|| Unreachable::TlsNotUsable { port, service: target.to_string() })
    }

    fn read(&mut self, target: Named<'_>, host: &str) -> Option<UpstreamTls> {
        let tls = target.service.tls.as_ref()?;
        let roots = match &tls.roots {
            service::Roots::System => {
                let file = self.circumstances.settings.upstream_ca_file.clone();
                Some(Some(Roots::File(file)))
            }
            service::Roots::Unverified => Some(None),
            service::Roots::Secret(secret) => self
                .authorities(target.object, secret)
                .then(|| Some(Roots::Secret(authorities_name(&secret.name)))),
        };
        let client = match &tls.client {
            None => Some(None),
            Some(secret) => {
                self.client(target.object, secret).then(|| Some(client_name(&secret.name)))
            }
        };
        let names = names(target, host);
        let server_name = names.first().cloned().unwrap_or_default();
        let verification = roots?.map(|roots| Verification { roots, names });
        Some(UpstreamTls { server_name, verification, client: client? })
    }

    /// Whether the Secret has the certificates of authorities.
    fn authorities(&mut self, service: &Object, secret: &SecretRef) -> bool {
        let Some(object) = self.find(service, secret) else { return false };
        let (circumstances, findings) = (&self.circumstances, self.findings);
        let read = || read_authorities(object, circumstances, findings);
        self.authorities.entry(secret.name.clone()).or_insert_with(read).is_some()
    }

    /// Whether the Secret has a certificate for the gateway.
    fn client(&mut self, service: &Object, secret: &SecretRef) -> bool {
        let Some(object) = self.find(service, secret) else { return false };
        let (circumstances, findings) = (&self.circumstances, self.findings);
        let read = || read_client(object, circumstances, findings);
        self.clients.entry(secret.name.clone()).or_insert_with(read).is_some()
    }

    /// The Secret that `service` names. Reports a Secret that is missing or unreadable.
    fn find(&self, service: &Object, SecretRef { name, place }: &SecretRef) -> Option<&'a Object> {
        let found = self.secrets.get(&(name.namespace(), name.name())).copied();
        let finding = match (self.remedies.of(name), found) {
            (None, Some(object)) => return Some(object),
            (Some((code, remedy)), found) => {
                let consequence = match found {
                    Some(_) => "what was read before is still used",
                    None => "ports with TLS of this service are not served",
                };
                place.finding(service, code, format!("{remedy} Until then {consequence}"))
            }
            (None, None) => {
                let message = format!(
                    "there is no Secret {}{}, so ports with TLS of this service are not served; create it, or correct the name",
                    quote(&name.to_string()),
                    if service.file.is_some() { " among the manifests" } else { "" },
                );
                place.finding(service, Code::UpstreamSecretNotFound, message)
            }
        };
        self.findings.borrow_mut().push(finding);
        found
    }

    /// The Secrets that are used, and the time of the next check.
    pub(super) fn finish(self) -> (UpstreamSecrets, Option<SystemTime>) {
        let now = self.circumstances.now;
        let authorities = self.authorities.values().flatten();
        let turns = authorities.filter_map(|authorities| authorities.turns_after(now));
        let clients = self.clients.values().flatten();
        let turns = turns.chain(clients.filter_map(|certificate| certificate.turns_after(now)));
        let is_any = !self.authorities.is_empty() || !self.clients.is_empty();
        let recheck_at = turns.chain(is_any.then(|| now + RECHECK_PERIOD)).min();
        let authorities = self.authorities.into_iter();
        let authorities = authorities.filter_map(|(name, it)| Some((authorities_name(&name), it?)));
        let clients = self.clients.into_iter();
        let clients =
            clients.filter_map(|(name, it)| Some((client_name(&name), Arc::clone(&it?.pair))));
        let secrets =
            UpstreamSecrets { authorities: authorities.collect(), clients: clients.collect() };
        (secrets, recheck_at)
    }
}

/// The names for which a certificate is accepted; the first one is sent as SNI. The name
/// without a namespace is not among them, because services of several namespaces may share
/// it, nor is that with only the namespace, which may be a public domain.
fn names(target: Named<'_>, host: &str) -> Vec<String> {
    let tls = target.service.tls.as_ref();
    if let Some(name) = tls.and_then(|tls| tls.server_name.as_deref()) {
        return vec![name.to_owned()];
    }
    match &target.service.residence {
        Residence::External(name) => {
            name.iter().map(|name| name.trim_end_matches('.').to_owned()).collect()
        }
        Residence::InCluster | Residence::Headless => {
            vec![host.to_owned(), format!("{}.{}.svc", target.name, target.namespace)]
        }
    }
}

/// Namespaces have no colon, so certificates for HTTPS have other names.
fn authorities_name(secret: &ObjectName) -> String {
    format!("upstream-ca:{secret}")
}

fn client_name(secret: &ObjectName) -> String {
    format!("upstream-client:{secret}")
}

fn read_authorities(
    object: &Object,
    circumstances: &Circumstances<'_>,
    findings: &RefCell<Findings>,
) -> Option<Arc<Authorities>> {
    let Circumstances { now, caches, refused, .. } = circumstances;
    let secret = CaSecret::read(&Reading::new(object, findings))?;
    let checked = caches.checks.read_authorities(&secret.certificates, *now);
    let mut findings = findings.borrow_mut();
    findings.extend(checked.problems.iter().map(|problem| told(problem, &secret.place, object)));
    let authorities = checked.certificate.clone()?;
    if let Some(message) = refused.certificate(|| authorities.fingerprint()) {
        let message = format!(
            "Envoy refuses these certificates: {message}; replace them by the original ones. They are left out until they change"
        );
        findings.push(secret.place.finding(object, Code::EnvoyRefusesCertificate, message));
        return None;
    }
    Some(authorities)
}

fn read_client(
    object: &Object,
    circumstances: &Circumstances<'_>,
    findings: &RefCell<Findings>,
) -> Option<Arc<Certificate>> {
    super::tls::read(object, Role::Client, circumstances, findings)
}

fn told(problem: &Problem, place: &Place, object: &Object) -> Finding {
    place.finding(object, problem.code(), problem.to_string())
}
