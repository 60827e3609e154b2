//! Endpoints that change while all else stays: then nothing is compiled but the
//! addresses of the clusters that have them.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::Compiled;
use super::services::Services;
use crate::finding::Finding;
use crate::manifest::Object;
use crate::model::{Cluster, Discovery, Gateway};
use crate::objects::endpoints::SERVICE_LABEL;
use crate::selection::Selection;

/// The namespace and the name of a Service.
pub(crate) type ServiceName = (Arc<str>, Arc<str>);

/// The Service whose addresses an object tells; none for an object of another
/// kind.
pub(crate) fn service_of_endpoints(object: &Object) -> Option<ServiceName> {
    let name = match (object.group(), &*object.kind) {
        ("discovery.k8s.io", "EndpointSlice") => object.label(SERVICE_LABEL)?.into(),
        ("", "Endpoints") => Arc::clone(&object.name),
        _ => return None,
    };
    Some((Arc::clone(&object.namespace), name))
}

/// What was compiled, with the addresses that these services have now. `None`
/// where more than addresses changes: whether there are any, or what is to be
/// said of them. Then all is to be compiled.
pub(crate) fn with_endpoints<'a>(
    compiled: &Compiled,
    changed: &BTreeSet<ServiceName>,
    objects: impl IntoIterator<Item = &'a Object>,
) -> Option<Gateway> {
    let findings = RefCell::default();
    let services = Services::read(&Selection::of(objects, &findings), &findings);
    let is_about_endpoints = |finding: &&Finding| {
        let kind = finding.object.as_ref().map(|object| &*object.kind);
        matches!(kind, Some("EndpointSlice" | "Endpoints"))
    };
    let findings = findings.into_inner().into_sorted();
    let told = compiled.findings.iter().filter(is_about_endpoints);
    if !findings.iter().filter(is_about_endpoints).eq(told) {
        return None;
    }
    let mut gateway = compiled.gateway.clone();
    for cluster in gateway.clusters.values_mut() {
        let Cluster { service, selector, discovery, .. } = &**cluster;
        if !changed.contains(&(Arc::clone(&service.namespace), Arc::clone(&service.name))) {
            continue;
        }
        let chosen = services.endpoints(&service.namespace, &service.name, selector)?;
        let had_some = matches!(discovery, Discovery::Addresses(before) if !before.is_empty());
        if !had_some || chosen.is_empty() {
            return None;
        }
        let discovery = Discovery::Addresses(chosen);
        *cluster = Arc::new(Cluster { discovery, ..(**cluster).clone() });
    }
    Some(gateway)
}
