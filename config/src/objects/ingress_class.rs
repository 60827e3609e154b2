//! Ingress classes: their controller, and whether they are the default.

use super::Reading;

/// The annotation of the default class.
const DEFAULT_ANNOTATION: &str = "ingressclass.kubernetes.io/is-default-class";

#[derive(Debug)]
pub(crate) struct IngressClass {
    /// The controller; empty if the class names none, and so belongs to none.
    pub(crate) controller: String,
    pub(crate) is_default: bool,
}

impl IngressClass {
    pub(crate) fn read(reading: &Reading<'_>) -> Self {
        let root = reading.root();
        let spec = root.mapping("spec");
        let controller = spec.as_ref().and_then(|spec| spec.string("controller"));
        let is_default = root.node().nearest(["metadata", "annotations", DEFAULT_ANNOTATION]);
        Self {
            controller: controller.unwrap_or_default().to_owned(),
            is_default: is_default.as_str() == Some("true"),
        }
    }
}
