//! Random numbers for weights and faults: a fast generator, seeded by the
//! operating system when the VM starts.

use std::cell::RefCell;

/// A generator, of which each worker has its own.
pub(super) struct Random(RefCell<fastrand::Rng>);

impl Random {
    pub(super) fn new() -> Self {
        // In Envoy this does not fail. Without a seed, the picks would still follow
        // the weights, but be the same on each worker.
        let seed = getrandom::u64().unwrap_or_default();
        Self(RefCell::new(fastrand::Rng::with_seed(seed)))
    }

    pub(super) fn next(&self) -> u64 {
        self.0.try_borrow_mut().map(|mut generator| generator.u64(..)).unwrap_or_default()
    }
}
