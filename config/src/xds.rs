//! Tells Envoy where endpoints are (EDS), and the certificates of listeners with
//! their keys (SDS): the incremental variant of xDS, over a Unix socket in the
//! folder that both share.
//!
//! See <https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol>.
//! Envoy says of which it wants to know, gets those it does not have, and from
//! then on what changes. It acknowledges each answer before it gets
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

use crate::certificates::KeyPair;
use crate::envoy::{Endpoints, KeyPairs};

/// Serves until it is dropped.
pub(crate) struct ResourceServer {
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
    endpoints: Known<BTreeSet<SocketAddr>>,
    secrets: Known<Arc<KeyPair>>,
    generation: u64,
    /// How often a client has refused what it was told.
    rejections: u64,
    /// The generation that each client has confirmed, by a number of ours.
    streams: BTreeMap<u64, u64>,
    next_stream: u64,
}

/// By name, each with the generation in which it became so.
type Known<T> = BTreeMap<String, (u64, T)>;

impl ResourceServer {
    /// Listens on `socket`.
    ///
    /// # Errors
    /// Where the socket cannot be made.
    pub(crate) fn start(socket: &Path) -> io::Result<Self> {
        // One that a killed process has left.
        if socket.exists() {
            fs::remove_file(socket)?;
        }
        let listener = UnixListener::bind(socket)?;
        // Whoever may connect gets private keys. Envoy may run as another user
        // of the same group.
        fs::set_permissions(socket, fs::Permissions::from_mode(0o660))?;
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            generation: channel::Sender::new(0),
            taken: channel::Sender::new(()),
        });
        let accepting = tokio::spawn(service::accept(listener, Arc::clone(&shared)));
        Ok(Self { shared, accepting })
    }

    /// Replaces what is known. What is not among it any more stays as it is for
    /// whoever still asks for it.
    pub(crate) fn set(&self, endpoints: &Endpoints, secrets: &KeyPairs) {
        let mut state = self.shared.lock();
        let generation = state.generation + 1;
        let is_changed = [
            update(&mut state.endpoints, endpoints, generation),
            update(&mut state.secrets, secrets, generation),
        ];
        if is_changed.contains(&true) {
            state.generation = generation;
            drop(state);
            self.shared.generation.send_replace(generation);
        }
    }

    /// Forgets what is not among these.
    pub(crate) fn forget_all_but(&self, endpoints: &Endpoints, secrets: &KeyPairs) {
        let mut state = self.shared.lock();
        state.endpoints.retain(|cluster, _| endpoints.contains_key(cluster));
        state.secrets.retain(|name, _| secrets.contains_key(name));
    }

    /// How often Envoy has refused what it was told.
    pub(crate) fn rejections(&self) -> u64 {
        self.shared.lock().rejections
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

/// Says whether anything has changed.
fn update<T: Clone + PartialEq>(
    known: &mut Known<T>,
    next: &BTreeMap<String, T>,
    generation: u64,
) -> bool {
    let mut is_changed = false;
    for (name, content) in next {
        if known.get(name).is_none_or(|(_, known)| known != content) {
            known.insert(name.clone(), (generation, content.clone()));
            is_changed = true;
        }
    }
    is_changed
}

impl Drop for ResourceServer {
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
        all && (!state.streams.is_empty() || state.endpoints.is_empty() && state.secrets.is_empty())
    }

    fn confirm(&self, stream: u64, generation: u64) {
        self.lock().streams.insert(stream, generation);
        self.taken.send_replace(());
    }

    fn reject(&self) {
        self.lock().rejections += 1;
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
