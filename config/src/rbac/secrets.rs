//! The Secrets with certificates that manifests name.

use std::collections::{BTreeMap, BTreeSet};

use crate::finding::Finding;
use crate::manifest::{Manifests, Object};
use crate::objects::Read;
use crate::selection::secrets_wanted;
use crate::settings::Settings;

/// Names of Secrets by their namespace.
#[derive(Debug, Default)]
pub(crate) struct Secrets {
    pub(crate) by_namespace: BTreeMap<String, BTreeSet<String>>,
}

/// The Secrets that a gateway for the Ingresses in `namespaces`, or in all if the list is
/// empty, reads. The findings are those that affect this set.
pub(crate) fn named_secrets(
    manifests: &Manifests,
    settings: &Settings,
    namespaces: &[String],
) -> (Secrets, Vec<Finding>) {
    let is_seen = |object: &&Object| {
        &*object.kind != "Ingress"
            || namespaces.is_empty()
            || namespaces.iter().any(|namespace| **namespace == *object.namespace)
    };
    let Read { value: wanted, findings: bearing } =
        secrets_wanted(manifests.objects().filter(is_seen), settings);

    let mut secrets = Secrets::default();
    for secret in &wanted {
        let names = secrets.by_namespace.entry(secret.namespace().to_owned()).or_default();
        names.insert(secret.name().to_owned());
    }
    let mut findings = manifests.findings.clone();
    findings.extend(bearing);
    (secrets, findings.into_sorted())
}
