//! One attempt to apply a compiled configuration to Envoy.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::task::spawn_blocking;

use super::{Isolation, Verdict};
use crate::manifest::Object;
use crate::model::Gateway;
use crate::object_ref::ObjectRef;
use crate::rollout::{Applied, Change, Rollout, RolloutError};

/// The result of an attempt.
#[derive(Debug)]
pub(crate) enum Attempt {
    /// Envoy has the complete configuration.
    Served(Change),
    /// Other objects must be left out: compile again without them.
    Again {
        change: Change,
        /// Whether Envoy has rejected something in this attempt.
        is_refused: bool,
    },
    Failed(RolloutError),
}

impl Isolation {
    /// Applies `gateway`, which was compiled from these objects.
    pub(crate) async fn attempt<'o>(
        &mut self,
        rollout: &mut Rollout,
        gateway: &Gateway,
        objects: impl Iterator<Item = &'o Object>,
    ) -> Attempt {
        let before = self.good.as_ref().map(|good| Arc::clone(&good.table));
        let attempt = self.attempt_once(rollout, gateway, objects).await;
        // It is large, and freeing it need not delay the rollout.
        drop(spawn_blocking(move || drop(before)));
        attempt
    }

    async fn attempt_once<'o>(
        &mut self,
        rollout: &mut Rollout,
        gateway: &Gateway,
        objects: impl Iterator<Item = &'o Object>,
    ) -> Attempt {
        match rollout.apply(gateway).await {
            Ok(Applied { change, refused }) => {
                match self.taken(gateway, &refused, Instant::now()) {
                    Verdict::Again => Attempt::Again { change, is_refused: !refused.is_empty() },
                    Verdict::Settled | Verdict::Hopeless => Attempt::Served(change),
                }
            }
            Err(error) => {
                let Some((key, message)) = error.refusal() else { return Attempt::Failed(error) };
                // Many may be suspects.
                let by_reference: HashMap<_, _> =
                    objects.map(|object| (object.reference(), object)).collect();
                let find =
                    |wanted: &ObjectRef| by_reference.get(wanted).map(|object| object.node.clone());
                match self.refused_whole(&key, &message, gateway, Instant::now(), find) {
                    Verdict::Again => Attempt::Again { change: Change::Nothing, is_refused: true },
                    Verdict::Settled | Verdict::Hopeless => Attempt::Failed(error),
                }
            }
        }
    }
}
