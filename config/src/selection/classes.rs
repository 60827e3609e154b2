//! Decides which Ingresses are of our class.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::finding::Findings;
use crate::manifest::Object;
use crate::objects::Reading;
use crate::objects::ingress::NamedClass;
use crate::objects::ingress_class::IngressClass;
use crate::settings::{Mode, Settings};

pub(super) struct Classes<'a> {
    settings: &'a Settings,
    findings: &'a RefCell<Findings>,
    by_name: BTreeMap<&'a str, IngressClass>,
}

/// Why an Ingress is not of our class.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NotOurs {
    /// No Ingress is served in this mode.
    Off,
    /// The class name is not valid, which is a finding.
    Malformed,
    /// The annotation names another class.
    Annotation(Box<str>),
    /// It names an `IngressClass` of another controller.
    OtherController(Box<str>),
    /// It names an `IngressClass` that does not exist.
    MissingClass(Box<str>),
    /// It has no class.
    NoClass,
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

    /// Whether an Ingress is of our class, or why not.
    pub(super) fn claim(&self, ingress: &Object) -> Result<(), NotOurs> {
        let mode = self.settings.ingress_controller_mode;
        if mode == Mode::Off {
            return Err(NotOurs::Off);
        }
        match NamedClass::read(&Reading::new(ingress, self.findings)) {
            NamedClass::Annotation(None) | NamedClass::Field(None) => Err(NotOurs::Malformed),
            NamedClass::Annotation(Some(name)) if *name == *self.settings.ingress_class => Ok(()),
            NamedClass::Annotation(Some(name)) => Err(NotOurs::Annotation(name)),
            NamedClass::Field(Some(name)) => match self.by_name.get(&*name) {
                Some(class) if self.is_ours(class) => Ok(()),
                Some(_) => Err(NotOurs::OtherController(name)),
                None => Err(NotOurs::MissingClass(name)),
            },
            NamedClass::Nowhere if mode == Mode::Default || self.would_be_default(ingress) => {
                Ok(())
            }
            NamedClass::Nowhere => Err(NotOurs::NoClass),
        }
    }

    fn is_ours(&self, class: &IngressClass) -> bool {
        class.controller == self.settings.controller_name
    }

    /// The API server sets the default class when an object is created, and does
    /// not change existing objects. Objects in files have not passed the API
    /// server, so an Ingress in a file belongs to the default class if there is
    /// exactly one.
    fn would_be_default(&self, ingress: &Object) -> bool {
        if ingress.file.is_none() {
            return false;
        }
        let mut defaults = self.by_name.values().filter(|class| class.is_default);
        matches!((defaults.next(), defaults.next()), (Some(class), None) if self.is_ours(class))
    }
}
