//! Delayed requests.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use super::{FLUSH_PERIOD, abort, host};
use crate::table::AbortStatus;

/// The resolution of delays. The timer has this period only while requests are delayed.
const PERIOD: Duration = Duration::from_millis(10);

/// The delayed requests of a worker, in the order in which their delays end. A request
/// with a status gets it as its response then.
#[derive(Default)]
pub(super) struct Waiting(RefCell<BTreeMap<Due, Option<AbortStatus>>>);

/// The end of a delay in nanoseconds since 1970, and the identifier of the stream, which
/// distinguishes delays that end at the same time.
pub(super) type Due = (u64, u32);

impl Waiting {
    /// Adds a paused request. After the delay it continues, or gets the response `abort`.
    pub(super) fn add(&self, stream: u32, ms: u32, abort: Option<AbortStatus>) -> Due {
        let due = (host::now().saturating_add(u64::from(ms).saturating_mul(1_000_000)), stream);
        let mut waiting = self.0.borrow_mut();
        if waiting.is_empty() {
            host::set_tick_period(PERIOD);
        }
        waiting.insert(due, abort);
        due
    }

    /// Removes a request that has ended before its delay.
    pub(super) fn remove(&self, due: Due) {
        self.0.borrow_mut().remove(&due);
    }

    /// Continues or aborts all requests whose delay has ended.
    pub(super) fn tick(&self) {
        if self.0.borrow().is_empty() {
            return;
        }
        let now = host::now();
        while let Some((stream, status)) = self.next_due(now) {
            // A call on a stream that has ended would trap.
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
