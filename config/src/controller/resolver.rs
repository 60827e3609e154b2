//! Resolves the DNS names of upstreams, so that addresses are checked before Envoy
//! connects to them.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::system_conf::read_system_conf;
use tokio::sync::{Semaphore, watch as channel};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep};
use tracing::warn;

use super::retry::Backoff;
use super::store::Store;
use crate::settings::NameServer;

/// The shortest time for which an answer is used, as in Envoy, and the longest one, which
/// limits the delay of changes if records have a long TTL.
const REFRESH: RangeInclusive<Duration> = Duration::from_secs(5)..=Duration::from_mins(1);

/// The maximum number of concurrent lookups. Each uses two ports while it waits for a name
/// server.
const MAX_CONCURRENT: usize = 256;

/// The maximum number of addresses of one name. A message over TCP can have 4,000 (RFC 1035
/// section 4.2.2), each of which would be an endpoint of Envoy.
const MAX_ADDRESSES: usize = 100;

/// Resolves names repeatedly.
pub(super) struct Resolver {
    store: Arc<Store>,
    client: TokioResolver,
    turns: Arc<Semaphore>,
}

impl Resolver {
    /// A resolver that queries `servers`, or if there are none, those of the system.
    pub(super) fn new(store: Arc<Store>, servers: &[NameServer]) -> anyhow::Result<Self> {
        let (config, mut options) = match servers {
            [] => of_system(),
            _ => (
                ResolverConfig::from_name_servers(servers.iter().map(ask).collect()),
                ResolverOpts::default(),
            ),
        };
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        // The pod's own hosts file does not apply to upstreams.
        options.use_hosts_file = ResolveHosts::Never;
        // This resolver has its own cache.
        options.cache_size = 0;
        options.max_active_requests = 2 * MAX_CONCURRENT;
        let provider = TokioRuntimeProvider::default();
        let builder = TokioResolver::builder_with_config(config, provider).with_options(options);
        Ok(Self {
            store,
            client: builder.build()?,
            turns: Arc::new(Semaphore::new(MAX_CONCURRENT)),
        })
    }

    /// Resolves the wanted names repeatedly.
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
            match self.look_up(&name).await {
                Ok((addresses, holds_until)) => {
                    let rest = holds_until.saturating_duration_since(Instant::now());
                    self.store.set_resolved(&name, Ok(addresses));
                    backoff.reset();
                    sleep(rest.clamp(*REFRESH.start(), *REFRESH.end())).await;
                }
                Err(reason) => {
                    self.store.set_resolved(&name, Err(reason));
                    backoff.wait().await;
                }
            }
        }
    }

    /// The addresses of a name, and the time for which they are valid.
    async fn look_up(&self, name: &str) -> Result<(BTreeSet<IpAddr>, Instant), String> {
        let turn = self.turns.acquire().await;
        // With the dot, no search domains are used, in which another host could have
        // this name.
        let name = if name.ends_with('.') { name.to_owned() } else { format!("{name}.") };
        let found = self.client.lookup_ip(name).await;
        drop(turn);
        let found = found.map_err(|error| describe(&error))?;
        let addresses: BTreeSet<_> = found.iter().collect();
        let holds_until = Instant::from_std(found.valid_until());
        match addresses.len() {
            0 => Err(WITHOUT_ADDRESS.to_owned()),
            // Sorted, so that the same ones are used each time.
            _ => Ok((addresses.into_iter().take(MAX_ADDRESSES).collect(), holds_until)),
        }
    }
}

const WITHOUT_ADDRESS: &str = "the name has no addresses";

fn describe(error: &NetError) -> String {
    match error {
        _ if error.is_nx_domain() => "the name does not exist".to_owned(),
        _ if error.is_no_records_found() => WITHOUT_ADDRESS.to_owned(),
        NetError::Timeout => "the name servers do not answer".to_owned(),
        other => format!("the name servers return an error ({other})"),
    }
}

/// The configuration in /etc/resolv.conf, or without it, the name server of the machine
/// itself, as in resolv.conf(5).
fn of_system() -> (ResolverConfig, ResolverOpts) {
    read_system_conf().unwrap_or_else(|error| {
        warn!("/etc/resolv.conf has no name server ({error}); using 127.0.0.1");
        let local = NameServerConfig::udp_and_tcp(Ipv4Addr::LOCALHOST.into());
        (ResolverConfig::from_name_servers(vec![local]), ResolverOpts::default())
    })
}

fn ask(server: &NameServer) -> NameServerConfig {
    let address = server.address();
    let mut config = NameServerConfig::udp_and_tcp(address.ip());
    for connection in &mut config.connections {
        connection.port = address.port();
    }
    config
}
