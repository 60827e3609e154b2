//! Which Events should exist, which do, and which write is next. Independent of
//! the API and the clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Event;
use k8s_openapi::jiff::Timestamp;

use crate::cluster::Failure;
use crate::finding::Severity;

/// How often an Event of an unresolved finding is refreshed: API servers delete
/// Events after an hour by default.
const REFRESH_PERIOD: Duration = Duration::from_mins(30);

/// How long a rejected or forbidden write is not retried.
const HOLD: Duration = Duration::from_mins(5);

/// The namespace and name of an Event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) namespace: String,
    pub(super) name: String,
}

/// The next write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum EventWrite {
    /// Write the Event of the report at `index`.
    Create { key: Key, index: usize },
    /// Refresh it for the `count`th time.
    Refresh { key: Key, count: i32 },
    /// The finding is resolved.
    Delete { key: Key },
}

impl EventWrite {
    pub(super) fn key(&self) -> &Key {
        match self {
            Self::Create { key, .. } | Self::Refresh { key, .. } | Self::Delete { key } => key,
        }
    }
}

/// An existing Event.
#[derive(Debug)]
struct Known {
    refreshed: Instant,
    count: i32,
}

/// The wanted and the existing Events.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// In the order of writing.
    wanted: Vec<(Key, usize)>,
    is_wanted: BTreeSet<Key>,
    known: BTreeMap<Key, Known>,
    /// Until when writes in a namespace, or of one Event there, are not retried.
    held: BTreeMap<(String, Option<String>), Instant>,
}

impl Ledger {
    /// `event` exists, found now by the monotonic and the system clock.
    pub(super) fn found(&mut self, event: &Event, now: Instant, clock: Timestamp) {
        let metadata = &event.metadata;
        let (Some(namespace), Some(name)) = (&metadata.namespace, &metadata.name) else { return };
        let key = Key { namespace: namespace.clone(), name: name.clone() };
        let age = event.last_timestamp.as_ref().map(|last| clock.duration_since(last.0));
        // If the clock of its author is ahead, it counts as just written.
        let age = age.map_or(REFRESH_PERIOD, |age| age.try_into().unwrap_or_default());
        let refreshed = now.checked_sub(age.min(REFRESH_PERIOD)).unwrap_or(now);
        self.known.insert(key, Known { refreshed, count: event.count.unwrap_or(1) });
    }

    /// Sets the wanted Events, at most `limit`: errors before warnings, and
    /// existing before new ones. Returns the number of those that are left out.
    pub(super) fn want(
        &mut self,
        wanted: impl Iterator<Item = (Key, Severity, usize)>,
        limit: usize,
    ) -> usize {
        let mut all = BTreeMap::new();
        for (key, severity, index) in wanted {
            all.entry(key).or_insert((severity, index));
        }
        let mut all: Vec<_> = all
            .into_iter()
            .map(|(key, (severity, index))| (severity, !self.known.contains_key(&key), key, index))
            .collect();
        all.sort_unstable();
        let left_out = all.len().saturating_sub(limit);
        all.truncate(limit);
        self.wanted = all.into_iter().map(|(_, _, key, index)| (key, index)).collect();
        self.is_wanted = self.wanted.iter().map(|(key, _)| key.clone()).collect();
        left_out
    }

    /// The next write. New Events first, then deletions, then refreshes.
    pub(super) fn next(&self, now: Instant) -> Option<EventWrite> {
        let mut missing = self.wanted.iter().filter(|(key, _)| !self.known.contains_key(key));
        if let Some((key, index)) = missing.find(|(key, _)| !self.is_held(key, now)) {
            return Some(EventWrite::Create { key: key.clone(), index: *index });
        }
        let mut known = self.known.iter().filter(|(key, _)| !self.is_held(key, now));
        if let Some((key, _)) = known.clone().find(|(key, _)| !self.is_wanted.contains(key)) {
            return Some(EventWrite::Delete { key: key.clone() });
        }
        let (key, known) = known.find(|(_, known)| now >= known.refreshed + REFRESH_PERIOD)?;
        Some(EventWrite::Refresh { key: key.clone(), count: known.count.saturating_add(1) })
    }

    /// When the next write is due, if nothing else changes.
    pub(super) fn next_due(&self, now: Instant) -> Option<Instant> {
        let refreshes = self.known.values().map(|known| known.refreshed + REFRESH_PERIOD);
        let holds = self.held.values().copied();
        // Overdue writes are on hold.
        refreshes.chain(holds).filter(|due| *due > now).min()
    }

    /// `action` has succeeded.
    pub(super) fn did(&mut self, action: &EventWrite, now: Instant) {
        let (key, count) = match action {
            EventWrite::Create { key, .. } => (key, 1),
            EventWrite::Refresh { key, count } => (key, *count),
            EventWrite::Delete { key } => {
                self.known.remove(key);
                return;
            }
        };
        self.known.insert(key.clone(), Known { refreshed: now, count });
    }

    /// `action` has failed, but the API is available. Returns whether it is a
    /// failure, rather than an Event that already exists or is already deleted.
    pub(super) fn failed(&mut self, action: &EventWrite, failure: &Failure, now: Instant) -> bool {
        self.held.retain(|_, until| *until > now);
        let Key { namespace, name } = action.key().clone();
        match (action, failure) {
            (EventWrite::Create { .. }, Failure::Conflict) => {
                // The next refresh shows its age.
                self.did(action, now);
                false
            }
            (EventWrite::Refresh { key, .. } | EventWrite::Delete { key }, Failure::Gone) => {
                self.known.remove(key);
                false
            }
            // The namespace is deleted, or being deleted.
            (EventWrite::Create { .. }, Failure::Gone) => {
                self.held.insert((namespace, None), now + HOLD);
                false
            }
            // Permissions and quotas apply to a namespace.
            (_, Failure::Forbidden(_)) => {
                self.held.insert((namespace, None), now + HOLD);
                true
            }
            _ => {
                self.held.insert((namespace, Some(name)), now + HOLD);
                true
            }
        }
    }

    /// Whether a wanted write is on hold.
    pub(super) fn is_holding(&self, now: Instant) -> bool {
        self.held.values().any(|until| *until > now)
    }

    fn is_held(&self, key: &Key, now: Instant) -> bool {
        if self.held.is_empty() {
            return false;
        }
        let holds = |name| {
            let until = self.held.get(&(key.namespace.clone(), name));
            until.is_some_and(|until| *until > now)
        };
        holds(None) || holds(Some(key.name.clone()))
    }
}

#[cfg(test)]
mod tests;
