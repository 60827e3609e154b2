//! Watches the API and fills the store.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::stream::{self, Peekable};
use futures::{Stream, StreamExt};
use kube::core::{DynamicObject, PartialObjectMeta};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Error, Event, watcher};
use kube::{Api, Client, Resource};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{info, warn};

use super::kinds::{Kind, Watched, discover};
use super::known::{Known, Reader};
use super::metrics::Metrics;
use super::retry::{Backoff, LastingBackoff};
use super::store::{PartId, Store};

/// How many objects a page of a list holds.
const PAGE_SIZE: u32 = 500;

/// After so many seconds the API server ends a watch, which is then asked for
/// again from where it was.
pub(super) const WATCH_SECONDS: u32 = 60;

/// So a connection that has said nothing for so long is dead, though nobody has
/// ended it.
pub(super) const SILENCE: Duration = Duration::from_secs(75);

/// How often the same trouble is told.
const REMINDER_PERIOD: Duration = Duration::from_mins(1);

/// A watch that has not failed for so long works: longer than any wait between
/// two tries.
pub(super) const QUIET: Duration = Duration::from_secs(6);

/// Where to look, and under which name we write.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) client: Client,
    /// None for all.
    pub(super) namespaces: Vec<String>,
    pub(super) manager: String,
    pub(super) store: Arc<Store>,
    pub(super) metrics: Arc<Metrics>,
}

impl Source {
    /// Watches for ever. What fails is tried again, and told.
    pub(super) async fn run(self) {
        let mut backoff = Backoff::for_traffic();
        let mut trouble = Trouble::new("the API server".into());
        let watched = loop {
            match discover(&self.client).await {
                Ok(watched) => break watched,
                Err(error) => trouble.tell(&format!("{error:#}")),
            }
            backoff.wait().await;
        };
        trouble.is_over();
        let mut wanted = Vec::new();
        for Watched { kind, resource } in watched {
            info!(kind = kind.name(), version = resource.api_version, "watching");
            for namespace in self.scopes(kind) {
                let reader = Reader::new(kind, resource.clone(), self.manager.clone());
                wanted.push((kind, namespace, reader));
            }
        }
        let kinds: Vec<_> = wanted.iter().map(|(kind, ..)| *kind).collect();
        let parts = self.store.add_parts(&kinds);
        let mut tasks = JoinSet::new();
        for (part, (kind, namespace, reader)) in parts.into_iter().zip(wanted) {
            tasks.spawn(self.clone().watch(part, kind, namespace, reader));
        }
        while tasks.join_next().await.is_some() {}
    }

    fn scopes(&self, kind: Kind) -> Vec<Option<String>> {
        if self.namespaces.is_empty() || !kind.is_namespaced() {
            return vec![None];
        }
        self.namespaces.iter().cloned().map(Some).collect()
    }

    async fn watch(self, part: PartId, kind: Kind, namespace: Option<String>, mut reader: Reader) {
        let resource = reader.resource().clone();
        let namespace = namespace.as_deref();
        if kind.is_metadata_only() {
            let api = api::<PartialObjectMeta<DynamicObject>>(&self.client, namespace, &resource);
            let events = lasting(|| watcher(api.clone(), config()), may_not_go_on)
                .map(|event| event.map(|event| each(event, |object| reader.read_metadata(object))));
            self.follow(part, kind, events).await;
        } else {
            let api = api::<DynamicObject>(&self.client, namespace, &resource);
            let events = lasting(|| watcher(api.clone(), config()), may_not_go_on)
                .map(|event| event.map(|event| each(event, |object| reader.read(object))));
            self.follow(part, kind, events).await;
        }
    }

    /// Puts what a watch tells into the store.
    async fn follow(
        &self,
        part: PartId,
        kind: Kind,
        events: impl Stream<Item = watcher::Result<Event<Known>>>,
    ) {
        let mut events = pin!(events.backoff(backoff()).peekable());
        let mut trouble = Trouble::new(format!("the watch of {kind}"));
        let mut has_begun = false;
        // Whether the API server was up in all its parts before it was asked.
        let mut was_up = false;
        let mut is_listing = true;
        loop {
            if !is_listing {
                self.wait_for_quiet(kind, events.as_mut(), &mut trouble).await;
            }
            let Some(event) = events.next().await else { return };
            let event = match event {
                Ok(event) => event,
                Err(error) => {
                    self.metrics.watch_restarted(kind.name());
                    let is_missing = kind.is_optional() && is_not_served(&error);
                    if is_missing && was_up {
                        self.store.begin_list(part);
                        self.store.end_list(part);
                    }
                    // One that has come up since may find them the next time.
                    was_up = is_missing && self.is_up().await;
                    if !was_up {
                        self.metrics.set_watch_up(kind.name(), false);
                        trouble.tell(&describe(kind, &error));
                    }
                    continue;
                }
            };
            // A list that only begins says nothing of whether it will end.
            if !matches!(event, Event::Init) {
                was_up = false;
                self.works(kind, &mut trouble);
            }
            match event {
                Event::Init => {
                    is_listing = true;
                    if std::mem::replace(&mut has_begun, true) {
                        self.metrics.watch_restarted(kind.name());
                    }
                    self.store.begin_list(part);
                }
                Event::InitApply(known) => self.store.list(part, known),
                Event::InitDone => {
                    is_listing = false;
                    self.store.end_list(part);
                }
                Event::Apply(known) => self.store.apply(part, known),
                Event::Delete(known) => {
                    self.store.delete(part, &known.object.namespace, &known.object.name);
                }
            }
        }
    }

