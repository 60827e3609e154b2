//! Reports what Envoy serves to the API: the status of Ingresses, and Events. Only
//! the leader writes; failures here never affect traffic.

use std::sync::Arc;

use kube::Client;
use tokio::sync::watch;

use crate::finding::Finding;

use super::events;
use super::known::Known;
use super::metrics::Metrics;
use super::status::{self, Publish};

/// The result for the objects, once Envoy serves it.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) ingresses: Vec<IngressState>,
    pub(super) reports: Vec<Report>,
}

/// An Ingress of the API, and whether it is served.
#[derive(Clone, Debug)]
pub(super) struct IngressState {
    pub(super) known: Arc<Known>,
    pub(super) is_served: bool,
}

/// The object of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) api_version: String,
    pub(super) kind: String,
    /// Empty for cluster-scoped objects.
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
}

/// A finding and its object.
#[derive(Clone, Debug)]
pub(super) struct Report {
    pub(super) subject: Subject,
    pub(super) finding: Finding,
}

/// The reporter, and what it reports.
#[derive(Clone, Debug)]
pub(super) struct Options {
    /// The field manager of a status in `metadata.managedFields`, such as
    /// `ingressctl/istio-system/istio-ingress`. At most 128 bytes.
    pub(super) field_manager: String,
    /// The source of the published addresses; without it, no address is written.
    pub(super) publish: Option<Publish>,
    /// Distinguishes this installation from others, such as `namespace/lease`.
    pub(super) installation: String,
    /// The watched namespaces, where Events are written; empty for all.
    pub(super) namespaces: Vec<String>,
    /// `spec.controller` of the IngressClasses of this gateway: the source of
    /// Events.
    pub(super) controller: String,
    /// This replica: see [`super::lease::identity`].
    pub(super) identity: String,
}

/// Reports the newest outcome while this replica is the leader. Ends when the
/// election or the driver has ended.
pub(super) async fn run(
    client: Client,
    options: Options,
    mut outcomes: watch::Receiver<Option<Arc<Outcome>>>,
    mut leader: watch::Receiver<bool>,
    metrics: Arc<Metrics>,
) {
    while leader.wait_for(|is_leader| *is_leader).await.is_ok() {
        metrics.set_leader(true);
        // An outcome that was reported in a previous term is new in this one.
        outcomes.mark_changed();
        let reporting = async {
            let statuses = status::publish(&client, &options, outcomes.clone(), &metrics);
            let events = events::report(&client, &options, outcomes.clone(), &metrics);
            tokio::join!(statuses, events);
        };
        // Cancelled immediately: another replica may already write.
        let has_ended = tokio::select! {
            () = reporting => true,
            lost = leader.wait_for(|is_leader| !*is_leader) => lost.is_err(),
        };
        metrics.set_leader(false);
        if has_ended {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::prometheus_text;
    use prometheus_client::registry::Registry;

    use std::time::Duration;

    use kube::Config;
    use tokio::time::timeout;

    use super::*;
    use crate::finding::Code;

    /// The time that a test waits for an immediate effect.
    const SOON: Duration = Duration::from_secs(10);

    fn report() -> Report {
        let subject = Subject {
            api_version: "v1".to_owned(),
            kind: "Service".to_owned(),
            namespace: "n".to_owned(),
            name: "x".to_owned(),
            uid: "u".to_owned(),
        };
        Report { subject, finding: Finding::new(Code::NoTests, "e") }
    }

    #[tokio::test]
    async fn an_api_that_is_away_is_counted_and_ends_nothing() {
        // Nothing listens on port 1.
        let config = Config::new("http://127.0.0.1:1".parse().unwrap());
        let client = Client::try_from(config).unwrap();
        let options = Options {
            field_manager: "ingressctl/n/l".to_owned(),
            publish: Some(Publish::Service { namespace: "n".to_owned(), name: "s".to_owned() }),
            installation: "n/l".to_owned(),
            namespaces: Vec::new(),
            controller: "istio.io/ingress-controller".to_owned(),
            identity: "pod_1".to_owned(),
        };
        let outcome = Outcome { ingresses: Vec::new(), reports: vec![report()] };
        let (outcomes, receiver) = watch::channel(Some(Arc::new(outcome)));
        let (leader, is_leader) = watch::channel(true);
        let mut registry = Registry::default();
        let metrics = Arc::new(Metrics::new(&mut registry));
        let running = tokio::spawn(run(client, options, receiver, is_leader, Arc::clone(&metrics)));
        let has = |line: &str| {
            let mut text = String::new();
            prometheus_text::encode(&mut text, &registry).unwrap();
            text.contains(line)
        };
        let counted = async {
            while !has("{report=\"event\",result=\"failure\"} 1\n") || !has("ingressctl_leader 1\n")
            {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            leader.send_replace(false);
            while !has("ingressctl_leader 0\n") {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(SOON, counted).await.unwrap();
        assert!(!running.is_finished());
        drop((leader, outcomes));
        timeout(SOON, running).await.unwrap().unwrap();
    }
}
