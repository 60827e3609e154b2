//! A watch of the API, of all objects of a kind or of a single one. It goes on
//! from where it was, begins anew where it may not, and waits between two tries.

use std::fmt::Debug;
use std::time::Duration;

use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use kube::core::Status;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Error, Event, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::cluster::{Failure, Kind, with_sources};
use crate::controller::retry::{Backoff, LastingBackoff};

/// How many objects a page of a list holds.
const PAGE_SIZE: u32 = 500;

/// After so many seconds the API server ends a watch, which is then asked for
/// again from where it was.
const WATCH_SECONDS: u32 = 60;

/// So a connection that has said nothing for so long is dead, though nobody has
/// ended it.
pub(in crate::controller) const SILENCE: Duration = Duration::from_secs(75);

/// A watch that has not failed for so long works: longer than any wait between
/// two tries.
const QUIET: Duration = Duration::from_secs(6);

/// See the module.
pub(in crate::controller) struct Watch<K> {
    events: BoxStream<'static, Result<Event<K>, WatchFailure>>,
}

/// What a watch tells.
pub(in crate::controller) enum WatchUpdate<K> {
    Event(Event<K>),
    /// It is tried again.
    Failed(WatchFailure),
    /// It has not failed for a while.
    Quiet,
}

impl<K> Watch<K>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    /// A watch of all objects of `api`.
    pub(in crate::controller) fn of_all(api: Api<K>) -> Self {
        let config = watcher::Config::default().page_size(PAGE_SIZE).timeout(WATCH_SECONDS);
        Self::new(api, config, WatchFailure::may_not_go_on)
    }

    /// A watch of one object. It tells nothing until that changes, so it begins
    /// anew whenever it is refused: only a list says that it may be read again.
    pub(in crate::controller) fn of_one(api: Api<K>, name: &str) -> Self {
        let config = single(name).timeout(WATCH_SECONDS);
        Self::new(api, config, |failure| failure.status().is_some())
    }

    fn new(api: Api<K>, config: watcher::Config, ends_by: fn(&WatchFailure) -> bool) -> Self {
        let begin = move || {
            let events = watcher(api.clone(), config.clone());
            events.map(|event| event.map_err(WatchFailure)).boxed()
        };
        let backoff = LastingBackoff::new(Backoff::for_traffic(), Duration::from_secs(20));
        Self { events: lasting(begin, ends_by).backoff(backoff).boxed() }
    }

    /// What it tells next. While it is in doubt, that it is quiet is something
    /// to tell: a watch that goes on says nothing until something changes.
    pub(in crate::controller) async fn next(&mut self, is_in_doubt: bool) -> WatchUpdate<K> {
        let limit = if is_in_doubt { QUIET } else { Duration::MAX };
        match timeout(limit, self.events.next()).await {
            Ok(Some(Ok(event))) => WatchUpdate::Event(event),
            Ok(Some(Err(failure))) => WatchUpdate::Failed(failure),
            // It has no end.
            Ok(None) | Err(_) => WatchUpdate::Quiet,
        }
    }
}

/// Which objects to watch where it is the one of this name. Rights by
/// `resourceNames` allow a list and a watch so.
pub(in crate::controller) fn single(name: &str) -> watcher::Config {
    watcher::Config::default().fields(&format!("metadata.name={name}"))
}

/// A watch without an end that begins anew, with a list, after such a failure.
fn lasting<K: Send + 'static>(
    begin: impl Fn() -> BoxStream<'static, Result<Event<K>, WatchFailure>>,
    ends_by: fn(&WatchFailure) -> bool,
) -> impl Stream<Item = Result<Event<K>, WatchFailure>> {
    let first = begin();
    stream::unfold((begin, first), move |(begin, mut events)| async move {
        let event = loop {
            match events.next().await {
                Some(event) => break event,
                None => events = begin(),
            }
        };
        if event.as_ref().is_err_and(ends_by) {
            events = begin();
        }
        Some((event, (begin, events)))
    })
}

/// Why a watch did not go on.
pub(in crate::controller) struct WatchFailure(Error);

impl WatchFailure {
    /// The status that the API server gave.
    pub(in crate::controller) fn status(&self) -> Option<&Status> {
        match &self.0 {
            Error::InitialListFailed(kube::Error::Api(status))
            | Error::WatchStartFailed(kube::Error::Api(status))
            | Error::WatchFailed(kube::Error::Api(status))
            | Error::WatchError(status) => Some(status),
            _ => None,
        }
    }

    pub(in crate::controller) fn is_not_served(&self) -> bool {
        self.status().is_some_and(|status| status.code == 404)
    }

    /// Whether the API server refused the watch itself, maybe after a list.
    pub(in crate::controller) fn is_refused_watch(&self) -> bool {
        matches!(self.0, Error::WatchStartFailed(_)) && self.status().is_some()
    }

    /// Whether there is an answer that is not understood.
    pub(in crate::controller) fn is_unreadable(&self) -> bool {
        matches!(
            self.0,
            Error::InitialListFailed(kube::Error::SerdeError(_))
                | Error::WatchStartFailed(kube::Error::SerdeError(_))
                | Error::WatchFailed(kube::Error::SerdeError(_))
        )
    }

    /// The place to go on from is not known any more, or the resource is gone.
    /// Where the status of the answer says so, `watcher` would repeat the request
    /// endlessly; where the answer's body does, it begins anew by itself.
    fn may_not_go_on(&self) -> bool {
        let is_lost = |status: &Status| matches!(status.code, 404 | 410);
        self.is_refused_watch() && self.status().is_some_and(is_lost)
    }

    /// What is wrong, and what to do about it.
    pub(in crate::controller) fn describe(&self, kind: Kind) -> String {
        // Without a status, the causes are where it says what happened.
        let Some(status) = self.status() else { return with_sources(&self.0) };
        match status.code {
            401 => {
                format!("{}: the API server rejects the credentials; renew them", status.message)
            }
            403 => format!(
                "{}: grant this account list and watch on {kind} objects (see config/deploy)",
                status.message
            ),
            code => format!("{code} {}", status.message),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::InitialListFailed(error)
            | Error::WatchStartFailed(error)
            | Error::WatchFailed(error) => Self::of(&error),
            Error::WatchError(status) => Self::of(&kube::Error::Api(status)),
            Error::NoResourceVersion => Self::Away(error.to_string()),
        }
    }
}
