//! Tells Envoy where endpoints are (EDS): the incremental variant of xDS, over
//! a Unix socket in the folder that both share.
//!
//! See <https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol>.
//! Envoy says which clusters it wants to know of, gets those it does not have,
//! and from then on what changes. It acknowledges each answer before it gets
//! the next, so what changes often is told once, with its last state.

mod messages;
mod service;
mod stream;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fs, io};

use tokio::net::UnixListener;
use tokio::sync::watch as channel;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::envoy::Endpoints;

/// Serves until it is dropped.
pub(crate) struct EndpointServer {
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// What the streams of all clients look at.
struct Shared {
    state: Mutex<State>,
    /// Tells the generation to streams, and to whoever waits for them.
    generation: channel::Sender<u64>,
    taken: channel::Sender<()>,
}

#[derive(Default)]
struct State {
    /// Each with the generation in which it became so.
    clusters: BTreeMap<String, (u64, BTreeSet<SocketAddr>)>,
    generation: u64,
    /// The generation that each client has confirmed, by a number of ours.
    streams: BTreeMap<u64, u64>,
    next_stream: u64,
}

impl EndpointServer {
    /// Listens on `socket`, with what is known so far.
    ///
    /// # Errors
    /// Where the socket cannot be made.
    pub(crate) fn start(socket: &Path, endpoints: &Endpoints) -> io::Result<Self> {
        // One that a killed process has left.
        if socket.exists() {
            fs::remove_file(socket)?;
        }
        let listener = UnixListener::bind(socket)?;
        // The folder says who may; Envoy may run as another user.
        fs::set_permissions(socket, fs::Permissions::from_mode(0o666))?;
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            generation: channel::Sender::new(0),
            taken: channel::Sender::new(()),
        });
        let accepting = tokio::spawn(service::accept(listener, Arc::clone(&shared)));
        let server = Self { shared, accepting };
        server.set(endpoints);
        Ok(server)
    }

    /// Replaces what is known. Clusters that are gone stay as they are for
    /// whoever still asks for them.
    pub(crate) fn set(&self, endpoints: &Endpoints) {
        let mut state = self.shared.lock();
        let generation = state.generation + 1;
        let mut is_changed = false;
        for (cluster, addresses) in endpoints {
            if state.clusters.get(cluster).is_none_or(|(_, known)| known != addresses) {
                state.clusters.insert(cluster.clone(), (generation, addresses.clone()));
                is_changed = true;
            }
        }
        if is_changed {
            state.generation = generation;
            drop(state);
            self.shared.generation.send_replace(generation);
        }
    }

    /// Forgets the clusters that are not in `endpoints`.
    pub(crate) fn forget_all_but(&self, endpoints: &Endpoints) {
        self.shared.lock().clusters.retain(|cluster, _| endpoints.contains_key(cluster));
    }

    /// Waits until Envoy has confirmed all that is known. Says whether it has,
    /// within `patience`.
    pub(crate) async fn taken(&self, patience: Duration) -> bool {
        let mut taken = self.shared.taken.subscribe();
        let wait = async {
            while !self.shared.is_taken() {
                // The sender lives as long as we do.
                let _ = taken.changed().await;
            }
        };
        timeout(patience, wait).await.is_ok()
    }
}

impl Drop for EndpointServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Shared {
    /// Each change is made in one go, so a panic elsewhere leaves it whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is a client, and all of them have confirmed all.
    fn is_taken(&self) -> bool {
        let state = self.lock();
        let all = state.streams.values().all(|confirmed| *confirmed == state.generation);
        all && (!state.streams.is_empty() || state.clusters.is_empty())
    }

    fn confirm(&self, stream: u64, generation: u64) {
        self.lock().streams.insert(stream, generation);
        self.taken.send_replace(());
    }

    fn join(&self) -> u64 {
        let mut state = self.lock();
        let stream = state.next_stream;
        state.next_stream += 1;
        state.streams.insert(stream, 0);
        stream
    }

    fn leave(&self, stream: u64) {
        self.lock().streams.remove(&stream);
        self.taken.send_replace(());
    }
}
