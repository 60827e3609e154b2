//! Delayed requests.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use super::{FLUSH_PERIOD, abort, host};
use crate::table::AbortStatus;

/// How exact a delay is. The timer runs so often only while something waits.
const PERIOD: Duration = Duration::from_millis(10);

/// The requests of a worker that wait, the first due first. Each is answered with
/// the status, if it has one, once its delay is over.
#[derive(Default)]
pub(super) struct Waiting(RefCell<BTreeMap<Due, Option<AbortStatus>>>);

/// When a request is due, in nanoseconds since 1970, and the identifier of its
/// stream, which tells apart those that are due at the same time.
pub(super) type Due = (u64, u32);

impl Waiting {
    /// Adds a request that is paused. After so many milliseconds it goes on, or is
    /// answered with `abort`.
    pub(super) fn add(&self, stream: u32, ms: u32, abort: Option<AbortStatus>) -> Due {
        let due = (host::now().saturating_add(u64::from(ms).saturating_mul(1_000_000)), stream);
        let mut waiting = self.0.borrow_mut();
        if waiting.is_empty() {
            host::set_tick_period(PERIOD);
        }
        waiting.insert(due, abort);
        due
    }

    /// Removes a request that has ended before it was due.
    pub(super) fn remove(&self, due: Due) {
        self.0.borrow_mut().remove(&due);
    }

    /// Ends the wait of all requests that are due.
    pub(super) fn tick(&self) {
        if self.0.borrow().is_empty() {
            return;
        }
        let now = host::now();
        while let Some((stream, status)) = self.next_due(now) {
            // A call on a stream that is gone would trap.
            match status {
                _ if !host::select_stream(stream) => {}
                None => host::resume_request(),
                Some(status) => abort(status),
            }
        }
        if self.0.borrow().is_empty() {
            host::set_tick_period(FLUSH_PERIOD);
        }
    }

    fn next_due(&self, now: u64) -> Option<(u32, Option<AbortStatus>)> {
        let mut waiting = self.0.borrow_mut();
        let first = waiting.first_entry().filter(|first| first.key().0 <= now)?;
        let ((_, stream), status) = first.remove_entry();
        Some((stream, status))
    }
}
