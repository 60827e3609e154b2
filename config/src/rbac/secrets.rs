//! Which Secrets with certificates manifests name.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::compile::{IngressName, compile};
use crate::finding::{Finding, Findings};
use crate::manifest::{Manifests, Object};
use crate::objects::{Cursor, Reading, is_dns_subdomain, is_named_well};
use crate::settings::Settings;

/// Names of Secrets by their namespace.
#[derive(Debug, Default)]
pub(crate) struct Secrets {
    pub(crate) by_namespace: BTreeMap<String, BTreeSet<String>>,
}

impl Secrets {
    fn add(&mut self, namespace: &str, name: &str) {
        self.by_namespace.entry(namespace.to_owned()).or_default().insert(name.to_owned());
    }
}

/// The field that decides whether an Ingress, and so its Secrets, is ours.
const CLASS_FIELD: &str = "spec.ingressClassName";

/// The Secrets that Ingresses of our class name, those in `namespaces` where
/// any is given, and the default certificate. The findings are those that bear
/// on that.
pub(crate) fn named_secrets(
    manifests: &Manifests,
    settings: &Settings,
    namespaces: &[String],
) -> (Secrets, Vec<Finding>) {
    let mut secrets = Secrets::default();
    let default = &settings.default_certificate;
    secrets.add(default.namespace(), default.name());

    let compiled = compile(manifests, settings);
    let is_about_class = |finding: &Finding| finding.field.as_deref() == Some(CLASS_FIELD);
    let mut findings = manifests.findings.clone();
    findings.extend(compiled.findings.into_iter().filter(is_about_class));
    let findings = RefCell::new(findings);
    let mut ours = compiled.ingresses;
    for object in manifests.objects.iter().filter(|object| is_ingress(object)) {
        let is_watched =
            namespaces.is_empty() || namespaces.iter().any(|n| **n == *object.namespace);
        let name: IngressName = (object.namespace.clone(), object.name.clone());
        // Once: what is defined a second time is not served.
        if ours.remove(&name).is_some() && is_watched {
            add_secrets_of(object, &findings, &mut secrets);
        }
    }
    (secrets, findings.into_inner().into_sorted())
}

fn is_ingress(object: &Object) -> bool {
    &*object.kind == "Ingress" && matches!(object.group(), "extensions" | "networking.k8s.io")
}

fn add_secrets_of(ingress: &Object, findings: &RefCell<Findings>, secrets: &mut Secrets) {
    let reading = Reading::new(ingress, findings);
    let root = reading.root();
    if !is_named_well(ingress, &root) {
        return;
    }
    let Some(spec) = root.field("spec") else { return };
    for item in spec.list("tls") {
        let entry = item.cursor();
        let Some(field) = entry.field("secretName") else { continue };
        if let Some(name) = secret_name(&field) {
            secrets.add(&ingress.namespace, name);
        }
    }
}

/// The name in the field. An empty one stands for the default certificate.
fn secret_name<'a>(field: &Cursor<'a>) -> Option<&'a str> {
    let name = field.as_string()?;
    if name.is_empty() {
        return None;
    }
    let is_name = is_dns_subdomain(name);
    if !is_name {
        field.error(
            "is no name of a Secret, so there is nothing to read; correct it: lower-case letters, digits, - and ., 253 at most",
        );
    }
    is_name.then_some(name)
}
