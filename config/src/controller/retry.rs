//! The time to wait before a retry.

use std::time::{Duration, Instant};

use futures::future;
use tokio::time::{sleep, sleep_until};

/// Increasing pauses with a random part, so that replicas do not retry at the same time.
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// For traffic: short at first, because most failures are short, and never long,
    /// because changes are not served meanwhile.
    pub(super) fn for_traffic() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(5))
    }

    /// For reports.
    pub(super) fn for_reports() -> Self {
        Self::new(Duration::from_secs(1), Duration::from_mins(1))
    }

    fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// Starts again after a success.
    pub(super) fn reset(&mut self) {
        self.next = self.first;
    }

    /// The next pause.
    pub(super) fn step(&mut self) -> Duration {
        let now = self.next;
        self.next = (now * 2).min(self.longest);
        now.mul_f64(0.5 + fastrand::f64() / 2.0)
    }

    /// Waits for the next pause.
    pub(super) async fn wait(&mut self) {
        sleep(self.step()).await;
    }
}

/// For tasks that have succeeded only after some time without a failure: for example, the
/// start of a list does not mean that it will complete.
pub(super) struct LastingBackoff {
    backoff: Backoff,
    quiet: Duration,
    failed_at: Option<Instant>,
}

impl LastingBackoff {
    pub(super) fn new(backoff: Backoff, quiet: Duration) -> Self {
        Self { backoff, quiet, failed_at: None }
    }
}

impl Iterator for LastingBackoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let failed_at = self.failed_at.replace(Instant::now());
        if failed_at.is_some_and(|at| at.elapsed() > self.quiet) {
            self.backoff.reset();
        }
        Some(self.backoff.step())
    }
}

impl kube::runtime::utils::Backoff for LastingBackoff {
    /// Called after each step without an error.
    fn reset(&mut self) {}
}

/// Waits until `time`; forever without one.
pub(super) async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time.into()).await,
        None => future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_longer_each_time_up_to_the_longest() {
        let mut backoff = Backoff::for_traffic();
        for milliseconds in [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000] {
            let most = Duration::from_millis(milliseconds);
            let step = backoff.step();
            assert!((most / 2..=most).contains(&step), "{step:?} of {most:?}");
        }
        backoff.reset();
        assert!(backoff.step() <= Duration::from_millis(100));
    }

    #[test]
    fn what_is_no_error_for_a_moment_makes_no_wait_shorter() {
        let steps = |quiet| {
            let mut backoff = LastingBackoff::new(Backoff::for_traffic(), quiet);
            for _ in 0..5 {
                backoff.next();
                kube::runtime::utils::Backoff::reset(&mut backoff);
            }
            backoff.next().unwrap()
        };
        assert!(steps(Duration::from_mins(1)) >= Duration::from_millis(1_600));
        assert!(steps(Duration::ZERO) <= Duration::from_millis(100));
    }
}
