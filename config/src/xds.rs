//! Serves the configuration to Envoy, resource by resource, and tracks what it
//! acknowledges: incremental xDS over a Unix socket in the shared folder.
//!
//! See <https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol>. Envoy
//! subscribes to resources and reports the versions that it has, receives those
//! that are new, and acknowledges or rejects each response before it gets the next
//! one of that type. Therefore a resource that changes often is sent once, in its
//! last state, and the names of rejected resources are known.

mod discovery;
#[cfg(feature = "fuzzing")]
mod fuzzing;
mod served_resources;
mod service;
mod snapshot;
mod stream;
mod subscription;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fs, io};

use tokio::net::UnixListener;
use tokio::sync::watch as channel;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::{debug, warn};

use crate::envoy::{Key, Kind, Named, Resource, Resources, Version};

use discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};
use served_resources::ServedResources;
use subscription::{Subscription, Verdict};

#[cfg(feature = "fuzzing")]
pub use fuzzing::{Ask, Discovery, Step};
pub(crate) use served_resources::Refusal;
pub(crate) use snapshot::{read_snapshot, write_snapshot};

/// The xDS server. It stops when dropped.
pub(crate) struct Server {
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// The state that the streams of all clients share.
struct Shared {
    state: Mutex<State>,
    /// Notifies streams that there may be a new response.
    changed: channel::Sender<()>,
    /// Notifies of requests of a client.
    heard: channel::Sender<()>,
}

#[derive(Default)]
struct State {
    told: ServedResources,
    /// By an increasing number: the last one is Envoy. Earlier ones have
    /// disconnected, but their connections are not closed yet.
    clients: BTreeMap<u64, Client>,
    next_client: u64,
    /// By type, the resources that Envoy has and is sent, if known without
    /// comparing each resource.
    settled: BTreeMap<Kind, Arc<Named>>,
}

struct Client([Subscription; Kind::ALL.len()]);

/// Versions of resources, by type and name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Versions(BTreeMap<Kind, BTreeMap<Arc<str>, Version>>);

/// The state of Envoy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// The resources that it has acknowledged.
    pub(crate) held: Versions,
    /// The resources that are served to it.
    pub(crate) told: Versions,
    /// The served resources that it has rejected.
    pub(crate) refused: BTreeSet<Key>,
    /// The types whose served and acknowledged resources are those of the target.
    /// The other fields do not contain them.
    pub(crate) settled: BTreeSet<Kind>,
}

impl Versions {
    pub(crate) fn of(&self, kind: Kind) -> impl Iterator<Item = (&Arc<str>, &Version)> {
        self.0.get(&kind).into_iter().flatten()
    }

    pub(crate) fn version(&self, kind: Kind, name: &str) -> Option<&Version> {
        self.0.get(&kind)?.get(name)
    }

    pub(crate) fn insert(&mut self, kind: Kind, name: Arc<str>, version: Version) {
        self.0.entry(kind).or_default().insert(name, version);
    }
}

/// A resource that Envoy has not acknowledged in time.
#[derive(Debug)]
pub(crate) struct Unconfirmed(pub(crate) Key);

