//! Requests that may take longer than a stream may be idle.

use ingress_filter::names::TIMEOUT_HEADER;
use ingress_filter::table::{RouteTable, Timeout};

use super::super::message::Duration;
use super::{HeaderMatcher, forwards};
use crate::settings::TimeLimit;

/// Requests whose timeout is longer than the idle timeout of streams, which would end
/// them first.
#[derive(Clone, Copy, Debug)]
pub(super) struct LongWait {
    /// The idle timeout of all other requests, in milliseconds.
    usual: u32,
    /// The longest timeout of the table, in milliseconds.
    longest: u32,
}

impl LongWait {
    /// By this much an idle timeout is longer than the timeout of the request, in
    /// milliseconds: the one of the request has its own status.
    const MARGIN: u32 = 1_000;

    /// `None` if no timeout of the table is that long.
    pub(super) fn in_table(table: &RouteTable, stream_idle_timeout: TimeLimit) -> Option<Self> {
        let timeouts = table.backends.iter().flat_map(forwards);
        let timeouts = timeouts.filter_map(|forward| forward.timeout.as_ref());
        let longest = timeouts.map(Timeout::longest_ms).max()?;
        let usual = stream_idle_timeout.milliseconds();
        let waiting = Self { usual, longest };
        (i64::from(longest) >= waiting.start()).then_some(waiting)
    }

    /// The shortest of these timeouts.
    fn start(self) -> i64 {
        i64::from(self.usual) - i64::from(Self::MARGIN)
    }

    pub(super) fn matcher(self) -> HeaderMatcher {
        HeaderMatcher::at_least(TIMEOUT_HEADER, self.start())
    }

    pub(super) fn idle_timeout(self) -> Duration {
        Duration::milliseconds(self.longest.saturating_add(Self::MARGIN))
    }
}
