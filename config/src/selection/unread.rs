//! Objects that are not served although their author may expect it. Each cause is
//! reported once, for all objects that share it.

use std::collections::{BTreeMap, BTreeSet};

use super::classes::NotOurs;
use crate::finding::{Code, Finding, quote};
use crate::kinds::{self, Meant, ReadKind};
use crate::manifest::{Group, Object, PassedOver};
use crate::objects::ingress::CLASS_ANNOTATION;
use crate::settings::Settings;

/// The maximum number of causes that are reported, because manifests are untrusted
/// input.
const MAX_CAUSES: usize = 100;

/// Objects that are not served, all for the same cause.
#[derive(Clone, Debug)]
pub(crate) struct Unread {
    summary: String,
    finding: Finding,
    hosts: Hosts,
}

/// The hosts of objects.
#[derive(Clone, Debug)]
enum Hosts {
    Unknown,
    Any,
    These(BTreeSet<Box<str>>),
}

/// Ingresses that are not of our class, by the reason.
#[derive(Default)]
pub(crate) struct Others<'a>(BTreeMap<NotOurs, Vec<&'a Object>>);

impl Unread {
    /// Which objects these are, and why they are not served.
    pub(crate) fn summary(&self) -> &str {
        &self.summary
    }

    /// The summary with the remedy, as `check` reports it.
    pub(crate) fn finding(&self) -> &Finding {
        &self.finding
    }

    /// Whether one of the objects may be for this host.
    pub(crate) fn may_be_for(&self, host: &str) -> bool {
        match &self.hosts {
            Hosts::Unknown | Hosts::Any => true,
            Hosts::These(hosts) => {
                let parent = host.split_once('.').map(|(_, parent)| format!("*.{parent}"));
                hosts.contains(host) || parent.is_some_and(|parent| hosts.contains(&*parent))
            }
        }
    }

    fn new(code: Code, summary: String, remedy: &str) -> Self {
        let message =
            if remedy.is_empty() { summary.clone() } else { format!("{summary}; {remedy}") };
        let finding = Finding::new(code, message);
        Self { summary, finding, hosts: Hosts::Unknown }
    }

    /// Objects of a known kind in a version that is not read, of a misspelled kind,
    /// or of another gateway's API. `None` for all other kinds, which nobody
    /// expects this gateway to serve.
    fn of_kind(api_version: &str, kind: &str, group: &Group) -> Option<Self> {
        let meant = kinds::meant_by(api_version, kind)?;
        let Group { number, first } = group;
        let noun = if *number == 1 { "object" } else { "objects" };
        let (kind, version) = (quote(kind), quote(api_version));
        let summary =
            format!("{number} {noun} of kind {kind} in {version} {} not read", are(*number));
        let mut unread = match meant {
            Meant::Version(ReadKind { versions, .. }) => Self::new(
                Code::ApiVersionNotSupported,
                summary,
                &format!("write apiVersion: {}", versions[0]),
            ),
            Meant::Kind(ReadKind { name, .. }) => {
                Self::new(Code::KindMisspelt, summary, &format!("did you mean {name}?"))
            }
            Meant::OtherApi => {
                let summary = format!("{summary}: only Ingresses and RouteRules are served");
                Self::new(Code::KindNotServed, summary, "")
            }
        };
        unread.finding = unread.finding.at(first.clone());
        Some(unread)
    }
}

/// Objects of kinds that are not read, but may be expected to be served.
pub(crate) fn unread_kinds(passed_over: &PassedOver) -> impl Iterator<Item = Unread> {
    let unread = passed_over
        .iter()
        .filter_map(|(api_version, kind, group)| Unread::of_kind(api_version, kind, group));
    unread.take(MAX_CAUSES)
}

impl<'a> Others<'a> {
    pub(super) fn add(&mut self, why: NotOurs, ingress: &'a Object) {
        self.0.entry(why).or_default().push(ingress);
    }

    /// Once for each class.
    pub(crate) fn unread(&self, settings: &Settings) -> impl Iterator<Item = Unread> {
        let unread = self.0.iter().filter_map(|(why, them)| of_class(why, them, settings));
        unread.take(MAX_CAUSES)
    }
}

fn of_class(why: &NotOurs, ingresses: &[&Object], settings: &Settings) -> Option<Unread> {
    let first = ingresses.first()?;
    let number = ingresses.len();
    let (ingress, are) = (if number == 1 { "Ingress" } else { "Ingresses" }, are(number));
    let ours = &*settings.ingress_class;
    let remedy = format!(
        "name an IngressClass whose spec.controller is {}, or annotate {} with {CLASS_ANNOTATION}: {ours}",
        settings.controller_name,
        if number == 1 { "it" } else { "them" },
    );
    let unread = match why {
        NotOurs::Off | NotOurs::Malformed => return None,
        NotOurs::Annotation(class) if kinds::is_alike(class, ours) => Unread::new(
            Code::IngressClassMisspelt,
            format!("{number} {ingress} of class {} {are} not served", quote(class)),
            &format!("did you mean {}?", quote(ours)),
        ),
        NotOurs::Annotation(class) => Unread::new(
            Code::OtherIngressClass,
            format!(
                "{number} {ingress} of class {} {are} not served: the class of this gateway is {}",
                quote(class),
                quote(ours)
            ),
            "",
        ),
        NotOurs::OtherController(class) => Unread::new(
            Code::OtherIngressClass,
            format!(
                "{number} {ingress} of class {} {are} not served: its IngressClass belongs to another controller",
                quote(class)
            ),
            "",
        ),
        NotOurs::MissingClass(class) => Unread::new(
            Code::IngressClassNotFound,
            format!(
                "{number} {ingress} of class {} {are} not served: there is no such IngressClass",
                quote(class)
            ),
            &format!("add it, or {remedy}"),
        ),
        NotOurs::NoClass => Unread::new(
            Code::IngressClassMissing,
            format!("{number} {ingress} without a class {are} not served"),
            &remedy,
        ),
    };
    let at = first.node.nearest(["metadata", "annotations", CLASS_ANNOTATION]).at;
    let at = match why {
        NotOurs::Annotation(_) => at,
        _ => first.node.nearest(["spec", "ingressClassName"]).at,
    };
    let finding = unread.finding.at(first.location(at));
    Some(Unread { finding, hosts: Hosts::of(ingresses), ..unread })
}

impl Hosts {
    fn of(ingresses: &[&Object]) -> Self {
        let rules = ingresses.iter().flat_map(|it| it.node.nearest(["spec", "rules"]).items());
        let mut hosts = BTreeSet::new();
        for rule in rules {
            match rule.get("host").and_then(|host| host.as_str()) {
                Some(host) if !host.is_empty() => hosts.insert(Box::from(host)),
                _ => return Self::Any,
            };
        }
        if hosts.is_empty() { Self::Any } else { Self::These(hosts) }
    }
}

fn are(number: usize) -> &'static str {
    if number == 1 { "is" } else { "are" }
}
