//! What to tell the API of what is served.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::compile::Compiled;
use crate::controller::known::Known;
use crate::controller::reports::{IngressState, Outcome, Report, Subject};
use crate::finding::Finding;

/// `more` are findings beside those of the compiler.
pub(super) fn outcome(objects: &[Arc<Known>], compiled: &Compiled, more: &[Finding]) -> Outcome {
    let ingresses = objects.iter().filter(|known| &*known.object.kind == "Ingress");
    let ingresses = ingresses.map(|known| ingress_state(known, compiled)).collect();
    let findings = || compiled.findings.iter().chain(more);
    let found: HashSet<_> = findings().filter_map(|finding| finding.object.as_ref()).collect();
    let subjects = objects.iter().filter_map(|known| {
        let object = known.object.reference();
        // What is wrong with an Ingress of another class is not ours to tell.
        let is_foreign = &*object.kind == "Ingress" && !compiled.ingresses.contains_key(&object);
        let is_told = !is_foreign && found.contains(&object);
        is_told.then_some((object, known))
    });
    let subjects: HashMap<_, _> = subjects.collect();
    let reports = findings().filter_map(|finding| {
        let known = subjects.get(finding.object.as_ref()?)?;
        Some(Report { subject: subject(known), finding: finding.clone() })
    });
    Outcome { ingresses, reports: reports.collect() }
}

fn ingress_state(known: &Known, compiled: &Compiled) -> IngressState {
    IngressState {
        api_version: known.object.api_version.to_string(),
        namespace: known.object.namespace.to_string(),
        name: known.object.name.to_string(),
        resource_version: known.resource_version.clone(),
        published: known.published.clone(),
        is_published_by_us: known.is_published_by_us,
        is_served: compiled.ingresses.get(&known.object.reference()).copied().unwrap_or(false),
    }
}

fn subject(known: &Known) -> Subject {
    Subject {
        api_version: known.object.api_version.to_string(),
        kind: known.object.kind.to_string(),
        namespace: known.object.namespace.to_string(),
        name: known.object.name.to_string(),
        uid: known.uid.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::compile;
    use crate::manifest::read_text;
    use crate::object_ref::ObjectRef;
    use crate::settings::Settings;

    /// What Envoy refuses of a cluster is an Event on its Service.
    #[test]
    fn a_finding_of_what_envoy_refuses_is_told_on_its_object() {
        let text =
            "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {ports: [{port: 80}]}}";
        let manifests = read_text("web.yaml", text);
        let compiled = compile(&manifests, &Settings::default());
        let objects: Vec<_> = manifests.objects.into_iter().map(Known::of_object).collect();
        let refused = Finding::error("Envoy refuses it").object(objects[0].object.reference());
        let elsewhere = Finding::error("no such object").object(ObjectRef {
            kind: "Service".into(),
            namespace: "default".into(),
            name: "other".into(),
        });
        let outcome = outcome(&objects, &compiled, &[refused.clone(), elsewhere]);
        let told: Vec<_> = outcome
            .reports
            .iter()
            .map(|report| (&*report.subject.kind, &*report.subject.name, &report.finding))
            .collect();
        assert_eq!(told, [("Service", "web", &refused)]);
    }
}
