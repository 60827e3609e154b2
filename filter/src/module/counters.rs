//! Counters inside the module, so that counting costs no host call per request.

use std::cell::Cell;

use super::host;
use crate::verdict::Outcome;

/// The number of requests with each outcome since the last flush.
#[derive(Default)]
pub(super) struct Counters([Counter; Outcome::ALL.len()]);

#[derive(Default)]
struct Counter {
    /// The host's identifier, once it is defined.
    metric: Cell<Option<u32>>,
    pending: Cell<i64>,
}

impl Counters {
    /// Defines the counters in the host: `ingress.requests.<outcome>`.
    pub(super) fn define(&self) {
        for (counter, outcome) in self.0.iter().zip(Outcome::ALL) {
            let metric = host::define_counter(&format!("ingress.requests.{}", outcome.name()));
            counter.metric.set(metric);
        }
    }

    pub(super) fn count(&self, outcome: Outcome) {
        if let Some(counter) = self.0.get(outcome as usize) {
            counter.pending.set(counter.pending.get().saturating_add(1));
        }
    }

    /// Adds the counts to the host's counters.
    pub(super) fn flush(&self) {
        for counter in &self.0 {
            if let Some(metric) = counter.metric.get() {
                match counter.pending.take() {
                    0 => {}
                    count => host::increment(metric, count),
                }
            }
        }
    }
}
