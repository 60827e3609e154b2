//! The certificates that Ingresses name, and their hosts.
//!
//! A host has the certificate of the oldest Ingress that names it under `spec.tls`, or the
//! default certificate if its Secret is unusable. Clients without SNI, or with a server
//! name that has no entry, get the default certificate.

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::SystemTime;

use ingress_filter::DEFAULT_CERTIFICATE;
use ingress_filter::table::TlsHost;

use super::ownership::Ownership;
use super::unreadable::Remedies;
use super::{Circumstances, RECHECK_PERIOD};
use crate::certificates::{Certificate, Role};
use crate::finding::{Code, Finding, Findings, quote};
use crate::manifest::{Object, Position};
use crate::model::{Alternatives, Https};
use crate::objects::ingress::{Ingress, Rule, TlsEntry, TlsHosts};
use crate::objects::secret::Secret;
use crate::objects::{Located, ObjectName, Place, Reading};

/// The maximum number of names of a certificate that a message lists.
const LISTED_NAMES: usize = 8;

/// The certificates of `spec.tls` of all Ingresses.
pub(super) struct Tls {
    /// `None` without any certificate.
    pub(super) https: Option<Https>,
    /// For the route table.
    pub(super) hosts: Vec<TlsHost>,
    /// The time of the next check.
    pub(super) recheck_at: Option<SystemTime>,
}

/// Collects the TLS entries of Ingresses, the oldest first.
pub(super) struct TlsCollector<'a> {
    secrets: Secrets<'a>,
    default: &'a ObjectName,
    ownership: &'a Ownership<'a>,
    findings: &'a RefCell<Findings>,
    hosts: BTreeMap<&'a str, Claim<'a>>,
    /// The fields that name each Secret.
    named: Vec<(&'a Object, &'a TlsEntry, &'a Located<ObjectName>)>,
}

/// The first entry that names a host.
struct Claim<'a> {
    secret: &'a ObjectName,
    /// The certificate of a later entry, with the other type of key.
    alternative: Option<&'a ObjectName>,
    ingress: &'a Object,
    at: Position,
}

