//! The certificates that Ingresses name, and the hosts that they are for.
//!
//! A host belongs to the oldest Ingress that names it under `spec.tls`. Where its
//! Secret cannot be used, it has the default certificate, as do clients that
//! name no host or one without an entry.

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ingress_filter::DEFAULT_CERTIFICATE;
use ingress_filter::table::TlsHost;

use super::unread::Remedies;
use super::{Circumstances, host};
use crate::certificates::{Certificate, Memo};
use crate::finding::{Finding, Findings, Severity, quote};
use crate::manifest::{Object, Position};
use crate::model::Https;
use crate::objects::secret::Secret;
use crate::objects::{Cursor, Place, Reading, is_named_well};
use crate::settings::ObjectName;

/// The most names of a certificate that a message lists.
const LISTED_NAMES: usize = 8;

/// Certificates begin and end to be valid while nothing else changes.
const RECHECK_PERIOD: Duration = Duration::from_hours(1);

/// What `spec.tls` of all Ingresses comes to.
pub(super) struct Tls {
    /// None where there is no certificate at all.
    pub(super) https: Option<Https>,
    /// For the route table.
    pub(super) hosts: Vec<TlsHost>,
    /// The Secrets that are asked for, there or not.
    pub(super) secrets: BTreeSet<ObjectName>,
    /// When another look into them is due.
    pub(super) recheck_at: Option<SystemTime>,
}

/// Reads the TLS entries of Ingresses, the oldest first.
pub(super) struct TlsCollector<'a> {
    secrets: Secrets<'a>,
    default: &'a ObjectName,
    findings: &'a RefCell<Findings>,
    hosts: BTreeMap<String, Claim<'a>>,
    /// Where Secrets are named.
    named: Vec<(&'a Object, Place, ObjectName)>,
}

/// The first that names a host.
struct Claim<'a> {
    secret: ObjectName,
    ingress: &'a Object,
    at: Position,
}

