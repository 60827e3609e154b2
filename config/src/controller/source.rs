//! Watches the API and fills the store.

use std::convert::Infallible;
use std::fmt::Debug;
use std::sync::Arc;

use kube::core::{DynamicObject, PartialObjectMeta};
use kube::runtime::watcher::Event;
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tracing::info;

use super::api::{RepeatedFailure, Watch, WatchUpdate};
use super::known::{Known, KnownReader};
use super::metrics::Metrics;
use super::retry::Backoff;
use super::store::{PartId, Store};
use crate::cluster::{Kind, Watched, api, discover};

/// What to watch, and the name under which this controller writes.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) client: Client,
    /// Empty for all namespaces.
    pub(super) namespaces: Vec<String>,
    pub(super) manager: String,
    pub(super) store: Arc<Store>,
    pub(super) metrics: Arc<Metrics>,
}

impl Source {
    /// Watches forever. Failures are logged and retried.
    pub(super) async fn run(self) {
        let mut backoff = Backoff::for_traffic();
        let mut failing = RepeatedFailure::new("the API server".into());
        let watched = loop {
            match discover(&self.client).await {
                Ok(watched) => break watched,
                Err(error) => failing.log(&format!("{error:#}")),
            }
            backoff.wait().await;
        };
        failing.resolve();
        let mut wanted = Vec::new();
        for Watched { kind, resource } in watched {
            info!(kind = kind.name(), version = resource.api_version, "watching");
            for namespace in kind.scopes(&self.namespaces) {
                let reader = KnownReader::new(kind, resource.clone(), self.manager.clone());
                wanted.push((kind, namespace.map(str::to_owned), reader));
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

    async fn watch(
        self,
        part: PartId,
        kind: Kind,
        namespace: Option<String>,
        mut reader: KnownReader,
    ) -> Infallible {
        let resource = reader.resource().clone();
        let namespace = namespace.as_deref();
        if kind.is_metadata_only() {
            let api = api::<PartialObjectMeta<DynamicObject>>(&self.client, namespace, &resource);
            self.follow(part, kind, Watch::of_all(api), |object| reader.read_metadata(object)).await
        } else {
            let api = api::<DynamicObject>(&self.client, namespace, &resource);
            self.follow(part, kind, Watch::of_all(api), |object| reader.read(object)).await
        }
    }

    /// Applies the updates of a watch to the store.
    async fn follow<K>(
        &self,
        part: PartId,
        kind: Kind,
        mut watch: Watch<K>,
        mut read: impl FnMut(K) -> Known,
    ) -> Infallible
    where
        K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let mut failing = RepeatedFailure::new(format!("the watch of {kind}"));
        let mut has_begun = false;
        // Whether the API server was completely started before the request.
        let mut was_up = false;
        let mut is_listing = true;
        loop {
            let event = match watch.next(!is_listing && failing.is_logged()).await {
                WatchUpdate::Event(event) => event,
                WatchUpdate::Quiet => {
                    if self.is_up().await {
                        self.works(kind, &mut failing);
                    }
                    continue;
                }
                WatchUpdate::Failed(failure) => {
                    self.metrics.watch_restarted(kind.name());
                    let is_missing = kind.is_optional() && failure.is_not_served();
                    if is_missing && was_up {
                        self.store.begin_list(part);
                        self.store.end_list(part);
                    }
                    // If it has started since, the next request may find them.
                    was_up = is_missing && self.is_up().await;
                    if !was_up {
                        self.metrics.set_watch_up(kind.name(), false);
                        failing.log(&failure.describe(kind));
                    }
                    continue;
                }
            };
            // The start of a list does not mean that it will complete.
            if !matches!(event, Event::Init) {
                was_up = false;
                self.works(kind, &mut failing);
            }
            match event {
                Event::Init => {
                    is_listing = true;
                    if std::mem::replace(&mut has_begun, true) {
                        self.metrics.watch_restarted(kind.name());
                    }
                    self.store.begin_list(part);
                }
                Event::InitApply(object) => self.store.list(part, read(object)),
                Event::InitDone => {
                    is_listing = false;
                    self.store.end_list(part);
                }
                Event::Apply(object) => self.store.apply(part, read(object)),
                Event::Delete(object) => {
                    let known = read(object);
                    self.store.delete(part, &known.object.namespace, &known.object.name);
                }
            }
        }
    }

    fn works(&self, kind: Kind, failing: &mut RepeatedFailure) {
        failing.resolve();
        self.metrics.set_watch_up(kind.name(), true);
    }

    /// Whether the API server has started completely. While it starts, custom
    /// resources are not found, even if they exist; `/readyz` includes that it
    /// has read their definitions.
    async fn is_up(&self) -> bool {
        let Ok(request) = http_get("/readyz") else { return false };
        self.client.request_text(request).await.is_ok()
    }
}

fn http_get(path: &str) -> Result<hyper::Request<Vec<u8>>, hyper::http::Error> {
    hyper::Request::get(path).body(Vec::new())
}
