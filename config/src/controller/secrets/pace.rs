//! How often unreadable Secrets are requested again.
//!
//! Each is requested again soon, because permissions are usually granted soon; but
//! an Ingress may name thousands. Therefore the Secrets of a namespace take turns:
//! the number of requests does not depend on the number of Secrets, and decreases
//! over time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex as Queue, Notify};
use tokio::time::sleep_until;

/// The time between two tries in a namespace, at first.
const INTERVAL: Duration = Duration::from_millis(200);

/// The maximum factor by which it grows.
const MAX_GROWTH: u32 = 10;

/// After each such period without a success it grows, and after one without a try it is
/// reset.
const GROWS_AFTER: Duration = Duration::from_mins(1);

/// The turns of all namespaces.
#[derive(Default)]
pub(super) struct Pace {
    namespaces: Mutex<HashMap<String, Arc<Lane>>>,
}

/// The turns of one namespace.
#[derive(Default)]
struct Lane {
    /// The waiting Secrets, in their order. A Secret that is no longer wanted leaves, and
    /// delays no others.
    turns: Queue<Option<Failing>>,
    success: Notify,
}

/// The tries without a success.
#[derive(Clone, Copy)]
struct Failing {
    since: Instant,
    last: Instant,
}

impl Pace {
    /// Waits for the turn of a Secret that could not be read. The wait ends early if another
    /// Secret of its namespace is read, because permissions may have been granted for all.
    pub(super) async fn turn(&self, namespace: &str) {
        let lane = self.lane(namespace);
        tokio::select! {
            () = lane.turn() => {}
            () = lane.success.notified() => {}
        }
    }

    /// A Secret that could not be read before was read.
    pub(super) fn succeeded(&self, namespace: &str) {
        let mut namespaces = self.namespaces.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = namespaces.remove(namespace) {
            lane.success.notify_waiters();
        }
    }

    fn lane(&self, namespace: &str) -> Arc<Lane> {
        let mut namespaces = self.namespaces.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(namespaces.entry(namespace.to_owned()).or_default())
    }
}

impl Lane {
    async fn turn(&self) {
        let mut failing = self.turns.lock().await;
        let next = Failing::next(*failing, Instant::now());
        sleep_until(next.last.into()).await;
        *failing = Some(next);
    }
}

impl Failing {
    /// The state after the next try, which may be at `now` or later.
    fn next(before: Option<Self>, now: Instant) -> Self {
        match before {
            Some(Self { since, last }) if now < last + GROWS_AFTER => {
                let periods = now.duration_since(since).as_secs() / GROWS_AFTER.as_secs();
                let growth = u32::try_from(periods).unwrap_or(u32::MAX).saturating_add(1);
                let last = now.max(last + INTERVAL * growth.min(MAX_GROWTH));
                Self { since, last }
            }
            _ => Self { since: now, last: now },
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    #[test]
    fn tries_become_rarer_until_there_are_none() {
        let start = Instant::now();
        let wait = |failing_for: Duration, tried_before: Duration| {
            let now = start + failing_for;
            let last = now.checked_sub(tried_before).unwrap();
            Failing::next(Some(Failing { since: start, last }), now).last - now
        };
        let (none, second) = (Duration::ZERO, Duration::from_secs(1));
        assert_eq!(Failing::next(None, start).last, start);
        assert_eq!(wait(second, none), INTERVAL);
        assert_eq!(wait(Duration::from_mins(3), none), 4 * INTERVAL);
        assert_eq!(wait(Duration::from_hours(3), none), MAX_GROWTH * INTERVAL);
        let rest = MAX_GROWTH * INTERVAL.saturating_sub(second / MAX_GROWTH);
        assert_eq!(wait(Duration::from_hours(3), second), rest);
        let after_a_pause = start + Duration::from_hours(3);
        let before = Failing { since: start, last: start };
        assert_eq!(Failing::next(Some(before), after_a_pause).since, after_a_pause);
    }

    #[tokio::test]
    async fn turns_that_nobody_waits_for_any_more_delay_nobody() {
        let pace = Arc::new(Pace::default());
        let waiting: Vec<_> = (0..1_000)
            .map(|_| {
                let pace = Arc::clone(&pace);
                tokio::spawn(async move { pace.turn("a").await })
            })
            .collect();
        pace.turn("b").await;
        timeout(2 * INTERVAL, pace.turn("a")).await.expect_err("others are first");
        waiting.iter().for_each(tokio::task::JoinHandle::abort);
        timeout(3 * INTERVAL, pace.turn("a")).await.expect("they are gone");
    }

    #[tokio::test]
    async fn a_success_is_the_turn_of_all() {
        let pace = Pace::default();
        let waiting = futures::future::join_all((0..1_000).map(|_| pace.turn("a")));
        let succeed = async {
            tokio::time::sleep(2 * INTERVAL).await;
            pace.succeeded("a");
        };
        timeout(10 * INTERVAL, futures::future::join(waiting, succeed)).await.expect("all at once");
    }
}
