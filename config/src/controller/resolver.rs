//! Looks up the DNS names of upstreams, so that what a name server answers is
//! looked into before Envoy connects to it.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::sync::{Semaphore, watch as channel};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;

use super::retry::Backoff;
use super::store::Store;

/// How long an answer is used, as in Envoy: the system's resolver does not say how
/// long it holds.
const REFRESH: Duration = Duration::from_secs(5);

/// How many look-ups are under way at once. Each takes a thread for as long as the
/// system's resolver waits for name servers.
const MAX_CONCURRENT: usize = 32;

/// See the module.
pub(super) struct Resolver {
    store: Arc<Store>,
    turns: Arc<Semaphore>,
}

impl Resolver {
    pub(super) fn new(store: Arc<Store>) -> Self {
        Self { store, turns: Arc::new(Semaphore::new(MAX_CONCURRENT)) }
    }

    /// Looks up those that are wanted, each again and again.
    pub(super) async fn run(self, mut wanted: channel::Receiver<BTreeSet<String>>) {
        let resolver = Arc::new(self);
        let mut tasks = JoinSet::new();
        let mut lookups: BTreeMap<String, AbortHandle> = BTreeMap::new();
        loop {
            let names = wanted.borrow_and_update().clone();
            lookups.retain(|name, lookup| {
                let is_wanted = names.contains(name);
                if !is_wanted {
                    lookup.abort();
                }
                is_wanted
            });
            resolver.store.want_resolved(&names);
            for name in names {
                let start = || tasks.spawn(Arc::clone(&resolver).follow(name.clone()));
                lookups.entry(name.clone()).or_insert_with(start);
            }
            while tasks.try_join_next().is_some() {}
            if wanted.changed().await.is_err() {
                return;
            }
        }
    }

    async fn follow(self: Arc<Self>, name: String) -> Infallible {
        let mut backoff = Backoff::for_traffic();
        loop {
            let answer = self.look_up(&name).await;
            let is_answered = answer.is_ok();
            self.store.set_resolved(&name, answer);
            if is_answered {
                backoff.reset();
                sleep(REFRESH).await;
            } else {
                backoff.wait().await;
            }
        }
    }

    async fn look_up(&self, name: &str) -> Result<BTreeSet<IpAddr>, String> {
        let turn = self.turns.acquire().await;
        // With the dot, no search domain is tried: a host that has a name there would
        // answer for all names.
        let name = if name.ends_with('.') { name.to_owned() } else { format!("{name}.") };
        let found = lookup_host((name, 0)).await;
        drop(turn);
        let addresses: BTreeSet<_> =
            found.map_err(|error| error.to_string())?.map(|address| address.ip()).collect();
        if addresses.is_empty() { Err("it has no address".to_owned()) } else { Ok(addresses) }
    }
}