impl<'a> TlsCollector<'a> {
    pub(super) fn new(
        secrets: &[&'a Object],
        circumstances: &Circumstances<'a>,
        findings: &'a RefCell<Findings>,
    ) -> Self {
        Self {
            secrets: Secrets::new(secrets, circumstances, findings),
            default: &circumstances.settings.default_certificate,
            findings,
            hosts: BTreeMap::new(),
            named: Vec::new(),
        }
    }

    pub(super) fn read(&mut self, ingress: &'a Object) {
        // What is wrong with the name, the reader of rules has told.
        let (told_elsewhere, findings) = (RefCell::default(), self.findings);
        let reading = Reading::new(ingress, &told_elsewhere);
        if !is_named_well(ingress, &reading.root()) {
            return;
        }
        let reading = Reading::new(ingress, findings);
        let root = reading.root();
        let Some(spec) = root.field("spec").filter(|spec| spec.node().as_map().is_some()) else {
            return;
        };
        for item in spec.list("tls") {
            let entry = item.cursor();
            if entry.expect_mapping() {
                entry.only(&["hosts", "secretName"]);
                self.read_entry(ingress, &spec, &entry);
            }
        }
    }

    fn read_entry(&mut self, ingress: &'a Object, spec: &Cursor<'_>, entry: &Cursor<'_>) {
        let Some(secret) = self.secret_of(ingress, entry) else { return };
        if entry
            .field("hosts")
            .is_none_or(|hosts| hosts.node().as_list().is_some_and(<[_]>::is_empty))
        {
            return self.claim_hosts_of_rules(ingress, spec, &secret);
        }
        for item in entry.list("hosts") {
            let cursor = item.cursor();
            let Some(text) = cursor.as_string() else { continue };
            match host::parse(text) {
                Ok(host) => self.claim(ingress, &cursor, host, &secret),
                Err(message) => cursor.error(format!("{message}; it has no certificate")),
            }
        }
    }

    /// The Secret that an entry names. An empty name, or none, stands for the
    /// default certificate.
    fn secret_of(&mut self, ingress: &'a Object, entry: &Cursor<'_>) -> Option<ObjectName> {
        let Some(field) = entry.field("secretName") else { return Some(self.default.clone()) };
        let text = field.as_string()?;
        if text.is_empty() {
            return Some(self.default.clone());
        }
        let name = ObjectName::new(&ingress.namespace, text);
        match &name {
            Some(name) => self.named.push((ingress, field.place(), name.clone())),
            None => field.error(
                "is no name of a Secret; correct it: lower-case letters, digits, - and ., 253 at \
                 most",
            ),
        }
        name
    }

    /// An entry without hosts is for those of the same Ingress's rules that the
    /// certificate is for. Kubernetes leaves to the controller what it means.
    fn claim_hosts_of_rules(
        &mut self,
        ingress: &'a Object,
        spec: &Cursor<'_>,
        secret: &ObjectName,
    ) {
        let Some(certificate) = self.secrets.get(secret) else { return };
        let rules = spec.node().get("rules").and_then(|rules| rules.as_list());
        for rule in rules.unwrap_or_default() {
            // What is wrong with a rule, its reader tells.
            let field = rule.get("host").and_then(|host| Some((host.as_str()?, host.at)));
            let Some((Ok(host), at)) = field.map(|(text, at)| (host::parse(text), at)) else {
                continue;
            };
            if certificate.covers(host) {
                let claim = || Claim { secret: secret.clone(), ingress, at };
                self.hosts.entry(host.to_owned()).or_insert_with(claim);
            }
        }
    }

    fn claim(&mut self, ingress: &'a Object, cursor: &Cursor<'_>, host: &str, secret: &ObjectName) {
        if let Some(first) = self.hosts.get(host) {
            if first.secret != *secret {
                cursor.warning(format!(
                    "has the certificate of Secret {} already, as {}{} says, which comes first; \
                     remove the host from one of the two",
                    quote(&first.secret.to_string()),
                    first.ingress.reference(),
                    first.ingress.at(first.at),
                ));
            }
            return;
        }
        if let Some(certificate) = self.secrets.get(secret)
            && !certificate.covers(host)
        {
            cursor.warning(format!(
                "the certificate in Secret {} is not for this host but for {}, so clients refuse \
                 it; name another Secret, or have one issued for both",
                quote(secret.name()),
                list(&certificate.names)
            ));
        }
        let claim = Claim { secret: secret.clone(), ingress, at: cursor.node().at };
        self.hosts.insert(host.to_owned(), claim);
    }

    pub(super) fn finish(mut self, circumstances: &Circumstances<'_>) -> Tls {
        let default = self.secrets.get(self.default);
        let secrets = self.named.iter().map(|(.., name)| name).chain([self.default]);
        let secrets: BTreeSet<_> = secrets.cloned().collect();
        self.tell_missing(&Remedies::new(circumstances, secrets.iter()), default.is_some());

        let mut certificates = BTreeMap::new();
        certificates.extend(default.map(|default| (DEFAULT_CERTIFICATE.to_owned(), default)));
        let mut hosts = BTreeMap::new();
        for (host, claim) in &self.hosts {
            let own = (claim.secret != *self.default).then(|| self.secrets.get(&claim.secret));
            let name = match own.flatten() {
                Some(certificate) => {
                    let name = claim.secret.to_string();
                    certificates.insert(name.clone(), certificate);
                    name
                }
                None => DEFAULT_CERTIFICATE.to_owned(),
            };
            hosts.insert(host.clone(), name);
        }
        Tls {
            hosts: by_certificate(&hosts),
            https: (!certificates.is_empty()).then_some(Https { certificates, hosts }),
            secrets,
            recheck_at: self.secrets.recheck_at(),
        }
    }

    /// Says of each Secret that is asked for and not there what becomes of its
    /// hosts.
    fn tell_missing(&self, remedies: &Remedies<'_>, has_default: bool) {
        let mut findings = self.findings.borrow_mut();
        // Perhaps no Ingress names the default one.
        let is_named = self.named.iter().any(|(.., name)| name == self.default);
        if let Some(remedy) = remedies.of(self.default).filter(|_| !is_named) {
            findings.push(Finding::error(format!("setting defaultCertificate: {remedy}")));
        }
        for (ingress, place, name) in &self.named {
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
                "there is no default certificate either, so nothing is served over HTTPS in its \
                 stead"
            };
            let finding = match remedy {
                Some(remedy) => place.error(ingress, format!("{remedy} Until then {consequence}")),
                None => place.warning(
                    ingress,
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

/// Hosts by their certificate, as the route table has them.
fn by_certificate(hosts: &BTreeMap<String, String>) -> Vec<TlsHost> {
    let mut groups: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for (host, certificate) in hosts {
        groups.entry(certificate).or_default().push(host.clone());
    }
    let group =
        |(certificate, hosts): (&String, _)| TlsHost { hosts, certificate: certificate.clone() };
    groups.into_iter().map(group).collect()
}

/// Secrets that hold certificates, each looked into when it is first named.
struct Secrets<'a> {
    objects: BTreeMap<(&'a str, &'a str), &'a Object>,
    /// None where it cannot be used, which has been told.
    known: BTreeMap<ObjectName, Option<Arc<Certificate>>>,
    now: SystemTime,
    memo: &'a Memo,
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
        let Circumstances { now, memo, .. } = *circumstances;
        Self { objects, known: BTreeMap::new(), now, memo, findings }
    }

    fn is_there(&self, name: &ObjectName) -> bool {
        self.objects.contains_key(&(name.namespace(), name.name()))
    }

    /// The certificate in a Secret, if that is there and can be used.
    fn get(&mut self, name: &ObjectName) -> Option<Arc<Certificate>> {
        let object = *self.objects.get(&(name.namespace(), name.name()))?;
        let (now, memo, findings) = (self.now, self.memo, self.findings);
        let read = || read(object, now, memo, findings);
        self.known.entry(name.clone()).or_insert_with(read).clone()
    }

    fn recheck_at(&self) -> Option<SystemTime> {
        let ends = self.known.values().flatten().map(|certificate| certificate.not_after);
        let soon = (!self.known.is_empty()).then(|| self.now + RECHECK_PERIOD);
        ends.chain(soon).min()
    }
}

fn read(
    object: &Object,
    now: SystemTime,
    memo: &Memo,
    findings: &RefCell<Findings>,
) -> Option<Arc<Certificate>> {
    let secret = Secret::read(&Reading::new(object, findings))?;
    let checked = memo.read(&secret.chain, &secret.key, now);
    for problem in &checked.problems {
        let place =
            if problem.key() == "tls.key" { &secret.key_place } else { &secret.chain_place };
        let finding = match problem.severity() {
            Severity::Error => place.error(object, problem.to_string()),
            Severity::Warning => place.warning(object, problem.to_string()),
        };
        findings.borrow_mut().push(finding);
    }
    checked.certificate.clone()
}

/// Names as a message has them.
fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "none".into();
    }
    let listed: Vec<_> = names.iter().take(LISTED_NAMES).map(|name| quote(name)).collect();
    let more = if names.len() > LISTED_NAMES { " and others" } else { "" };
    format!("{}{more}", listed.join(", "))
}
