//! Kubernetes objects in, route table and clusters out.
//!
//! One bad path, rule or object never takes its neighbours down: it becomes a
//! finding, and the rest is served. The semantics are those of Kubernetes'
//! `networking/v1` Ingress; paths of older versions are in Istio's notation.
//! RouteRules then shape the requests that Ingresses send to their service.

mod actions;
mod backends;
mod classes;
mod clusters;
mod host;
mod ingresses;
mod paths;
mod routes;
mod rules;
mod services;
mod tls;
mod unread;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::SystemTime;

use ingress_filter::RouteTable;
use ingress_filter::table::DEFAULT_HTTPS_PORT;

use crate::certificates::Memo;
use crate::digest::digest_of_json;
use crate::finding::{Finding, Findings, quote};
use crate::manifest::{Manifests, Object};
use crate::model::Gateway;
use crate::object_ref::ObjectRef;
use crate::settings::{ObjectName, Settings};

use backends::Backends;
use classes::Classes;
use ingresses::{Collected, Collector};
use rules::Rules;
use services::Services;
use tls::{Tls, TlsCollector};

pub(crate) use unread::{Unread, UnreadSecrets};

/// What the objects come to.
#[derive(Debug)]
pub struct Compiled {
    /// What the gateway is to be.
    pub gateway: Gateway,
    /// What is wrong with the manifests, those that could not be read included.
    pub findings: Vec<Finding>,
    /// The Ingresses of our class, and whether they serve anything: one whose
    /// every path is wrong, or an older one's, does not.
    pub ingresses: BTreeMap<ObjectRef, bool>,
    /// The Secrets that are asked for, among the objects or not.
    pub secrets: BTreeSet<ObjectName>,
    /// When the same objects may come to something else, since certificates
    /// begin and end to be valid.
    pub recheck_at: Option<SystemTime>,
}

impl Compiled {
    /// Whether any finding is an error.
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == crate::finding::Severity::Error)
    }
}

/// Compiles manifests. The result depends on nothing but its arguments and,
/// where it comes to whether certificates are valid, the time.
pub fn compile(manifests: &Manifests, settings: &Settings) -> Compiled {
    let (findings, memo) = (manifests.findings.clone(), Memo::default());
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
    pub(crate) unread: &'c UnreadSecrets,
    /// What was found of certificates before. That only makes it quicker.
    pub(crate) memo: &'c Memo,
}

impl<'c> Circumstances<'c> {
    /// Here and now, with manifests, which are there as a whole.
    pub(crate) fn of_manifests(settings: &'c Settings, memo: &'c Memo) -> Self {
        static NONE: UnreadSecrets = UnreadSecrets::new();
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
    let objects = Kinds::sort(objects, &findings);

    let services = Services::read(&objects, &findings);
    let classes = Classes::read(&objects.ingress_classes, settings, &findings);
    let mut backends = Backends::new(&services, settings);
    let mut collector = Collector::new(&mut backends, settings, &findings);
    let mut tls = TlsCollector::new(&objects.secrets, circumstances, &findings);
    let ours = classes.served(&objects.ingresses);
    for ingress in &ours {
        collector.read(ingress);
        tls.read(ingress);
    }
    let Collected { virtual_hosts, default_backend, served } = collector.finish();
    let ingresses = ours
        .iter()
        .map(|ingress| (ingress.reference(), served.contains(&ingress.reference())))
        .collect();
    let Tls { https, hosts: tls_hosts, secrets, recheck_at } = tls.finish(circumstances);
    circumstances.memo.sweep();
    let rules = Rules::read(&objects.route_rules, settings, &findings);
    let (backends, clusters) = backends.finish(rules, &findings);

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
    match digest_of_json(&table) {
        Ok(name) => table.name = name,
        Err(error) => findings
            .borrow_mut()
            .push(Finding::error(format!("the route table cannot be written: {error}"))),
    }
    let gateway = Gateway { table: Arc::new(table), clusters, https };
    let findings = findings.into_inner().into_sorted();
    Compiled { gateway, findings, ingresses, secrets, recheck_at }
}

/// The versions of Ingress that are served.
const INGRESS_VERSIONS: [&str; 3] =
    ["extensions/v1beta1", "networking.k8s.io/v1beta1", "networking.k8s.io/v1"];

/// The version of RouteRule that is served.
const RULE_VERSIONS: [&str; 1] = ["config.istio.io/v1alpha2"];

/// Whether an object is of one of `versions`, of which the last is the one to
/// write; a finding where not.
fn is_served(object: &Object, versions: &[&str], findings: &RefCell<Findings>) -> bool {
    let served = versions.contains(&&*object.api_version);
    if !served {
        let message = format!(
            "{} has no {} that is served; write {}",
            quote(&object.api_version),
            object.kind,
            versions.last().unwrap_or(&"")
        );
        let at = object.node.nearest(["apiVersion"]).at;
        findings.borrow_mut().push(object.error(at, "apiVersion", message));
    }
    served
}

/// The objects that matter, by kind.
#[derive(Default)]
struct Kinds<'a> {
    ingresses: Vec<&'a Object>,
    ingress_classes: Vec<&'a Object>,
    services: Vec<&'a Object>,
    endpoints: Vec<&'a Object>,
    endpoint_slices: Vec<&'a Object>,
    pods: Vec<&'a Object>,
    secrets: Vec<&'a Object>,
    route_rules: Vec<&'a Object>,
}

impl<'a> Kinds<'a> {
    /// Sorts objects by kind, leaves out kinds that do not concern us, and of
    /// objects defined twice keeps the first.
    fn sort(objects: impl IntoIterator<Item = &'a Object>, findings: &RefCell<Findings>) -> Self {
        let mut kinds = Self::default();
        let mut seen = BTreeMap::new();
        for object in objects {
            let list = match (object.group(), &*object.kind) {
                ("" | "extensions" | "networking.k8s.io", "Ingress") => {
                    if !is_served(object, &INGRESS_VERSIONS, findings) {
                        continue;
                    }
                    &mut kinds.ingresses
                }
                ("networking.k8s.io", "IngressClass") => &mut kinds.ingress_classes,
                ("", "Service") => &mut kinds.services,
                ("", "Endpoints") => &mut kinds.endpoints,
                ("discovery.k8s.io", "EndpointSlice") => &mut kinds.endpoint_slices,
                ("", "Pod") => &mut kinds.pods,
                ("", "Secret") => &mut kinds.secrets,
                ("config.istio.io", "RouteRule") => {
                    if !is_served(object, &RULE_VERSIONS, findings) {
                        continue;
                    }
                    &mut kinds.route_rules
                }
                _ => continue,
            };
            match seen.insert((&object.kind, &object.namespace, &object.name), object) {
                None => list.push(object),
                Some(first) => {
                    seen.insert((&first.kind, &first.namespace, &first.name), first);
                    let message = format!(
                        "is already defined{}; this one is ignored, remove one of the two",
                        first.at(first.node.at)
                    );
                    let at = object.node.nearest(["metadata", "name"]).at;
                    findings.borrow_mut().push(object.error(at, "metadata.name", message));
                }
            }
        }
        kinds
    }
}