impl Server {
    /// Listens on `socket`, and serves the resources of a previous process until
    /// `tell` replaces them.
    ///
    /// # Errors
    /// If the socket cannot be created.
    pub(crate) fn start(socket: &Path, recovered: Resources) -> io::Result<Self> {
        // A killed process may have left its socket.
        if socket.exists() {
            fs::remove_file(socket)?;
        }
        let listener = UnixListener::bind(socket)?;
        // Clients receive private keys. Envoy may run as another user of the
        // same group.
        fs::set_permissions(socket, fs::Permissions::from_mode(0o660))?;
        let state = State { told: ServedResources::recovered(recovered), ..State::default() };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: channel::Sender::new(()),
            heard: channel::Sender::new(()),
        });
        let accepting = tokio::spawn(service::accept(listener, Arc::clone(&shared)));
        Ok(Self { shared, accepting })
    }

    /// The state of Envoy on its way to `target`, once it has connected and
    /// reported its resources; `None` after `limit`.
    pub(crate) async fn position(&self, target: &Resources, limit: Duration) -> Option<Position> {
        let mut heard = self.shared.heard.subscribe();
        let wait = async {
            loop {
                let position = self.shared.lock().position(target);
                if let Some(position) = position {
                    return position;
                }
                // The sender lives as long as this server.
                let _ = heard.changed().await;
            }
        };
        timeout(limit, wait).await.ok()
    }

    /// Serves these resources from now on, and removes others.
    pub(crate) fn tell(&self, resources: Vec<(Key, Resource)>, withdraw: &[Key]) {
        self.shared.tell(resources, withdraw);
    }

    /// Sends rejected resources again.
    pub(crate) fn retry(&self) {
        self.shared.retry();
    }

    /// Envoy has `target`, except for what it has rejected.
    pub(crate) fn settle(&self, target: &Resources) {
        let mut state = self.shared.lock();
        state.told.settle();
        let refused: BTreeSet<_> = state.told.refused().iter().map(|key| key.kind).collect();
        for kind in Kind::ALL.into_iter().filter(|kind| !refused.contains(kind)) {
            if let Some(named) = target.named(kind) {
                state.settled.insert(kind, Arc::clone(named));
            }
        }
    }

    /// The resources of `target` that Envoy has rejected.
    pub(crate) fn refused_of(&self, target: &Resources) -> Vec<(Key, Refusal)> {
        let state = self.shared.lock();
        let refused = state.told.all_refused();
        let is_in = |(key, refusal): &(&Key, &Refusal)| {
            let resource = target.get(key.kind, &key.name);
            resource.is_some_and(|resource| resource.version == refusal.version)
        };
        refused.filter(is_in).map(|(key, refusal)| (key.clone(), refusal.clone())).collect()
    }

    /// Waits until Envoy has acknowledged, rejected or removed the last version of
    /// these resources. If lenient, a resource to which Envoy is not subscribed
    /// also counts as confirmed.
    pub(crate) async fn confirmed(
        &self,
        keys: &[Key],
        is_lenient: bool,
        limit: Duration,
    ) -> Result<(), Unconfirmed> {
        let mut heard = self.shared.heard.subscribe();
        // The earlier ones are acknowledged and do not change meanwhile.
        let mut open = keys.iter().peekable();
        let wait = async {
            loop {
                {
                    let state = self.shared.lock();
                    while open.next_if(|key| state.is_confirmed(key, is_lenient)).is_some() {}
                }
                if open.peek().is_none() {
                    return;
                }
                let _ = heard.changed().await;
            }
        };
        let is_confirmed = timeout(limit, wait).await.is_ok();
        match open.next() {
            Some(key) if !is_confirmed => Err(Unconfirmed(key.clone())),
            _ => Ok(()),
        }
    }

    /// The reasons why Envoy has rejected the last versions of these resources.
    pub(crate) fn refusals<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k Key>,
    ) -> Vec<(Key, Refusal)> {
        let state = self.shared.lock();
        let refused = |key: &'k Key| Some((key.clone(), state.told.refusal(key)?.clone()));
        keys.into_iter().filter_map(refused).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Shared {
    /// Each change is made under one lock, so a panic elsewhere leaves the state
    /// consistent.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.send_replace(());
    }

    fn tell(&self, resources: Vec<(Key, Resource)>, withdraw: &[Key]) {
        self.change(|state| {
            for (key, resource) in resources {
                state.settled.remove(&key.kind);
                state.told.set(&key, resource);
                state.mark(&key);
            }
            for key in withdraw {
                state.settled.remove(&key.kind);
                state.told.withdraw(key);
                state.mark(key);
            }
        });
    }

    fn retry(&self) {
        self.change(|state| {
            for key in state.told.forgive() {
                state.mark(&key);
            }
        });
    }

    fn join(&self) -> u64 {
        let mut state = self.lock();
        let client = state.next_client;
        state.next_client += 1;
        state.settled.clear();
        state.clients.insert(client, Client(Kind::ALL.map(Subscription::new)));
        client
    }

    fn leave(&self, client: u64) {
        let mut state = self.lock();
        state.settled.clear();
        state.clients.remove(&client);
        drop(state);
        self.heard.send_replace(());
    }

    fn take(&self, client: u64, request: DeltaDiscoveryRequest) {
        self.lock().take(client, request);
        self.heard.send_replace(());
    }

    fn next_response(&self, client: u64) -> Option<DeltaDiscoveryResponse> {
        let mut state = self.lock();
        let State { told, clients, .. } = &mut *state;
        clients.get_mut(&client)?.0.iter_mut().find_map(|asked| asked.next(told))
    }
}

