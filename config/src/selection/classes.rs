//! Which Ingresses are ours.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::finding::{Findings, quote};
use crate::manifest::{Object, Position};
use crate::objects::Reading;
use crate::objects::ingress::{CLASS_ANNOTATION, NamedClass};
use crate::objects::ingress_class::IngressClass;
use crate::settings::{Mode, Settings};

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

    /// Whether an Ingress is ours. One that names no class, or one that does not
    /// exist, is most likely meant to be served by somebody.
    pub(super) fn serves(&self, ingress: &Object) -> bool {
        let mode = self.settings.ingress_controller_mode;
        if mode == Mode::Off {
            return false;
        }
        match NamedClass::read(&Reading::new(ingress, self.findings)) {
            NamedClass::Annotation(name) => {
                name.is_some_and(|name| *name == *self.settings.ingress_class)
            }
            NamedClass::Field(name, at) => {
                name.is_some_and(|name| self.serves_class(&name, ingress, at))
            }
            NamedClass::Nowhere => {
                let is_served = mode == Mode::Default || self.would_be_default(ingress);
                if !is_served {
                    let at = ingress.node.nearest(["spec"]).at;
                    self.warn(ingress, at, "is missing, so this Ingress is not served; ");
                }
                is_served
            }
        }
    }

    /// Whether the class `name`, named at `at`, is ours. One that does not exist
    /// is most likely misspelled, one that is not ours is not our concern.
    fn serves_class(&self, name: &str, ingress: &Object, at: Position) -> bool {
        let class = self.by_name.get(name);
        if class.is_none() {
            let what = format!(
                "there is no IngressClass {}, so this Ingress is not served; add it, or ",
                quote(name)
            );
            self.warn(ingress, at, &what);
        }
        class.is_some_and(|class| self.is_ours(class))
    }

    /// Says what is wrong with the class of an Ingress, and how to make it ours.
    fn warn(&self, ingress: &Object, at: Position, problem: &str) {
        let message = format!(
            "{problem}name an IngressClass whose spec.controller is {}, or annotate this with {CLASS_ANNOTATION}: {}",
            self.settings.controller_name, self.settings.ingress_class
        );
        self.findings.borrow_mut().push(ingress.warning(at, NamedClass::FIELD, message));
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
