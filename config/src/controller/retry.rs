//! How long to wait before something is tried again.

use std::time::Duration;

use tokio::time::sleep;

/// Soon at first, for most troubles are short; and never long, for what changes
/// meanwhile is not served.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Ever longer, with a random part, so that many replicas do not all come back
/// at once.
pub(super) struct Backoff(Duration);

impl Backoff {
    pub(super) fn new() -> Self {
        Self(FIRST)
    }

    /// Waits for as long as it is time to.
    pub(super) async fn wait(&mut self) {
        sleep(self.step()).await;
    }

    fn step(&mut self) -> Duration {
        let now = self.0;
        self.0 = (now * 2).min(LONGEST);
        now.mul_f64(0.5 + fastrand::f64() / 2.0)
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
        *self = Self::new();
    }
}
