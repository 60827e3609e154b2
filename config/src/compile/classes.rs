//! Which Ingresses are ours.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::finding::Findings;
use crate::manifest::Object;
use crate::objects::Reading;
use crate::objects::ingress_class::IngressClass;
use crate::settings::{Mode, Settings};

/// The annotation that names a class, older than the field and stronger.
const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";

pub(super) struct Classes<'a> {
    settings: &'a Settings,
    by_name: BTreeMap<&'a str, IngressClass>,
}

impl<'a> Classes<'a> {
    pub(super) fn read(
        objects: &[&'a Object],
        settings: &'a Settings,
        findings: &RefCell<Findings>,
    ) -> Self {
        let classes = objects.iter().filter_map(|object| {
            Some((&*object.name, IngressClass::read(&Reading::new(object, findings))?))
        });
        Self { settings, by_name: classes.collect() }
    }

    /// Those of `ingresses` that are ours, the oldest first: that is the order
    /// in which they come to their hosts and paths.
    pub(super) fn served<'o>(&self, ingresses: Vec<&'o Object>) -> Vec<&'o Object> {
        let mut served: Vec<_> =
            ingresses.into_iter().filter(|ingress| self.serves(ingress)).collect();
        served.sort_by_cached_key(|ingress| {
            let created = ingress
                .creation_timestamp
                .as_deref()
                .and_then(|time| time.parse::<jiff::Timestamp>().ok());
            // Without a time, it does not exist yet: the youngest.
            (created.is_none(), created, ingress.namespace.clone(), ingress.name.clone())
        });
        served
    }

    fn serves(&self, ingress: &Object) -> bool {
        let mode = self.settings.ingress_controller_mode;
        if mode == Mode::Off {
            return false;
        }
        if let Some(annotation) = ingress.annotation(CLASS_ANNOTATION) {
            return annotation.as_str() == Some(&self.settings.ingress_class);
        }
        let class =
            ingress.node.get("spec").and_then(|spec| spec.get("ingressClassName")?.as_str());
        match class {
            Some(name) => self.by_name.get(name).is_some_and(|class| self.is_ours(class)),
            None => mode == Mode::Default || self.is_only_default(),
        }
    }

    fn is_ours(&self, class: &IngressClass) -> bool {
        class.controller == self.settings.controller_name
    }

    /// The API server fills in the default class. Files have not been through
    /// it, so here an Ingress without a class belongs to the only default.
    fn is_only_default(&self) -> bool {
        let mut defaults = self.by_name.values().filter(|class| class.is_default);
        matches!((defaults.next(), defaults.next()), (Some(class), None) if self.is_ours(class))
    }
}
