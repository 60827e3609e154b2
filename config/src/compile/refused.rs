//! Certificates and objects that Envoy has rejected, which are left out until they change.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::finding::{Code, Findings};
use crate::manifest::{Node, Object};
use crate::object_ref::ObjectRef;

/// The certificates and objects that are left out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refused {
    /// Envoy's message about each certificate, by its fingerprint.
    certificates: BTreeMap<String, Arc<str>>,
    objects: BTreeMap<ObjectRef, RefusedObject>,
}

/// An object with which Envoy rejects the route table.
#[derive(Clone, Debug)]
struct RefusedObject {
    /// The object at that time.
    node: Node,
    /// Envoy's message.
    message: Arc<str>,
}

impl Refused {
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.certificates.is_empty() && self.objects.is_empty()
    }

    pub(crate) fn has_objects(&self) -> bool {
        !self.objects.is_empty()
    }

    /// Leaves out a certificate, by its fingerprint. Returns whether it was included
    /// before.
    pub(crate) fn add_certificate(&mut self, fingerprint: &str, message: &Arc<str>) -> bool {
        self.certificates.insert(fingerprint.to_owned(), Arc::clone(message)).is_none()
    }

    /// Includes a certificate again.
    pub(crate) fn remove_certificate(&mut self, fingerprint: &str) {
        self.certificates.remove(fingerprint);
    }

    /// Includes all objects again.
    pub(crate) fn clear_objects(&mut self) {
        self.objects.clear();
    }

    /// Leaves out an object until it changes.
    pub(crate) fn add_object(&mut self, object: ObjectRef, node: Node, message: &Arc<str>) {
        self.objects.insert(object, RefusedObject { node, message: Arc::clone(message) });
    }

    /// Includes an object again.
    pub(crate) fn remove_object(&mut self, object: &ObjectRef) {
        self.objects.remove(object);
    }

    /// The objects that are left out.
    #[cfg(test)]
    pub(crate) fn objects(&self) -> impl Iterator<Item = &ObjectRef> {
        self.objects.keys()
    }

    /// Envoy's message about a certificate that is left out. Its fingerprint is computed
    /// only if it is needed, which is rare.
    pub(crate) fn certificate<'f>(
        &self,
        fingerprint: impl FnOnce() -> &'f str,
    ) -> Option<&Arc<str>> {
        (!self.certificates.is_empty()).then(|| self.certificates.get(fingerprint()))?
    }

    /// Whether an object is left out; if so, adds a finding.
    pub(super) fn leaves_out(&self, object: &Object, findings: &RefCell<Findings>) -> bool {
        if self.objects.is_empty() {
            return false;
        }
        let refused = self.objects.get(&object.reference());
        let Some(refused) = refused.filter(|refused| refused.node == object.node) else {
            return false;
        };
        let message = format!(
            "Envoy refuses the route table with this {}: {}. It is left out until it changes",
            object.kind, refused.message
        );
        let at = object.node.nearest(["spec"]).at;
        let code = Code::EnvoyRefusesTable;
        findings.borrow_mut().push(object.finding(at, "spec", code, message));
        true
    }
}
