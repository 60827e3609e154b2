//! Decides the next task of the driver.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use crate::compile::Moved;
use crate::controller::retry::Backoff;
use crate::controller::store::Changes;

/// How long a change waits for the Secrets that it names; at the start, since the
/// last response about one, because there may be many. After this time it does
/// not wait for a single unreadable Secret any longer.
const SECRET_TIMEOUT: Duration = Duration::from_secs(5);

/// The same at a start while certificates of a previous process are served, which
/// a table without them would remove.
const RESTART_TIMEOUT: Duration = Duration::from_secs(30);

/// See the module.
pub(super) struct Agenda {
    asking: Asking,
    backoff: Backoff,
    /// The changes that are not served yet.
    changes: Option<Changes>,
    has_compiled: bool,
    is_served: bool,
}

/// An event for the agenda.
#[derive(Debug)]
pub(super) enum Event {
    /// Something has changed, or a retry is due.
    Woken {
        /// `None` if nothing has changed that affects the configuration.
        changes: Option<Changes>,
        /// The number of Secrets that were not read yet.
        awaited: usize,
    },
    GaveUpOnSecrets,
    Compiled,
    /// The endpoints changed more than addresses.
    EndpointsSayMore,
    Applied(End),
    Reported,
}

/// The result of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Served,
    /// Something has to be left out.
    Again,
    Refused,
    /// To be retried.
    Unknown,
}

/// The next task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Wait until something changes, or for this time.
    Wait(Option<Duration>),
    GiveUpOnSecrets,
    Compile,
    /// Update only the endpoints.
    MoveEndpoints,
    Apply,
    Report,
}

impl Agenda {
    /// At a start, with or without served certificates of a previous process.
    pub(super) fn new(has_certificates: bool) -> Self {
        Self {
            asking: Asking::new(has_certificates),
            backoff: Backoff::for_traffic(),
            changes: None,
            has_compiled: false,
            is_served: false,
        }
    }

    /// The changes that are not served yet.
    pub(super) fn changes(&self) -> Option<&Changes> {
        self.changes.as_ref()
    }

    /// The services whose endpoints changed, if nothing else has.
    pub(super) fn moved(&self) -> Option<&Moved> {
        self.changes.as_ref()?.moved()
    }

    /// The task before the first event.
    pub(super) fn begin() -> Step {
        Step::Wait(None)
    }

    pub(super) fn next(&mut self, event: Event, now: Instant) -> Step {
        match event {
            Event::Woken { changes, awaited } => self.woken(changes, awaited, now),
            Event::GaveUpOnSecrets => Step::Wait(Some(Duration::ZERO)),
            Event::EndpointsSayMore | Event::Applied(End::Again) => Step::Compile,
            Event::Compiled => {
                self.has_compiled = true;
                Step::Apply
            }
            Event::Applied(End::Served) => {
                self.settle(true);
                Step::Report
            }
            Event::Applied(End::Refused) => {
                self.settle(false);
                Step::Wait(None)
            }
            Event::Applied(End::Unknown) => {
                self.is_served = false;
                Step::Wait(Some(self.backoff.step()))
            }
            Event::Reported => Step::Wait(None),
        }
    }

    fn woken(&mut self, changes: Option<Changes>, awaited: usize, now: Instant) -> Step {
        if changes.is_none() && !self.asking.is_under_way() {
            return match (&self.changes, self.is_served) {
                (Some(_), _) => Step::Apply,
                (None, true) => Step::Report,
                (None, false) => Step::Wait(None),
            };
        }
        self.changes = Changes::joined(changes, self.changes.take());
        match self.asking.step(awaited, !self.has_compiled, now) {
            Answers::Here if self.has_compiled && self.moved().is_some() => Step::MoveEndpoints,
            Answers::Here => Step::Compile,
            Answers::Awaited(rest) => Step::Wait(Some(rest)),
            Answers::Late => Step::GiveUpOnSecrets,
        }
    }

    fn settle(&mut self, is_served: bool) {
        self.changes = None;
        self.is_served = is_served;
        self.backoff.reset();
    }
}

/// The state of waiting for Secrets that were not read yet.
struct Asking {
    timeout: Duration,
    since: Option<Instant>,
    /// The number of Secrets.
    awaited: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answers {
    Here,
    Awaited(Duration),
    Late,
}

impl Asking {
    fn new(has_certificates: bool) -> Self {
        let timeout = if has_certificates { RESTART_TIMEOUT } else { SECRET_TIMEOUT };
        Self { timeout, since: None, awaited: 0 }
    }

    fn is_under_way(&self) -> bool {
        self.since.is_some()
    }

    /// The state with this number of awaited responses.
    fn step(&mut self, awaited: usize, is_start: bool, now: Instant) -> Answers {
        let before = std::mem::replace(&mut self.awaited, awaited);
        if awaited == 0 {
            self.since = None;
            self.timeout = SECRET_TIMEOUT;
            return Answers::Here;
        }
        if is_start && awaited < before {
            self.since = None;
        }
        let since = *self.since.get_or_insert(now);
        let rest = self.timeout.saturating_sub(now.saturating_duration_since(since));
        if rest.is_zero() { Answers::Late } else { Answers::Awaited(rest) }
    }
}
