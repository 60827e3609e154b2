//! The owner of a host: the namespace of the oldest Ingress that names it.
//!
//! An Ingress can name any host. Without owners, another namespace could add a path to the
//! host, receive the cookies that clients send, or answer the challenges of certificate
//! authorities (RFC 8555 section 8.3).

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use crate::finding::{Code, Finding, Findings, quote};
use crate::manifest::Object;
use crate::objects::Place;
use crate::objects::ingress::{DefaultBackend, Ingress, Rule, TlsEntry, TlsHost, TlsHosts};
use crate::selection::OurIngress;
use crate::settings::HostOwnership;

/// All hosts that no Ingress names.
pub(super) const ANY_HOST: &str = "*";

/// The owner of each host that Ingresses name.
pub(super) struct Ownership<'a> {
    claims: Claims<'a>,
    setting: HostOwnership,
    /// The rejected Ingresses, by the host of the owner's claim.
    refused: RefCell<BTreeMap<&'a str, BTreeSet<RefusedClaim<'a>>>>,
}

/// The namespace and name of an Ingress, and the host that it may not use.
type RefusedClaim<'a> = (&'a str, &'a str, &'a str);

/// The first claim to each host.
#[derive(Default)]
struct Claims<'a> {
    /// The claims to all hosts, including wildcards and [`ANY_HOST`].
    by_host: HashMap<&'a str, Claim<'a>>,
    /// The claims to wildcards, by the suffix after `*.`.
    by_suffix: HashMap<&'a str, Claim<'a>>,
}

/// The oldest Ingress that names a host.
#[derive(Clone, Copy)]
struct Claim<'a> {
    host: &'a str,
    ingress: &'a Object,
    field: Field<'a>,
    /// The position in the order of age.
    age: usize,
}

/// The field that names a host.
#[derive(Clone, Copy)]
enum Field<'a> {
    Rule(&'a Rule),
    Tls(&'a TlsEntry, &'a TlsHost),
    DefaultBackend(&'a DefaultBackend),
}

/// The message that a host belongs to another namespace.
pub(super) struct ForeignHost<'a> {
    host: &'a str,
    owner: Claim<'a>,
}

impl<'a> Ownership<'a> {
    /// The owners of the hosts of Ingresses, which are ordered by age. An Ingress that is
    /// not served owns its hosts too, so they do not change their owner until it is
    /// repaired.
    pub(super) fn new(ingresses: &'a [OurIngress<'a>], setting: HostOwnership) -> Self {
        let mut claims = Claims::default();
        for (age, OurIngress { object, read }) in ingresses.iter().enumerate() {
            for (host, field) in read.value.iter().flat_map(named_hosts) {
                claims.add(Claim { host, ingress: object, field, age });
            }
        }
        Self { claims, setting, refused: RefCell::default() }
    }

    /// Checks that an Ingress may define routes for a host.
    ///
    /// # Errors
    /// If the host belongs to another namespace.
    pub(super) fn check(&self, ingress: &'a Object, host: &'a str) -> Result<(), ForeignHost<'a>> {
        match self.owner(host) {
            Some(owner) if owner.ingress.namespace != ingress.namespace => {
                let refused = (&*ingress.namespace, &*ingress.name, host);
                self.refused.borrow_mut().entry(owner.host).or_default().insert(refused);
                Err(ForeignHost { host, owner })
            }
            _ => Ok(()),
        }
    }

    /// Whether a host belongs to another namespace.
    pub(super) fn is_foreign(&self, namespace: &str, host: &str) -> bool {
        self.owner(host).is_some_and(|owner| *owner.ingress.namespace != *namespace)
    }

    /// The hosts that are not wildcards.
    pub(super) fn exact_hosts(&self) -> impl Iterator<Item = &'a str> {
        let hosts = self.claims.by_host.keys().copied();
        hosts.filter(|host| !host.starts_with(ANY_HOST))
    }

    /// Reports to owners which other namespaces name their hosts.
    pub(super) fn report(&self, findings: &RefCell<Findings>) {
        let mut findings = findings.borrow_mut();
        for (host, refused) in &*self.refused.borrow() {
            let claim = self.claims.by_host.get(host);
            findings.extend(claim.and_then(|claim| claim.refuses(refused)));
        }
    }

    /// `None` if hosts are shared.
    fn owner(&self, host: &str) -> Option<Claim<'a>> {
        match self.setting {
            HostOwnership::Namespace => self.claims.first(host),
            HostOwnership::Shared => None,
        }
    }
}

