//! The Envoy of a rollout: its state, and how to send resources to it.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::RolloutError;
use super::admin::Admin;
use crate::envoy::{Key, Kind, Resource, Resources};
use crate::xds::{Position, Refusal, Server, Unconfirmed};

/// How long Envoy may take to confirm a step.
const STEP_TIMEOUT: Duration = Duration::from_secs(15);

/// How long names may take to be resolved. One that takes longer is a matter of its
/// own cluster: what goes there is answered with 503 until it is resolved.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(1);

/// How often the admin port is asked, about what no answer on the stream tells.
const POLL_PERIOD: Duration = Duration::from_millis(10);

/// What Envoy does after it has taken something in, and tells nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Warming {
    /// Clusters whose names are not resolved yet.
    Clusters,
    Listeners,
}

/// When something has to be confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Confirm {
    Always,
    /// As long as Envoy asks for it.
    WhileAsked,
}

/// An Envoy, or what stands for it in a test.
pub(super) trait Envoy {
    /// Where it is, on its way to `target`.
    async fn position(&mut self, target: &Resources) -> Result<Position, RolloutError>;

    /// Tells it resources, and has it forget others.
    fn tell(&mut self, resources: Vec<(Key, Resource)>, withdraw: &[Key]);

    /// Waits until it has taken these in, or refused them.
    async fn confirm(&mut self, keys: &[Key], when: Confirm) -> Result<(), RolloutError>;

    /// Waits until it is done with what it has taken in.
    async fn warm(&mut self, what: Warming) -> Result<(), RolloutError>;

    /// What it has refused of these.
    fn refusals<'k>(&self, keys: impl IntoIterator<Item = &'k Key>) -> Vec<(Key, Refusal)>;

    /// What it has refused of `target`.
    fn refused_of(&self, target: &Resources) -> Vec<(Key, Refusal)>;

    /// Tells it once more what it has refused.
    fn retry(&mut self);

    /// It holds `target`, but for what it has refused.
    fn settle(&mut self, target: &Resources);
}

/// One that runs.
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