impl State {
    fn envoy(&self) -> Option<&Client> {
        self.clients.values().next_back()
    }

    fn position(&self, target: &Resources) -> Option<Position> {
        let client = self.envoy().filter(|client| client.has_introduced_itself())?;
        let is_settled = |kind: &Kind| match (self.settled.get(kind), target.named(*kind)) {
            (Some(settled), Some(named)) => Arc::ptr_eq(settled, named),
            _ => false,
        };
        let (settled, open): (BTreeSet<_>, BTreeSet<_>) =
            Kind::ALL.into_iter().partition(is_settled);
        let held = open.iter().map(|kind| (*kind, client.held(*kind).clone()));
        let (held, told) = (Versions(held.collect()), self.told.versions(&open));
        Some(Position { held, told, refused: self.told.refused(), settled })
    }

    fn mark(&mut self, key: &Key) {
        for client in self.clients.values_mut() {
            client.of(key.kind).mark(&key.name);
        }
    }

    fn take(&mut self, client: u64, request: DeltaDiscoveryRequest) {
        let Some(kind) = Kind::of_type_url(&request.type_url) else {
            debug!(request.type_url, "Envoy requests an unsupported resource type");
            return;
        };
        let message = request.error_detail.as_ref().map(|status| status.message.clone());
        let Some(client) = self.clients.get_mut(&client) else { return };
        match client.of(kind).take(request) {
            Verdict::Silent | Verdict::Accepted => {}
            Verdict::RefusedAmongOthers => {
                debug!("Envoy rejected a response with several resources; sending each half again");
            }
            Verdict::Refused { key, version } => {
                let message = message.unwrap_or_default();
                warn!("Envoy rejected {} {}: {message}", key.kind.name(), key.name);
                self.settled.remove(&key.kind);
                self.told.refuse(key, version, &message);
            }
        }
    }

    fn is_confirmed(&self, key: &Key, is_lenient: bool) -> bool {
        let Some(client) = self.envoy() else { return false };
        if is_lenient && !client.0[key.kind as usize].asks_for(&key.name) {
            return true;
        }
        let held = client.held(key.kind).get(&key.name);
        match self.told.version(key) {
            Some(version) => held == Some(version) || self.told.refusal(key).is_some(),
            None => held.is_none(),
        }
    }
}

impl Client {
    fn of(&mut self, kind: Kind) -> &mut Subscription {
        // There is one per type, in the order of the types.
        &mut self.0[kind as usize]
    }

    fn held(&self, kind: Kind) -> &BTreeMap<Arc<str>, Version> {
        self.0[kind as usize].held()
    }

    fn has_begun(&self, kind: Kind) -> bool {
        self.0[kind as usize].has_begun()
    }

    /// A client that reconnects subscribes to all its resources at once. A
    /// starting one subscribes to clusters, and to the others as it processes
    /// responses.
    fn has_introduced_itself(&self) -> bool {
        let is_new = self.held(Kind::Clusters).is_empty() && !self.has_begun(Kind::Listeners);
        let has_listeners = !self.held(Kind::Listeners).is_empty();
        let has_all = [Kind::Routes, Kind::Filter].into_iter().all(|kind| self.has_begun(kind));
        self.has_begun(Kind::Clusters)
            && (is_new || self.has_begun(Kind::Listeners) && (has_all || !has_listeners))
    }
}
