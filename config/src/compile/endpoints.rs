//! Changes of endpoints alone, for which only the addresses of their clusters are
//! compiled again.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use super::reach::{Reach, Where};
use super::services::Services;
use super::{Compiled, budgets};
use crate::finding::Finding;
use crate::manifest::Object;
use crate::model::{Cluster, Discovery, Gateway};
use crate::objects::endpoints::SERVICE_LABEL;
use crate::selection::Selection;
use crate::settings::Settings;

/// The namespace and the name of a Service.
pub(crate) type ServiceName = (Arc<str>, Arc<str>);

/// The Service whose addresses an object contains; `None` for objects of other kinds.
pub(crate) fn service_of_endpoints(object: &Object) -> Option<ServiceName> {
    Some((Arc::clone(&object.namespace), service_name(object)?.into()))
}

fn service_name(object: &Object) -> Option<&str> {
    match (object.group(), &*object.kind) {
        ("discovery.k8s.io", "EndpointSlice") => object.label(SERVICE_LABEL),
        ("", "Endpoints") => Some(&object.name),
        _ => None,
    }
}

/// The Services and DNS names whose addresses have changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) services: BTreeSet<ServiceName>,
    pub(crate) dns_names: BTreeSet<String>,
}

impl Moved {
    pub(crate) fn extend(&mut self, other: Self) {
        self.services.extend(other.services);
        self.dns_names.extend(other.dns_names);
    }
}

/// The compiled gateway with the new addresses of these services. `None` if everything must
/// be compiled, because a service gets its first address, loses its last one, or has
/// other findings.
pub(crate) fn with_endpoints<'a>(
    compiled: &Compiled,
    changed: &Moved,
    (settings, place): (&'a Settings, Where<'a>),
    objects: impl IntoIterator<Item = &'a Object> + Clone,
) -> Option<Gateway> {
    let names: BTreeSet<_> =
        changed.services.iter().map(|(namespace, name)| (&**namespace, &**name)).collect();
    let namespaces = names.iter().map(|(namespace, _)| *namespace).collect();
    if !budgets::has_room_for_endpoints(&namespaces, objects.clone(), settings) {
        return None;
    }
    let is_of_changed = |object: &&Object| match service_name(object) {
        Some(name) => names.contains(&(&*object.namespace, name)),
        None => &*object.kind == "Pod",
    };
    let objects: Vec<_> = objects.into_iter().filter(is_of_changed).collect();
    let findings = RefCell::default();
    let selection = Selection::of(objects.iter().copied(), &findings);
    let reach = Reach::new(settings, place);
    let services = Services::read(&selection, reach, &findings);
    let mut gateway = compiled.gateway.clone();
    for cluster in Arc::make_mut(&mut gateway.clusters).values_mut() {
        let Cluster { service, selector, discovery, .. } = &**cluster;
        let is_named = names.contains(&(&*service.namespace, &*service.name));
        let discovery = match discovery {
            Discovery::Addresses(before) if is_named => {
                let chosen = services.endpoints(&service.namespace, &service.name, selector)?;
                Discovery::Addresses(moved(before, chosen)?)
            }
            // There may be endpoints now, which replace the name.
            _ if is_named => return None,
            Discovery::Resolved { name, addresses } if changed.dns_names.contains(name) => {
                let port = addresses.first()?.port();
                let addresses = moved(addresses, reach.resolved(name, port))?;
                Discovery::Resolved { name: name.clone(), addresses }
            }
            _ => continue,
        };
        *cluster = Arc::new(Cluster { discovery, ..(**cluster).clone() });
    }
    let found = findings.take().into_sorted();
    are_told(&found, compiled, &objects).then_some(gateway)
}

/// The new addresses, if there were any before and still are.
fn moved(before: &BTreeSet<SocketAddr>, now: BTreeSet<SocketAddr>) -> Option<BTreeSet<SocketAddr>> {
    (!before.is_empty() && !now.is_empty()).then_some(now)
}

/// Whether `findings` are the same as before for these objects.
fn are_told(findings: &[Finding], compiled: &Compiled, objects: &[&Object]) -> bool {
    let told: Vec<_> =
        compiled.findings.iter().filter(|finding| is_about_endpoints(finding)).collect();
    if findings.is_empty() && told.is_empty() {
        return true;
    }
    let objects: BTreeSet<_> = objects.iter().map(|object| object.reference()).collect();
    let is_about_these = |finding: &&&Finding| {
        finding.object.as_ref().is_some_and(|object| objects.contains(object))
    };
    findings.iter().eq(told.iter().filter(is_about_these).copied())
}

fn is_about_endpoints(finding: &Finding) -> bool {
    let kind = finding.object.as_ref().map(|object| &*object.kind);
    matches!(kind, Some("EndpointSlice" | "Endpoints"))
}