impl<'a> Claims<'a> {
    fn add(&mut self, claim: Claim<'a>) {
        self.by_host.entry(claim.host).or_insert(claim);
        if let Some(suffix) = claim.host.strip_prefix("*.") {
            self.by_suffix.entry(suffix).or_insert(claim);
        }
    }

    /// The oldest claim to a host or to its wildcard. [`ANY_HOST`] does not count, because
    /// an older default backend would own all later hosts.
    fn first(&self, host: &str) -> Option<Claim<'a>> {
        let suffix = host.split_once('.').map(|(_, suffix)| suffix);
        let by_wildcard = suffix.and_then(|suffix| self.by_suffix.get(suffix));
        let claims = self.by_host.get(host).into_iter().chain(by_wildcard);
        claims.min_by_key(|claim| claim.age).copied()
    }
}

impl Claim<'_> {
    /// The finding for the owner about other namespaces that name the host.
    fn refuses(&self, refused: &BTreeSet<RefusedClaim<'_>>) -> Option<Finding> {
        let (namespace, name, host) = refused.first()?;
        let others = match refused.len() {
            1 => String::new(),
            more => format!(", and there are {} more such Ingresses or hosts", more - 1),
        };
        let message = format!(
            "Ingress {namespace}/{name} of another namespace also names {}{others}. It is not served there, because this Ingress is older; to let namespaces share hosts, set hostOwnership: shared",
            Host(host),
        );
        let code = Code::HostWantedByOtherNamespace;
        Some(self.field.place().finding(self.ingress, code, message))
    }
}

impl Field<'_> {
    fn place(self) -> Place {
        match self {
            Self::Rule(rule) => rule.host_place(),
            Self::Tls(entry, host) => entry.host_place(host),
            Self::DefaultBackend(default) => default.place.clone(),
        }
    }
}

impl fmt::Display for ForeignHost<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Claim { host, ingress, field, .. } = self.owner;
        let named = if host == self.host { "it".to_owned() } else { Host(host).to_string() };
        write!(
            f,
            "{} belongs to namespace {}, whose {} named {named} first{}; use another host, or set \
             hostOwnership: shared to let namespaces share hosts",
            Host(self.host),
            ingress.namespace,
            ingress.reference(),
            ingress.at(field.place().at)
        )
    }
}

/// A host in a message.
struct Host<'a>(&'a str);

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ANY_HOST => f.write_str("every host that no Ingress names"),
            host => write!(f, "host {}", quote(host)),
        }
    }
}

/// The hosts that an Ingress names, with their fields.
fn named_hosts(ingress: &Ingress) -> impl Iterator<Item = (&str, Field<'_>)> {
    let by_rules = ingress.rules.iter().map(|rule| (rule.host_or_any(), Field::Rule(rule)));
    let by_tls = ingress.tls.value.iter().flat_map(|entry| {
        let hosts = match &entry.hosts {
            TlsHosts::OfRules => &[][..],
            TlsHosts::Listed(hosts) => hosts,
        };
        hosts.iter().map(move |host| (&*host.name.value, Field::Tls(entry, host)))
    });
    let by_default = ingress.default_backend.iter();
    let by_default = by_default.map(|default| (ANY_HOST, Field::DefaultBackend(default)));
    by_rules.chain(by_tls).chain(by_default)
}
