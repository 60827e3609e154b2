//! Ingress classes: who serves them, and which is the default.

use super::Reading;

/// The annotation of a class that Ingresses without one belong to.
const DEFAULT_ANNOTATION: &str = "ingressclass.kubernetes.io/is-default-class";

#[derive(Debug)]
pub(crate) struct IngressClass {
    pub(crate) controller: String,
    pub(crate) is_default: bool,
}

impl IngressClass {
    pub(crate) fn read(reading: &Reading<'_>) -> Option<Self> {
        let root = reading.root();
        let spec = reading.section(&root, "spec")?;
        let controller = spec.string("controller")?.to_owned();
        let metadata = root.field("metadata")?;
        let is_default = metadata
            .node()
            .get("annotations")
            .and_then(|all| all.get(DEFAULT_ANNOTATION)?.as_str());
        Some(Self { controller, is_default: is_default == Some("true") })
    }
}
