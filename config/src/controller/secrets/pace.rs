//! How often Secrets that cannot be read are tried again.
//!
//! Each is tried soon, for rights are mostly granted soon; but an Ingress may name
//! thousands. So the Secrets of one namespace take turns, and what comes out of it
//! is a number of requests that does not depend on how many there are, and that
//! falls the longer it goes on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::sleep_until;

/// The time between two tries in a namespace, at first.
const INTERVAL: Duration = Duration::from_millis(200);

/// By how much it grows at most.
const MAX_GROWTH: u32 = 10;

/// After each such period without any success it grows.
const GROWS_AFTER: Duration = Duration::from_mins(1);

/// See the module.
#[derive(Default)]
pub(super) struct Pace {
    namespaces: Mutex<HashMap<String, Lane>>,
}

/// The turns of one namespace.
struct Lane {
    /// When the next turn is free.
    free_at: Instant,
    failing_since: Instant,
    success: Arc<Notify>,
}

impl Pace {
    /// Waits for the turn of a Secret that could not be read. Where another of its
    /// namespace is read meanwhile, that is at once: rights were granted, perhaps
    /// for all.
    pub(super) async fn turn(&self, namespace: &str) {
        let (at, success) = self.reserve(namespace, Instant::now());
        tokio::select! {
            () = sleep_until(at.into()) => {}
            () = success.notified() => {}
        }
    }

    /// One that could not be read was read.
    pub(super) fn succeeded(&self, namespace: &str) {
        let mut namespaces = self.namespaces.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = namespaces.remove(namespace) {
            lane.success.notify_waiters();
        }
    }

    fn reserve(&self, namespace: &str, now: Instant) -> (Instant, Arc<Notify>) {
        let mut namespaces = self.namespaces.lock().unwrap_or_else(PoisonError::into_inner);
        if !namespaces.contains_key(namespace) {
            namespaces.insert(namespace.to_owned(), Lane::new(now));
        }
        match namespaces.get_mut(namespace) {
            Some(lane) => (lane.reserve(now), Arc::clone(&lane.success)),
            None => (now, Arc::default()),
        }
    }
}

impl Lane {
    fn new(now: Instant) -> Self {
        Self { free_at: now, failing_since: now, success: Arc::default() }
    }

    fn reserve(&mut self, now: Instant) -> Instant {
        let periods = now.duration_since(self.failing_since).as_secs() / GROWS_AFTER.as_secs();
        let growth = u32::try_from(periods).unwrap_or(u32::MAX).saturating_add(1).min(MAX_GROWTH);
        let turn = self.free_at.max(now);
        self.free_at = turn + INTERVAL * growth;
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_tries_does_not_depend_on_that_of_secrets() {
        let (pace, now) = (Pace::default(), Instant::now());
        let (first, _) = pace.reserve("a", now);
        assert_eq!(first, now);
        let last = (0..100).map(|_| pace.reserve("a", now).0).last();
        assert_eq!(last, Some(now + 100 * INTERVAL));
        assert_eq!(pace.reserve("b", now).0, now, "another namespace has turns of its own");
    }

    #[test]
    fn tries_become_rarer_until_one_succeeds() {
        let (pace, start) = (Pace::default(), Instant::now());
        let gap = |after: Duration| {
            let now = start + after;
            let (one, _) = pace.reserve("a", now);
            pace.reserve("a", now).0 - one
        };
        assert_eq!(gap(Duration::ZERO), INTERVAL);
        assert_eq!(gap(Duration::from_mins(3)), 4 * INTERVAL);
        assert_eq!(gap(Duration::from_hours(3)), MAX_GROWTH * INTERVAL);
        pace.succeeded("a");
        assert_eq!(gap(Duration::from_hours(3)), INTERVAL);
    }
}
