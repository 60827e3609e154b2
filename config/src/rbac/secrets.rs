//! Which Secrets with certificates manifests name.

use std::collections::{BTreeMap, BTreeSet};

use crate::certificates::Memo;
use crate::compile::{Circumstances, compile_objects};
use crate::finding::{Finding, Severity};
use crate::manifest::{Manifests, Object};
use crate::settings::Settings;

/// Names of Secrets by their namespace.
#[derive(Debug, Default)]
pub(crate) struct Secrets {
    pub(crate) by_namespace: BTreeMap<String, BTreeSet<String>>,
}

/// The Secrets that a gateway asks for which sees the Ingresses in `namespaces`,
/// all where none is given. The findings are those that bear on that.
pub(crate) fn named_secrets(
    manifests: &Manifests,
    settings: &Settings,
    namespaces: &[String],
) -> (Secrets, Vec<Finding>) {
    let is_seen = |object: &&Object| {
        !is_ingress(object)
            || namespaces.is_empty()
            || namespaces.iter().any(|namespace| **namespace == *object.namespace)
    };
    let (seen, findings) = (manifests.objects.iter().filter(is_seen), manifests.findings.clone());
    let memo = Memo::default();
    let compiled = compile_objects(seen, findings, &Circumstances::of_manifests(settings, &memo));

    let mut secrets = Secrets::default();
    for secret in &compiled.secrets {
        let names = secrets.by_namespace.entry(secret.namespace().to_owned()).or_default();
        names.insert(secret.name().to_owned());
    }
    let mut findings = manifests.findings.clone();
    findings.extend(compiled.findings.into_iter().filter(bears_on_secrets));
    (secrets, findings.into_sorted())
}

fn is_ingress(object: &Object) -> bool {
    &*object.kind == "Ingress" && matches!(object.group(), "extensions" | "networking.k8s.io")
}

/// Whether it is about whether an Ingress is ours, or about the name of a Secret
/// in it.
fn bears_on_secrets(finding: &Finding) -> bool {
    let is_of_ingress = finding.object.as_ref().is_some_and(|object| &*object.kind == "Ingress");
    let field = finding.field.as_deref().unwrap_or_default();
    let is_error_in = |part| field.starts_with(part) && finding.severity == Severity::Error;
    is_of_ingress
        && (field == "spec.ingressClassName"
            || is_error_in("metadata.namespace")
            || is_error_in("spec.tls"))
}
