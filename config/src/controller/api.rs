//! Watches of the API, and the log of what fails again and again.

mod failure_log;
mod watch;

pub(super) use failure_log::{ApiTask, FailureLog, RepeatedFailure};
pub(super) use watch::{SILENCE, Watch, WatchFailure, WatchUpdate, single};
