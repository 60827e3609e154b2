//! Kubernetes objects in, route table and clusters out.
//!
//! One bad path, rule or object never takes its neighbours down: it becomes a
//! finding, and the rest is served. The semantics are those of Kubernetes'
//! `networking/v1` Ingress; paths of older versions are in Istio's notation.
//! RouteRules then shape the requests that Ingresses send to their service.

mod actions;
mod backends;
mod clusters;
mod ingresses;
mod routes;
mod rules;
mod services;
#[cfg(test)]
mod tests;
mod tls;
mod unreadable;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;
use std::time::SystemTime;

use ingress_filter::RouteTable;
use ingress_filter::table::DEFAULT_HTTPS_PORT;
use sha2::{Digest, Sha256};

use crate::certificates::CheckCache;
use crate::envoy::{Cluster, KeyPairs};
use crate::finding::{Finding, Findings};
use crate::hex::hex;
use crate::manifest::{Manifests, Object};
use crate::object_ref::ObjectRef;
use crate::selection::{OurIngress, Selection, named_secrets};
use crate::settings::{ObjectName, Settings};

use backends::Backends;
use ingresses::{Collected, Collector};
use rules::Rules;
use services::Services;
use tls::{Tls, TlsCollector};

pub(crate) use tls::Https;
pub(crate) use unreadable::{UnreadableSecret, UnreadableSecrets};

/// What the objects come to.
#[derive(Debug)]
pub struct Compiled {
    /// What the filter serves.
    pub table: RouteTable,
    /// What the table's backends forward to, sorted by name.
    pub clusters: Vec<Cluster>,
    /// What is wrong with the manifests, those that could not be read included.
    pub findings: Vec<Finding>,
    /// The Ingresses of our class, and whether they serve anything: one whose
    /// every path is wrong, or an older one's, does not.
    pub ingresses: BTreeMap<ObjectRef, bool>,
    /// What is served over HTTPS.
    pub(crate) https: Option<Https>,
    /// The Secrets that are asked for, among the objects or not.
    pub secrets: BTreeSet<ObjectName>,
    /// When the same objects may come to something else, since certificates
    /// begin and end to be valid.
    pub recheck_at: Option<SystemTime>,
}

impl Compiled {
    /// The certificates that are served, with their keys.
    pub(crate) fn key_pairs(&self) -> KeyPairs {
        let certificates = self.https.iter().flat_map(|https| &https.certificates);
        let pairs =
            certificates.map(|(name, certificate)| (name.clone(), certificate.pair.clone()));
        pairs.collect()
    }

    /// Whether any finding is an error.
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == crate::finding::Severity::Error)
    }
}

/// Compiles manifests. The result depends on nothing but its arguments and,
/// where it comes to whether certificates are valid, the time.
pub fn compile(manifests: &Manifests, settings: &Settings) -> Compiled {
    let (findings, memo) = (manifests.findings.clone(), CheckCache::default());
    let circumstances = Circumstances::of_manifests(settings, &memo);
    compile_objects(&manifests.objects, findings, &circumstances)
}

/// What a result depends on beside the objects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances<'c> {
    /// What the operator decides.
    pub(crate) settings: &'c Settings,
    /// When certificates have to be valid.
    pub(crate) now: SystemTime,
    /// The Secrets that are not among the objects since they cannot be read.
    pub(crate) unread: &'c UnreadableSecrets,
    /// What was found of certificates before. That only makes it quicker.
    pub(crate) memo: &'c CheckCache,
}

impl<'c> Circumstances<'c> {
    /// Here and now, with manifests, which are there as a whole.
    pub(crate) fn of_manifests(settings: &'c Settings, memo: &'c CheckCache) -> Self {
        static NONE: UnreadableSecrets = UnreadableSecrets::new();
        Self { settings, now: SystemTime::now(), unread: &NONE, memo }
    }
}

/// Compiles objects, of which `findings` are known already.
pub(crate) fn compile_objects<'a>(
    objects: impl IntoIterator<Item = &'a Object>,
    findings: Findings,
    circumstances: &Circumstances<'_>,
) -> Compiled {
    let settings = circumstances.settings;
    let findings = RefCell::new(findings);
    let objects = Selection::of(objects, &findings);

    let services = Services::read(&objects, &findings);
    let ours = objects.ours(settings, &findings);
    let mut backends = Backends::new(&services, settings, &findings);
    let mut collector = Collector::new(&mut backends, settings, &findings);
    let mut tls = TlsCollector::new(&objects.secrets, circumstances, &findings);
    for OurIngress { object, read } in &ours {
        let Some(ingress) = read.tell(&findings) else { continue };
        collector.add(object, ingress);
        tls.add(object, ingress);
    }
    let Collected { virtual_hosts, default_backend, served } = collector.finish();
    let is_served = |object: &Object| served.contains(&(&*object.namespace, &*object.name));
    let ingresses =
        ours.iter().map(|ours| (ours.object.reference(), is_served(ours.object))).collect();
    let secrets = named_secrets(&ours, settings);
    let Tls { https, hosts: tls_hosts, recheck_at } = tls.finish(circumstances, &secrets);
    circumstances.memo.sweep();
    let rules = Rules::read(&objects.route_rules, settings, &findings);
    let (backends, clusters) = backends.finish(rules);

    let mut table = RouteTable {
        record_source: settings.access_log,
        sanitized_by_envoy: true,
        backends,
        virtual_hosts,
        default_backend,
        https_port: settings.https_port.map_or(DEFAULT_HTTPS_PORT, NonZeroU16::get),
        tls_hosts,
        ..RouteTable::empty()
    };
    table.name = revision(&table);
    let findings = findings.into_inner().into_sorted();
    Compiled { table, clusters, findings, ingresses, https, secrets, recheck_at }
}

/// A name for what `value` says: the same for the same content.
pub(crate) fn revision(value: &impl serde::Serialize) -> String {
    let json = serde_json::to_vec(value).unwrap_or_default();
    hex(&Sha256::digest(json)[..6])
}
