//! The configuration that Envoy serves, and the reports about it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::sleep;

use super::known::Known;
use super::metrics::Metrics;
use super::reports::{IngressState, Outcome, Report, Subject};
use crate::finding::Finding;
use crate::object_ref::ObjectRef;
use crate::off_worker::off_worker;

/// The least time between two evaluations: with many changes, each evaluation
/// would slow down traffic updates.
const PERIOD: Duration = Duration::from_millis(250);

/// The objects of the configuration that Envoy serves.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) objects: Arc<Vec<Arc<Known>>>,
    /// The Ingresses of the class, and whether they are served.
    pub(super) ingresses: Arc<HashMap<ObjectRef, bool>>,
    pub(super) findings: Vec<Finding>,
}

/// Evaluates the reports about the newest served configuration, in parallel with
/// updates. Ends when the sender is dropped.
pub(super) async fn follow(
    mut served: watch::Receiver<Option<Arc<Served>>>,
    outcomes: watch::Sender<Option<Arc<Outcome>>>,
    metrics: Arc<Metrics>,
) {
    while served.changed().await.is_ok() {
        let start = Instant::now();
        let Some(newest) = served.borrow_and_update().clone() else { continue };
        let outcome = off_worker(move || newest.outcome()).await;
        metrics.set_findings(&outcome.reports);
        outcomes.send_replace(Some(Arc::new(outcome)));
        sleep(PERIOD.saturating_sub(start.elapsed())).await;
    }
}

impl Served {
    fn outcome(&self) -> Outcome {
        let ingresses = self.objects.iter().filter(|known| &*known.object.kind == "Ingress");
        let ingresses = ingresses.map(|known| IngressState {
            is_served: self.ingresses.get(&known.object.reference()).copied().unwrap_or(false),
            known: Arc::clone(known),
        });
        Outcome { ingresses: ingresses.collect(), reports: self.reports() }
    }

    fn reports(&self) -> Vec<Report> {
        let found: HashSet<_> =
            self.findings.iter().filter_map(|finding| finding.object.as_ref()).collect();
        if found.is_empty() {
            return Vec::new();
        }
        let subjects = self.objects.iter().filter_map(|known| {
            let object = known.object.reference();
            // Findings about Ingresses of other classes are not reported.
            let is_foreign = &*object.kind == "Ingress" && !self.ingresses.contains_key(&object);
            let is_told = !is_foreign && found.contains(&object);
            is_told.then_some((object, known))
        });
        let subjects: HashMap<_, _> = subjects.collect();
        let reports = self.findings.iter().filter_map(|finding| {
            let known = subjects.get(finding.object.as_ref()?)?;
            Some(Report { subject: subject(known), finding: finding.clone() })
        });
        reports.collect()
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
    use crate::finding::Code;
    use crate::manifest::read_text;
    use crate::settings::Settings;

    /// A rejected cluster is an Event on its Service.
    #[test]
    fn a_finding_of_what_envoy_refuses_is_told_on_its_object() {
        let text =
            "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {ports: [{port: 80}]}}";
        let manifests = read_text("web.yaml", text);
        let compiled = compile(&manifests, &Settings::default());
        let objects: Vec<_> = manifests.objects().cloned().map(Known::of_object).collect();
        let refused =
            Finding::new(Code::NoTests, "Envoy refuses it").object(objects[0].object.reference());
        let elsewhere = Finding::new(Code::NoTests, "no such object").object(ObjectRef {
            kind: "Service".into(),
            namespace: "default".into(),
            name: "other".into(),
        });
        let mut findings = compiled.findings;
        findings.extend([refused.clone(), elsewhere]);
        let served = Served { objects: Arc::new(objects), ingresses: compiled.ingresses, findings };
        let outcome = served.outcome();
        let told: Vec<_> = outcome
            .reports
            .iter()
            .map(|report| (&*report.subject.kind, &*report.subject.name, &report.finding))
            .collect();
        assert_eq!(told, [("Service", "web", &refused)]);
    }
}
