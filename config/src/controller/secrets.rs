//! Watches each Secret that Ingresses name separately, so that permissions for
//! these Secrets are sufficient.
//!
//! Permissions with `resourceNames` allow a list and a watch with a field selector
//! for `metadata.name`.

mod pace;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;

use kube::core::DynamicObject;
use kube::runtime::watcher::Event;
use kube::{Api, Client};
use tokio::sync::watch as channel;
use tokio::task::{AbortHandle, JoinSet};

use super::api::{RepeatedFailure, Watch, WatchFailure, WatchUpdate};
use super::known::{Known, KnownReader};
use super::metrics::Metrics;
use super::store::Store;
use crate::cluster::Kind;
use crate::compile::UnreadableSecret;
use crate::settings::ObjectName;

use pace::Pace;

/// See the module.
#[derive(Clone)]
pub(super) struct SecretSource {
    client: Client,
    manager: String,
    store: Arc<Store>,
    metrics: Arc<Metrics>,
    pace: Arc<Pace>,
}

impl SecretSource {
    pub(super) fn new(
        client: Client,
        manager: String,
        store: Arc<Store>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { client, manager, store, metrics, pace: Arc::default() }
    }

    /// Watches the wanted Secrets, forever.
    pub(super) async fn run(self, mut wanted: channel::Receiver<BTreeSet<ObjectName>>) {
        let mut tasks = JoinSet::new();
        let mut watches: BTreeMap<ObjectName, AbortHandle> = BTreeMap::new();
        loop {
            let names = wanted.borrow_and_update().clone();
            watches.retain(|name, watch| {
                let is_wanted = names.contains(name);
                if !is_wanted {
                    watch.abort();
                }
                is_wanted
            });
            for name in names {
                let start = || tasks.spawn(self.clone().watch(name.clone()));
                watches.entry(name.clone()).or_insert_with(start);
            }
            while tasks.try_join_next().is_some() {}
            if wanted.changed().await.is_err() {
                return;
            }
        }
    }

    async fn watch(self, name: ObjectName) -> Infallible {
        let resource = Kind::Secret.resource();
        let mut reader = KnownReader::new(Kind::Secret, resource.clone(), self.manager.clone());
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), name.namespace(), &resource);
        let mut watch = Watch::of_one(api, name.name());
        let mut failing = RepeatedFailure::new(format!("the watch of Secret {name}"));
        let mut listed = None;
        let mut trial = Trial::None;
        let mut is_refused = false;
        loop {
            match watch.next(trial == Trial::UnderWay).await {
                WatchUpdate::Quiet => {
                    trial = Trial::None;
                    self.store.trust_secret(&name);
                    if std::mem::take(&mut is_refused) {
                        self.pace.succeeded(name.namespace());
                    }
                }
                WatchUpdate::Event(event) => {
                    if !matches!(event, Event::Init) {
                        failing.resolve();
                    }
                    trial = trial.after(&event);
                    let is_trusted = trial == Trial::None;
                    let is_read = !matches!(event, Event::Init | Event::InitApply(_));
                    if is_read && is_trusted && std::mem::take(&mut is_refused) {
                        self.pace.succeeded(name.namespace());
                    }
                    self.take(&name, event, is_trusted, &mut listed, &mut reader);
                }
                WatchUpdate::Failed(failure) => {
                    trial = trial.after_failure(&failure);
                    self.failed(&name, &failure, &mut failing);
                    // A watch whose resource version is too old is not rejected.
                    if failure.status().is_some_and(|status| status.code != 410) {
                        is_refused = true;
                        self.pace.turn(name.namespace()).await;
                    }
                }
            }
        }
    }

    fn take(
        &self,
        name: &ObjectName,
        event: Event<DynamicObject>,
        is_trusted: bool,
        listed: &mut Option<Known>,
        reader: &mut KnownReader,
    ) {
        match event {
            Event::Init => *listed = None,
            Event::InitApply(object) => *listed = Some(reader.read(object)),
            Event::InitDone => self.store.set_secret(name, listed.take(), is_trusted),
            Event::Apply(object) => {
                let known = reader.read(object);
                self.store.set_secret(name, Some(known), is_trusted);
            }
            Event::Delete(_) => self.store.set_secret(name, None, is_trusted),
        }
    }

    /// If the API server does not respond, the state is unknown. A missing
    /// permission becomes a finding with the remedy.
    fn failed(&self, name: &ObjectName, failure: &WatchFailure, failing: &mut RepeatedFailure) {
        self.metrics.watch_restarted(Kind::Secret.name());
        match failure.status() {
            Some(status) if status.code == 403 => {
                self.store.refuse_secret(name, UnreadableSecret::Denied);
            }
            // A watch whose resource version is too old starts again.
            Some(status) if status.code == 410 => {}
            Some(status) => {
                let reason = format!("{} {}", status.code, status.message);
                self.store.refuse_secret(name, UnreadableSecret::Failed(reason));
            }
            None if failure.is_unreadable() => {
                // The error may quote the content of the Secret.
                failing.log("the API server sent an invalid response");
            }
            None => failing.log(&failure.describe(Kind::Secret)),
        }
    }
}

/// A Secret that may be listed but not watched is listed repeatedly, which should
/// not be reported as recovery each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trial {
    None,
    /// The last watch was rejected.
    Ahead,
    /// There was a list since then. A watch does not report its start, but if it
    /// has not failed for a while, it works.
    UnderWay,
}

impl Trial {
    fn after<K>(self, event: &Event<K>) -> Self {
        match (self, event) {
            (Self::None, _) | (_, Event::Apply(_) | Event::Delete(_)) => Self::None,
            (_, Event::InitDone) => Self::UnderWay,
            (trial, Event::Init | Event::InitApply(_)) => trial,
        }
    }

    fn after_failure(self, failure: &WatchFailure) -> Self {
        match self {
            _ if failure.is_refused_watch() => Self::Ahead,
            Self::None => Self::None,
            Self::Ahead | Self::UnderWay => Self::Ahead,
        }
    }
}
