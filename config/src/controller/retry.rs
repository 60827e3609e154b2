//! How long to wait before something is tried again.

use std::time::Duration;

use tokio::time::sleep;

/// Ever longer, with a random part, so that many replicas do not all come back
/// at once.
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// For what is served: soon at first, for most troubles are short; and never
    /// long, for what changes meanwhile is not served.
    pub(super) fn for_traffic() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(5))
    }

    /// For what is only told.
    pub(super) fn for_reports() -> Self {
        Self::new(Duration::from_secs(1), Duration::from_mins(1))
    }

    fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// Begins anew, since it has worked.
    pub(super) fn reset(&mut self) {
        self.next = self.first;
    }

    /// How long to wait this time.
    pub(super) fn step(&mut self) -> Duration {
        let now = self.next;
        self.next = (now * 2).min(self.longest);
        now.mul_f64(0.5 + fastrand::f64() / 2.0)
    }

    /// Waits for as long as it is time to.
    pub(super) async fn wait(&mut self) {
        sleep(self.step()).await;
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(self.step())
    }
}

impl kube::runtime::utils::Backoff for Backoff {
    fn reset(&mut self) {
        Self::reset(self);
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
}