impl<'a> TlsCollector<'a> {
    pub(super) fn new(
        secrets: &[&'a Object],
        ownership: &'a Ownership<'a>,
        circumstances: &Circumstances<'a>,
        findings: &'a RefCell<Findings>,
    ) -> Self {
        Self {
            secrets: Secrets::new(secrets, circumstances, findings),
            ownership,
            default: &circumstances.settings.default_certificate,
            findings,
            hosts: BTreeMap::new(),
            named: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, object: &'a Object, ingress: &'a Ingress) {
        for entry in ingress.tls.tell(self.findings) {
            let secret = match &entry.secret {
                None => self.default,
                Some(secret) => {
                    self.named.push((object, entry, secret));
                    &secret.value
                }
            };
            match &entry.hosts {
                TlsHosts::OfRules => self.claim_hosts_of_rules(object, &ingress.rules, secret),
                TlsHosts::Listed(hosts) => {
                    for host in hosts {
                        self.claim(object, &host.name, secret, || entry.host_place(host));
                    }
                }
            }
        }
    }

    /// The hosts of the rules that the certificate covers.
    fn claim_hosts_of_rules(
        &mut self,
        ingress: &'a Object,
        rules: &'a [Rule],
        secret: &'a ObjectName,
    ) {
        let Some(certificate) = self.secrets.get(secret) else { return };
        for Located { value: host, at } in rules.iter().filter_map(|rule| rule.host.as_ref()) {
            let is_foreign = self.ownership.is_foreign(&ingress.namespace, host);
            if certificate.covers(host) && !is_foreign && !self.add_alternative(host, secret) {
                let claim = Claim { secret, alternative: None, ingress, at: *at };
                self.hosts.entry(host).or_insert(claim);
            }
        }
    }

    fn claim(
        &mut self,
        ingress: &'a Object,
        Located { value: host, at }: &'a Located<Box<str>>,
        secret: &'a ObjectName,
        place: impl Fn() -> Place,
    ) {
        if let Err(foreign) = self.ownership.check(ingress, host) {
            let message = format!("{foreign}. It does not get this certificate");
            let finding = place().finding(ingress, Code::HostOfOtherNamespace, message);
            self.findings.borrow_mut().push(finding);
            return;
        }
        let warn = |code, message: String| {
            self.findings.borrow_mut().push(place().finding(ingress, code, message));
        };
        if self.add_alternative(host, secret) {
            return;
        }
        if let Some(first) = self.hosts.get(&**host) {
            if first.secret != secret {
                let message = format!(
                    "already has the certificate of Secret {}, from {}{}; remove the host from one of the two",
                    quote(&first.secret.to_string()),
                    first.ingress.reference(),
                    first.ingress.at(first.at),
                );
                warn(Code::TlsHostConflict, message);
            }
            return;
        }
        if let Some(certificate) = self.secrets.get(secret)
            && !certificate.covers(host)
        {
            let message = format!(
                "the certificate in Secret {} covers {} but not this host, so clients reject it; name another Secret, or have a certificate issued that covers both",
                quote(secret.name()),
                list(&certificate.names)
            );
            warn(Code::CertificateNotForHost, message);
        }
        self.hosts.insert(host, Claim { secret, alternative: None, ingress, at: *at });
    }

    /// Adds the certificate in `secret` to that of the first entry for `host`, if one has
    /// an RSA key and the other one for ECDSA. Envoy then uses the one that the client
    /// supports.
    fn add_alternative(&mut self, host: &str, secret: &'a ObjectName) -> bool {
        let Some(Claim { secret: first, alternative, .. }) = self.hosts.get_mut(host) else {
            return false;
        };
        let names = [*first, secret];
        let is_own = names.iter().all(|name| *name != self.default);
        if !is_own || first.namespace() != secret.namespace() || alternative.is_some() {
            return *alternative == Some(secret);
        }
        let certificates = names.map(|name| self.secrets.get(name));
        let [Some(one), Some(other)] = certificates else { return false };
        let is_added = one.complements(&other) && one.covers(host) && other.covers(host);
        *alternative = is_added.then_some(secret);
        is_added
    }

    /// `wanted` are the Secrets that entries name, whether they exist or not.
    pub(super) fn finish(
        mut self,
        circumstances: &Circumstances<'_>,
        wanted: &BTreeSet<ObjectName>,
    ) -> Tls {
        let default = self.secrets.get(self.default);
        self.tell_missing(&Remedies::new(circumstances, wanted.iter()), default.is_some());

        let mut certificates = BTreeMap::new();
        certificates.extend(default.map(|default| (DEFAULT_CERTIFICATE.to_owned(), default)));
        let (mut hosts, mut alternatives) = (BTreeMap::new(), Alternatives::new());
        for (host, claim) in &self.hosts {
            let own = (claim.secret != self.default).then(|| self.secrets.get(claim.secret));
            let name = match own.flatten() {
                Some(certificate) => {
                    let name = claim.secret.to_string();
                    certificates.insert(name.clone(), certificate);
                    if let Some(secret) = claim.alternative
                        && let Some(certificate) = self.secrets.get(secret)
                    {
                        let of_name: &mut BTreeSet<_> =
                            alternatives.entry(name.clone()).or_default();
                        of_name.insert(secret.to_string());
                        certificates.insert(secret.to_string(), certificate);
                    }
                    name
                }
                None => DEFAULT_CERTIFICATE.to_owned(),
            };
            hosts.insert((*host).to_owned(), name);
        }
        for host in self.hosts_below_foreign_wildcards() {
            hosts.insert(host.to_owned(), DEFAULT_CERTIFICATE.to_owned());
        }
        Tls {
            hosts: by_certificate(&hosts),
            https: (!certificates.is_empty()).then_some(Https {
                certificates,
                hosts,
                alternatives,
            }),
            recheck_at: self.secrets.recheck_at(),
        }
    }

    /// The hosts without their own certificate that a wildcard certificate of another
    /// namespace would cover.
    fn hosts_below_foreign_wildcards(&self) -> impl Iterator<Item = &'a str> {
        let wildcards = self.hosts.iter().filter_map(|(host, claim)| {
            Some((host.strip_prefix("*.")?, &*claim.ingress.namespace))
        });
        let wildcards: HashMap<_, _> = wildcards.collect();
        let has_none = |host: &&str| !self.hosts.contains_key(host);
        self.ownership.exact_hosts().filter(has_none).filter(move |host| {
            let suffix = host.split_once('.').map(|(_, suffix)| suffix);
            let namespace = suffix.and_then(|suffix| wildcards.get(suffix));
            namespace.is_some_and(|namespace| self.ownership.is_foreign(namespace, host))
        })
    }

    /// Reports each missing Secret, with the consequence for its hosts.
    fn tell_missing(&self, remedies: &Remedies<'_>, has_default: bool) {
        let mut findings = self.findings.borrow_mut();
        // The default certificate may not be named by any Ingress.
        let is_named = self.named.iter().any(|(.., name)| name.value == *self.default);
        if let Some((code, remedy)) = remedies.of(self.default).filter(|_| !is_named) {
            findings.push(Finding::new(code, format!("setting defaultCertificate: {remedy}")));
        }
        for (ingress, entry, secret) in &self.named {
            let name = &secret.value;
            // Istio 0.5 took the default certificate whatever it was given, so
            // that its name is what its users wrote, in any namespace.
            let means_default = has_default && name.name() == self.default.name();
            let is_there = self.secrets.is_there(name);
            let remedy = remedies.of(name);
            if remedy.is_none() && (is_there || means_default) {
                continue;
            }
            let consequence = if is_there {
                "what was read before is still served"
            } else if has_default {
                "clients get the default certificate"
            } else {
                "there is no default certificate either, so these hosts are not served over HTTPS"
            };
            let place = entry.secret_place(secret);
            let finding = match remedy {
                Some((code, remedy)) => {
                    place.finding(ingress, code, format!("{remedy} Until then {consequence}"))
                }
                None => place.finding(
                    ingress,
                    Code::SecretNotFound,
                    format!(
                        "there is no Secret {}{}: {consequence}; create it, of type \
                         kubernetes.io/tls",
                        quote(&name.to_string()),
                        if ingress.file.is_some() { " among the manifests" } else { "" },
                    ),
                ),
            };
            findings.push(finding);
        }
    }
}

/// The hosts of each certificate, for the route table.
fn by_certificate(hosts: &BTreeMap<String, String>) -> Vec<TlsHost> {
    let mut groups: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for (host, certificate) in hosts {
        groups.entry(certificate).or_default().push(host.clone());
    }
    let group =
        |(certificate, hosts): (&String, _)| TlsHost { hosts, certificate: certificate.clone() };
    groups.into_iter().map(group).collect()
}

/// Secrets with certificates, each checked when it is first named.
struct Secrets<'a> {
    objects: BTreeMap<(&'a str, &'a str), &'a Object>,
    /// `None` if it is unusable, which has been reported.
    known: BTreeMap<ObjectName, Option<Arc<Certificate>>>,
    circumstances: Circumstances<'a>,
    findings: &'a RefCell<Findings>,
}

