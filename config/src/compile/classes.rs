//! Which Ingresses are ours.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::finding::{Findings, quote};
use crate::manifest::Object;
use crate::objects::ingress_class::IngressClass;
use crate::objects::{Cursor, Reading};
use crate::settings::{Mode, Settings};

/// The annotation that names a class, older than the field and stronger.
const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";

pub(super) struct Classes<'a> {
    settings: &'a Settings,
    findings: &'a RefCell<Findings>,
    by_name: BTreeMap<&'a str, IngressClass>,
}

impl<'a> Classes<'a> {
    pub(super) fn read(
        objects: &[&'a Object],
        settings: &'a Settings,
        findings: &'a RefCell<Findings>,
    ) -> Self {
        let classes = objects
            .iter()
            .map(|object| (&*object.name, IngressClass::read(&Reading::new(object, findings))));
        Self { settings, findings, by_name: classes.collect() }
    }

    /// Those of `ingresses` that are ours, the oldest first: that is the order
    /// in which they come to their hosts and paths.
    pub(super) fn served<'o>(&self, ingresses: &[&'o Object]) -> Vec<&'o Object> {
        let mut served: Vec<_> =
            ingresses.iter().copied().filter(|ingress| self.serves(ingress)).collect();
        served.sort_by_cached_key(|ingress| {
            let created = self.created(ingress);
            // Without a time, it does not exist yet: the youngest.
            (created.is_none(), created, ingress.namespace.clone(), ingress.name.clone())
        });
        served
    }

    fn created(&self, ingress: &Object) -> Option<jiff::Timestamp> {
        let created = ingress.creation_timestamp.as_deref()?.parse().ok();
        if created.is_none() {
            Reading::new(ingress, self.findings).root().warning_in(
                "metadata.creationTimestamp",
                "is no time, so this counts as the youngest; write it as in 2024-12-31T23:59:59Z",
            );
        }
        created
    }

    fn serves(&self, ingress: &Object) -> bool {
        let mode = self.settings.ingress_controller_mode;
        if mode == Mode::Off {
            return false;
        }
        let reading = Reading::new(ingress, self.findings);
        let root = reading.root();
        // One that is null is there too, and names nobody's class.
        if ingress.annotation(CLASS_ANNOTATION).is_some() {
            return self.is_annotated(&root).unwrap_or(false);
        }
        let spec = root.field("spec");
        if let Some(class) = spec.as_ref().and_then(|spec| spec.field("ingressClassName")) {
            return class.as_string().is_some_and(|name| self.serves_class(name, &class));
        }
        let served = mode == Mode::Default || self.would_be_default(ingress);
        if !served {
            root.warning_in(
                "spec.ingressClassName",
                format!("is missing, so this Ingress is not served; {}", self.remedy()),
            );
        }
        served
    }

    fn is_annotated(&self, root: &Cursor<'_>) -> Option<bool> {
        let metadata = root.field("metadata")?;
        let annotations = metadata.field("annotations")?;
        Some(annotations.string(CLASS_ANNOTATION)? == self.settings.ingress_class)
    }

    /// Whether the class `name`, named by `field`, is ours. One that does not
    /// exist is most likely misspelled, one that is not ours is not our concern.
    fn serves_class(&self, name: &str, field: &Cursor<'_>) -> bool {
        let class = self.by_name.get(name);
        if class.is_none() {
            field.warning(format!(
                "there is no IngressClass {}, so this Ingress is not served; add it, or {}",
                quote(name),
                self.remedy()
            ));
        }
        class.is_some_and(|class| self.is_ours(class))
    }

    fn remedy(&self) -> String {
        format!(
            "name an IngressClass whose spec.controller is {}, or annotate this with {CLASS_ANNOTATION}: {}",
            self.settings.controller_name, self.settings.ingress_class
        )
    }

    fn is_ours(&self, class: &IngressClass) -> bool {
        class.controller == self.settings.controller_name
    }

    /// The API server fills in the default class of what is created, and leaves
    /// what was there before. Files have not been through it, so an Ingress in
    /// one belongs to the only default.
    fn would_be_default(&self, ingress: &Object) -> bool {
        if ingress.file.is_none() {
            return false;
        }
        let mut defaults = self.by_name.values().filter(|class| class.is_default);
        matches!((defaults.next(), defaults.next()), (Some(class), None) if self.is_ours(class))
    }
}
