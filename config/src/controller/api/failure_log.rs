//! Logs repeated failures once.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use crate::cluster::Failure;

/// How often the same failure is logged.
const REMINDER_PERIOD: Duration = Duration::from_mins(1);

/// A task that uses the API.
#[derive(Clone, Copy)]
pub(in crate::controller) struct ApiTask {
    /// The task, as in "cannot …".
    pub(in crate::controller) what: &'static str,
    /// The permission that it needs.
    pub(in crate::controller) permission: &'static str,
}

/// The failures that have been logged, so that each is logged once, not on every
/// retry.
#[derive(Default)]
pub(in crate::controller) struct FailureLog(BTreeSet<(&'static str, &'static str)>);

impl FailureLog {
    /// Logs the failure of `task` and its remedy, unless it has been logged.
    pub(in crate::controller) fn failed(&mut self, task: ApiTask, failure: &Failure) {
        if !self.0.insert((task.what, failure.kind())) {
            return;
        }
        let ApiTask { what, permission } = task;
        if let Failure::Forbidden(_) = failure {
            // A quota or a webhook may also forbid it; the failure of the API
            // names it.
            warn!(%failure, permission, "cannot {what}: forbidden; grant the permission if it is missing");
        } else {
            warn!(%failure, "cannot {what}; retrying");
        }
    }

    /// `task` has succeeded: its next failure is logged.
    pub(in crate::controller) fn resolve(&mut self, task: ApiTask) {
        let before = self.0.len();
        self.0.retain(|(what, _)| *what != task.what);
        if self.0.len() < before {
            info!("can {} again", task.what);
        }
    }
}

/// A repeated failure, which is logged once and then periodically.
pub(in crate::controller) struct RepeatedFailure {
    what: String,
    told: Option<(String, Instant)>,
}

impl RepeatedFailure {
    pub(in crate::controller) fn new(what: String) -> Self {
        Self { what, told: None }
    }

    pub(in crate::controller) fn log(&mut self, error: &str) {
        let is_known = self
            .told
            .as_ref()
            .is_some_and(|(told, at)| told == error && at.elapsed() < REMINDER_PERIOD);
        if !is_known {
            warn!(
                "{} failed: {error}; retrying, the current configuration stays in use",
                self.what
            );
            self.told = Some((error.to_owned(), Instant::now()));
        }
    }

    pub(in crate::controller) fn is_logged(&self) -> bool {
        self.told.is_some()
    }

    pub(in crate::controller) fn resolve(&mut self) {
        if self.told.take().is_some() {
            info!("{} works again", self.what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_made_once_until_all_is_well() {
        let task = ApiTask { what: "x", permission: "y" };
        let mut failure_log = FailureLog::default();
        failure_log.failed(task, &Failure::Away("a".to_owned()));
        failure_log.failed(task, &Failure::Away("b".to_owned()));
        failure_log.failed(task, &Failure::Forbidden("c".to_owned()));
        assert_eq!(failure_log.0.len(), 2);
        failure_log.resolve(ApiTask { what: "z", permission: "y" });
        assert_eq!(failure_log.0.len(), 2);
        failure_log.resolve(task);
        assert!(failure_log.0.is_empty());
    }
}
