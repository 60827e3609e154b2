//! The Envoy of a rollout: its state, and how to send resources to it.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::RolloutError;
use super::admin::Admin;
use crate::envoy::{Key, Kind, Resource, Resources};
use crate::xds::{Position, Refusal, Server, Unconfirmed};

/// The time that Envoy may take to acknowledge a step.
const STEP_TIMEOUT: Duration = Duration::from_secs(15);

/// The time that DNS names may take to resolve. A slower one affects only its own
/// cluster: its requests get 503 until it resolves.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(1);

/// How often the admin interface is polled for states that xDS does not report.
const POLL_PERIOD: Duration = Duration::from_millis(10);

/// What Envoy does after acknowledging a resource, which xDS does not report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Warming {
    /// Clusters whose names are not resolved yet.
    Clusters,
    Listeners,
}

/// When a resource has to be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Confirm {
    Always,
    /// While Envoy is subscribed to it.
    WhileAsked,
}

/// An Envoy, or a fake in a test.
pub(super) trait Envoy {
    /// Its state on the way to `target`.
    async fn position(&mut self, target: &Resources) -> Result<Position, RolloutError>;

    /// Serves resources to it, and removes others.
    fn tell(&mut self, resources: Vec<(Key, Resource)>, withdraw: &[Key]);

    /// Waits until it has acknowledged or rejected these resources.
    async fn confirm(&mut self, keys: &[Key], when: Confirm) -> Result<(), RolloutError>;

    /// Waits until it has finished warming.
    async fn warm(&mut self, what: Warming) -> Result<(), RolloutError>;

    /// Those that it has rejected.
    fn refusals<'k>(&self, keys: impl IntoIterator<Item = &'k Key>) -> Vec<(Key, Refusal)>;

    /// The resources of `target` that it has rejected.
    fn refused_of(&self, target: &Resources) -> Vec<(Key, Refusal)>;

    /// Sends the rejected resources again.
    fn retry(&mut self);

    /// It has `target`, except for what it has rejected.
    fn settle(&mut self, target: &Resources);
}

/// A running Envoy.
pub(super) struct RunningEnvoy {
    pub(super) server: Server,
    pub(super) admin: Admin,
}

impl Envoy for RunningEnvoy {
    async fn position(&mut self, target: &Resources) -> Result<Position, RolloutError> {
        self.server.position(target, STEP_TIMEOUT).await.ok_or_else(|| RolloutError::Unconfirmed {
            what: "any resource".to_owned(),
            cause: "it is not connected".to_owned(),
        })
    }

    fn tell(&mut self, resources: Vec<(Key, Resource)>, withdraw: &[Key]) {
        self.server.tell(resources, withdraw);
    }

    async fn confirm(&mut self, keys: &[Key], when: Confirm) -> Result<(), RolloutError> {
        let is_lenient = when == Confirm::WhileAsked;
        let confirmed = self.server.confirmed(keys, is_lenient, STEP_TIMEOUT).await;
        confirmed.map_err(|Unconfirmed(key)| RolloutError::Unconfirmed {
            what: format!("{} {}", key.kind.name(), key.name),
            cause: format!("no response within {} s", STEP_TIMEOUT.as_secs()),
        })
    }

    async fn warm(&mut self, what: Warming) -> Result<(), RolloutError> {
        let (name, kind, limit) = match what {
            Warming::Clusters => {
                ("cluster_manager.warming_clusters", Kind::Clusters, RESOLVE_TIMEOUT)
            }
            Warming::Listeners => {
                ("listener_manager.total_listeners_warming", Kind::Listeners, STEP_TIMEOUT)
            }
        };
        let deadline = Instant::now() + limit;
        loop {
            let cause = match self.admin.stats(&[name]).await {
                Ok(stats) if stats.get(name).is_none_or(|count| count == "0") => return Ok(()),
                Ok(_) => "it timed out".to_owned(),
                Err(error) => format!("{error:#}"),
            };
            if Instant::now() > deadline {
                return Err(RolloutError::Unconfirmed { what: kind.name().to_owned(), cause });
            }
            sleep(POLL_PERIOD).await;
        }
    }

    fn refusals<'k>(&self, keys: impl IntoIterator<Item = &'k Key>) -> Vec<(Key, Refusal)> {
        self.server.refusals(keys)
    }

    fn retry(&mut self) {
        self.server.retry();
    }

    fn settle(&mut self, target: &Resources) {
        self.server.settle(target);
    }

    fn refused_of(&self, target: &Resources) -> Vec<(Key, Refusal)> {
        self.server.refused_of(target)
    }
}
