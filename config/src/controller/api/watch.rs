//! A watch of the API, of all objects of a kind or of a single one. It resumes at
//! its resource version, starts again with a list if that is impossible, and waits
//! between retries.

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

/// The page size of lists.
const PAGE_SIZE: u32 = 500;

/// After this time the API server ends a watch, which is then resumed.
const WATCH_SECONDS: u32 = 60;

/// Therefore a connection without data for this time is dead, even if it is not
/// closed.
pub(in crate::controller) const SILENCE: Duration = Duration::from_secs(75);

/// A watch that has not failed for this time works: it is longer than any delay
/// between retries.
const QUIET: Duration = Duration::from_secs(6);

/// See the module.
pub(in crate::controller) struct Watch<K> {
    events: BoxStream<'static, Result<Event<K>, WatchFailure>>,
}

/// An update of a watch.
pub(in crate::controller) enum WatchUpdate<K> {
    Event(Event<K>),
    /// It failed and is retried.
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

    /// A watch of one object. It has no events until the object changes, so it
    /// starts again whenever it is rejected, because only a list shows that the
    /// object can be read again.
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

    /// The next update. If its state is in doubt, `Quiet` is an update, too,
    /// because a working watch has no events until something changes.
    pub(in crate::controller) async fn next(&mut self, is_in_doubt: bool) -> WatchUpdate<K> {
        let limit = if is_in_doubt { QUIET } else { Duration::MAX };
        match timeout(limit, self.events.next()).await {
            Ok(Some(Ok(event))) => WatchUpdate::Event(event),
            Ok(Some(Err(failure))) => WatchUpdate::Failed(failure),
            // The stream does not end.
            Ok(None) | Err(_) => WatchUpdate::Quiet,
        }
    }
}

/// The selection of the object with this name, which permissions with
/// `resourceNames` allow.
pub(in crate::controller) fn single(name: &str) -> watcher::Config {
    watcher::Config::default().fields(&format!("metadata.name={name}"))
}

/// A watch without an end, which starts again with a list after such failures.
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

/// A failure of a watch.
pub(in crate::controller) struct WatchFailure(Error);

impl WatchFailure {
    /// The status that the API server returned.
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

    /// Whether the API server rejected the watch itself, possibly after a list.
    pub(in crate::controller) fn is_refused_watch(&self) -> bool {
        matches!(self.0, Error::WatchStartFailed(_)) && self.status().is_some()
    }

    /// Whether the response could not be parsed.
    pub(in crate::controller) fn is_unreadable(&self) -> bool {
        matches!(
            self.0,
            Error::InitialListFailed(kube::Error::SerdeError(_))
                | Error::WatchStartFailed(kube::Error::SerdeError(_))
                | Error::WatchFailed(kube::Error::SerdeError(_))
        )
    }

    /// The resource version is too old, or the resource is gone. If the HTTP
    /// status says so, `watcher` would repeat the request endlessly; if the body
    /// says so, it starts again by itself.
    fn may_not_go_on(&self) -> bool {
        let is_lost = |status: &Status| matches!(status.code, 404 | 410);
        self.is_refused_watch() && self.status().is_some_and(is_lost)
    }

    /// The failure and its remedy.
    pub(in crate::controller) fn describe(&self, kind: Kind) -> String {
        // Without a status, the sources contain the reason.
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