    /// Waits until a watch that has failed says something, or works: one that
    /// goes on from where it was says nothing until something changes.
    async fn wait_for_quiet<S: Stream>(
        &self,
        kind: Kind,
        events: Pin<&mut Peekable<S>>,
        trouble: &mut Trouble,
    ) {
        let mut events = events;
        while trouble.is_told() {
            if timeout(QUIET, events.as_mut().peek()).await.is_ok() {
                return;
            }
            if self.is_up().await {
                self.works(kind, trouble);
            }
        }
    }

    fn works(&self, kind: Kind, trouble: &mut Trouble) {
        trouble.is_over();
        self.metrics.set_watch_up(kind.name(), true);
    }

    /// Whether the API server is up in all its parts. While it starts, custom
    /// resources are not found yet, which does not mean that there are none;
    /// `/readyz` includes that it has read their definitions.
    async fn is_up(&self) -> bool {
        let Ok(request) = http_get("/readyz") else { return false };
        self.client.request_text(request).await.is_ok()
    }
}

fn http_get(path: &str) -> Result<hyper::Request<Vec<u8>>, hyper::http::Error> {
    hyper::Request::get(path).body(Vec::new())
}

/// How long to wait before a watch that has failed is tried again.
pub(super) fn backoff() -> LastingBackoff {
    LastingBackoff::new(Backoff::for_traffic(), Duration::from_secs(20))
}

/// A watch that begins anew, with a list, after such an error.
pub(super) fn lasting<S, T>(
    begin: impl Fn() -> S,
    ends_by: fn(&Error) -> bool,
) -> impl Stream<Item = watcher::Result<T>>
where
    S: Stream<Item = watcher::Result<T>>,
{
    let first = Box::pin(begin());
    stream::unfold((begin, ends_by, first), async |(begin, ends_by, mut events)| {
        let event = events.next().await?;
        if event.as_ref().is_err_and(ends_by) {
            events = Box::pin(begin());
        }
        Some((event, (begin, ends_by, events)))
    })
}

fn config() -> watcher::Config {
    watcher::Config::default().page_size(PAGE_SIZE).timeout(WATCH_SECONDS)
}

fn api<K>(client: &Client, namespace: Option<&str>, resource: &K::DynamicType) -> Api<K>
where
    K: Resource<Scope = kube::core::DynamicResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, resource),
        None => Api::all_with(client.clone(), resource),
    }
}

fn each<A, B>(event: Event<A>, read: impl FnOnce(A) -> B) -> Event<B> {
    match event {
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
        Event::InitApply(object) => Event::InitApply(read(object)),
        Event::Apply(object) => Event::Apply(read(object)),
        Event::Delete(object) => Event::Delete(read(object)),
    }
}

/// The status that the API server gave.
pub(super) fn status(error: &Error) -> Option<&kube::core::Status> {
    match error {
        Error::InitialListFailed(kube::Error::Api(status))
        | Error::WatchStartFailed(kube::Error::Api(status))
        | Error::WatchFailed(kube::Error::Api(status))
        | Error::WatchError(status) => Some(status),
        _ => None,
    }
}

fn is_not_served(error: &Error) -> bool {
    status(error).is_some_and(|status| status.code == 404)
}

/// What was there is not known any more, or is no more: then what comes is not
/// told as changes of it. Told so by the status of the answer, `watcher` would
/// ask for the same for ever; within the answer, it begins anew by itself.
fn may_not_go_on(error: &Error) -> bool {
    matches!(error, Error::WatchStartFailed(_))
        && status(error).is_some_and(|status| matches!(status.code, 404 | 410))
}

/// What is wrong, and what to do about it.
pub(super) fn describe(kind: Kind, error: &Error) -> String {
    let Some(status) = status(error) else {
        // The causes are where it says what happened.
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            let more = error.to_string();
            if !text.contains(&more) {
                text = format!("{text}: {more}");
            }
            cause = error.source();
        }
        return text;
    };
    match status.code {
        401 => format!("{}: the credentials are not accepted; renew them", status.message),
        403 => format!(
            "{}: let this account list and watch {kind} objects (see config/deploy)",
            status.message
        ),
        code => format!("{code} {}", status.message),
    }
}

/// Something that fails, told once and then now and again.
pub(super) struct Trouble {
    what: String,
    told: Option<(String, Instant)>,
}

impl Trouble {
    pub(super) fn new(what: String) -> Self {
        Self { what, told: None }
    }

    pub(super) fn tell(&mut self, error: &str) {
        let is_known = self
            .told
            .as_ref()
            .is_some_and(|(told, at)| told == error && at.elapsed() < REMINDER_PERIOD);
        if !is_known {
            warn!("{} fails: {error}; trying again, what is served stays", self.what);
            self.told = Some((error.to_owned(), Instant::now()));
        }
    }

    fn is_told(&self) -> bool {
        self.told.is_some()
    }

    pub(super) fn is_over(&mut self) {
        if self.told.take().is_some() {
            info!("{} works again", self.what);
        }
    }
}