impl<'a> Secrets<'a> {
    fn new(
        secrets: &[&'a Object],
        circumstances: &Circumstances<'a>,
        findings: &'a RefCell<Findings>,
    ) -> Self {
        let by_name = |secret: &&'a Object| ((&*secret.namespace, &*secret.name), *secret);
        let objects = secrets.iter().map(by_name).collect();
        Self { objects, known: BTreeMap::new(), circumstances: *circumstances, findings }
    }

    fn is_there(&self, name: &ObjectName) -> bool {
        self.objects.contains_key(&(name.namespace(), name.name()))
    }

    /// The certificate in a Secret, if it exists and is usable.
    fn get(&mut self, name: &ObjectName) -> Option<Arc<Certificate>> {
        let object = *self.objects.get(&(name.namespace(), name.name()))?;
        let (circumstances, findings) = (&self.circumstances, self.findings);
        let read = || read(object, Role::Server, circumstances, findings);
        self.known.entry(name.clone()).or_insert_with(read).clone()
    }

    fn recheck_at(&self) -> Option<SystemTime> {
        let known = self.known.values().flatten();
        let now = self.circumstances.now;
        let turns = known.filter_map(|certificate| certificate.turns_after(now));
        let soon = (!self.known.is_empty()).then(|| now + RECHECK_PERIOD);
        turns.chain(soon).min()
    }
}

/// The certificate and its key in a Secret, if both are usable.
pub(super) fn read(
    object: &Object,
    role: Role,
    circumstances: &Circumstances<'_>,
    findings: &RefCell<Findings>,
) -> Option<Arc<Certificate>> {
    let secret = Secret::read(&Reading::new(object, findings))?;
    let Circumstances { now, caches, refused, .. } = circumstances;
    let checked = caches.checks.read(role, &secret.chain, &secret.key, *now);
    for problem in &checked.problems {
        let place =
            if problem.key() == "tls.key" { &secret.key_place } else { &secret.chain_place };
        findings.borrow_mut().push(place.finding(object, problem.code(), problem.message(role)));
    }
    let certificate = checked.certificate.clone()?;
    if let Some(message) = refused.certificate(|| certificate.pair.fingerprint()) {
        let message = format!(
            "Envoy refuses this certificate or its key: {message}; have both issued again. It is left out until it changes"
        );
        let code = Code::EnvoyRefusesCertificate;
        findings.borrow_mut().push(secret.chain_place.finding(object, code, message));
        return None;
    }
    Some(certificate)
}

/// Names in a message.
fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "none".into();
    }
    let listed: Vec<_> = names.iter().take(LISTED_NAMES).map(|name| quote(name)).collect();
    let more = if names.len() > LISTED_NAMES { " and others" } else { "" };
    format!("{}{more}", listed.join(", "))
}
