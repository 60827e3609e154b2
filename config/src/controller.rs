//! Watches a Kubernetes API and configures the Envoy next to it.
//!
//! All state is in the API; [`api`] watches it. [`source`] fills the
//! [`store`]; [`driver`] compiles changes and applies them to Envoy by the same
//! [`Rollout`](crate::rollout::Rollout) as `serve`; [`reports`] writes the result
//! to the API, from one replica only. Envoy is a separate process that shares a
//! folder with the controller, so it continues to serve without the controller.

mod api;
mod drain;
mod driver;

mod events;
mod known;
mod lease;
mod metrics;
mod reports;
mod resolver;
mod retry;
mod secrets;
mod served;
mod source;
mod status;
mod store;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use kube::Client;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch as channel};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::cluster::Access;
use crate::envoy::prepare as prepare_folder;
use crate::envoy::{Layout, Listening, StaleCollector, check_collector};
use crate::monitoring::{Exposition, Readiness, serve as serve_health};
use crate::rollout::{EnvoyHandle, Ready, Rollout};
use crate::settings::Settings;
use crate::signals::Signals;

use drain::Draining;
use driver::Driver;
use lease::Election;
use metrics::Metrics;
use resolver::Resolver;
use secrets::SecretSource;
use source::Source;
use store::Store;

pub(crate) use status::Publish;

/// How often Envoy is polled.
const PROBE_PERIOD: Duration = Duration::from_millis(500);

/// The same before Envoy serves for the first time.
const START_PROBE_PERIOD: Duration = Duration::from_millis(50);

/// The timeout of releasing the Lease.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);

/// What to watch, and how to serve it.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) access: Access,
    /// Empty for all namespaces.
    pub(crate) namespaces: Vec<String>,
    pub(crate) folder: PathBuf,
    pub(crate) listening: Listening,
    pub(crate) health: SocketAddr,
    /// `None` to write no status.
    pub(crate) publish: Option<Publish>,
    /// Namespace and name.
    pub(crate) lease: (String, String),
    pub(crate) drain_delay: Duration,
    pub(crate) drain_timeout: Duration,
    pub(crate) settings: Settings,
}

/// Writes the files that Envoy needs to start.
pub(crate) fn prepare(options: &Options) -> anyhow::Result<()> {
    let layout = prepare_files(options)?;
    check_collector(&layout, options.settings.tracing.as_ref())
        .with_context(|| format!("folder {}", layout.folder().display()))
}

fn prepare_files(options: &Options) -> anyhow::Result<Layout> {
    let folder = std::path::absolute(&options.folder)?;
    let layout = Layout::new(folder);
    let Settings { envoy_memory, tracing, .. } = &options.settings;
    prepare_folder(&layout, options.listening, *envoy_memory, tracing.as_ref())
        .with_context(|| format!("folder {}", layout.folder().display()))?;
    Ok(layout)
}

/// Without a collector that Envoy knows, changes are served without traces: Envoy would reject
/// the listeners.
fn adapt_tracing(settings: &mut Settings, layout: &Layout) {
    let Err(stale) = check_collector(layout, settings.tracing.as_ref()) else { return };
    let consequence = match stale {
        StaleCollector::Missing => {
            settings.tracing = None;
            "no traces are sent"
        }
        StaleCollector::Other => "traces are sent to the other one",
    };
    warn!("{consequence}: folder {}: {stale}", layout.folder().display());
}

/// Runs until a signal. Calls `when_ready` with the address of the health
/// endpoints once Envoy serves a complete table, which may be that of a previous
/// process.
pub(crate) async fn run(
    mut options: Options,
    when_ready: impl FnOnce(Ready, SocketAddr),
) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let layout = prepare_files(&options)?;
    adapt_tracing(&mut options.settings, &layout);
    let rollout = Rollout::new(layout, options.listening, options.settings.clone())?;
    let envoy = rollout.envoy();
    // A kubeconfig may name a program for credentials, which blocks the thread.
    let connecting = tokio::spawn(connect(options.access.clone()));
    let Some(client) = signals.unless_received(connecting).await else { return Ok(()) };
    let client = client??;
    let listener = TcpListener::bind(options.health)
        .await
        .with_context(|| format!("cannot listen on {}", options.health))?;
    let health = listener.local_addr()?;

    let mut registry = Registry::default();
    let metrics = Arc::new(Metrics::new(&mut registry));
    let exposition = Arc::new(Exposition::new(registry, envoy.clone()));
    let store = Arc::new(Store::new());
    let (readiness, is_ready) = channel::channel(Readiness::Starting("no route table yet".into()));
    let (leadership, leads) = channel::channel(false);
    let (stop, stopped) = oneshot::channel::<()>();
    let reporter = reporter(&options);
    let (namespace, name) = &options.lease;
    let election = Election::new(client.clone(), namespace, name, reporter.identity.clone());
    let draining = Draining { delay: options.drain_delay, timeout: options.drain_timeout };
    let resolver = Resolver::new(Arc::clone(&store), &options.settings.name_servers)
        .context("cannot resolve DNS names")?;
    let store_of_parts = Arc::clone(&store);
    let parts = Parts { client, options, reporter, resolver, store: store_of_parts, metrics };
    let mut tasks = parts.spawn(rollout, leads);
    tasks.spawn(async move { match serve_health(listener, is_ready, exposition).await {} });
    let electing = tokio::spawn(election.run(leadership, async {
        let _ = stopped.await;
    }));

    tokio::select! {
        ended = tasks.join_next() => {
            // A task ends only by a panic.
            anyhow::bail!("a task of the controller ended unexpectedly: {ended:?}")
        }
        never = probe(&envoy, &readiness, &store, when_ready, health) => match never {},
        () = signals.received() => {}
    }
    let has_served = !matches!(readiness.send_replace(Readiness::Draining), Readiness::Starting(_));
    // Envoy may serve the configuration of a previous process.
    if has_served || matches!(envoy.ready().await, Ok(Some(_))) {
        // Changes are still applied meanwhile. A second signal stops Envoy
        // immediately.
        if signals.unless_received(draining.run(&envoy)).await.is_none() {
            let _ = envoy.quit().await;
        }
    } else {
        info!("stopping immediately: Envoy serves nothing yet");
        let _ = envoy.quit().await;
    }
    tasks.shutdown().await;
    let _ = stop.send(());
    // So that another replica does not have to wait until the Lease expires.
    let _ = timeout(RELEASE_TIMEOUT, electing).await;
    Ok(())
}

/// The state that the tasks of the controller share.
struct Parts {
    client: Client,
    options: Options,
    reporter: reports::Options,
    resolver: Resolver,
    store: Arc<Store>,
    metrics: Arc<Metrics>,
}

impl Parts {
    /// Starts all tasks.
    fn spawn(self, rollout: Rollout, leads: channel::Receiver<bool>) -> JoinSet<()> {
        let Self { client, options, reporter, resolver, store, metrics } = self;
        let (outcomes, outcome) = channel::channel(None);
        let (served, newest) = channel::channel(None);
        let (wants, wanted) = channel::channel(BTreeSet::new());
        let (wants_resolved, wanted_names) = channel::channel(BTreeSet::new());
        let secrets = SecretSource::new(
            client.clone(),
            reporter.field_manager.clone(),
            Arc::clone(&store),
            Arc::clone(&metrics),
        );
        let source = Source {
            client: client.clone(),
            namespaces: options.namespaces,
            manager: reporter.field_manager.clone(),
            store: Arc::clone(&store),
            metrics: Arc::clone(&metrics),
        };
        let driver = Driver {
            store,
            settings: Arc::new(options.settings),
            caches: Arc::default(),
            rollout,
            metrics: Arc::clone(&metrics),
            wants,
            wants_resolved,
            served,
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(source.run());
        tasks.spawn(secrets.run(wanted));
        tasks.spawn(resolver.run(wanted_names));
        tasks.spawn(driver.run());
        tasks.spawn(served::follow(newest, outcomes, Arc::clone(&metrics)));
        tasks.spawn(reports::run(client, reporter, outcome, leads, Arc::clone(&metrics)));
        tasks
    }
}

fn reporter(options: &Options) -> reports::Options {
    let (namespace, name) = &options.lease;
    reports::Options {
        field_manager: format!("ingressctl/{namespace}/{name}"),
        publish: options.publish.clone(),
        installation: format!("{namespace}/{name}"),
        namespaces: options.namespaces.clone(),
        controller: options.settings.controller_name.clone(),
        identity: lease::identity(),
    }
}

/// Polls Envoy and publishes whether it serves, forever.
async fn probe(
    envoy: &EnvoyHandle,
    readiness: &channel::Sender<Readiness>,
    store: &Store,
    when_ready: impl FnOnce(Ready, SocketAddr),
    health: SocketAddr,
) -> Infallible {
    let ready = loop {
        if envoy.is_live().await
            && let Ok(Some(ready)) = envoy.ready().await
        {
            break ready;
        }
        readiness.send_replace(Readiness::Starting(describe_missing(store)));
        sleep(START_PROBE_PERIOD).await;
    };
    readiness.send_replace(Readiness::Ready);
    when_ready(ready, health);
    // From now on it has a table: one that is restarted starts with it.
    loop {
        let state = if envoy.is_live().await { Readiness::Ready } else { Readiness::EnvoyDown };
        readiness.send_if_modified(|now| std::mem::replace(now, state.clone()) != state);
        sleep(PROBE_PERIOD).await;
    }
}

fn describe_missing(store: &Store) -> String {
    let missing = store.missing();
    if missing.is_empty() {
        return "Envoy has no route table yet".into();
    }
    let names: Vec<_> = missing.iter().map(|kind| kind.name()).collect();
    format!("waiting for the first list of: {}", names.join(", "))
}

async fn connect(access: Access) -> anyhow::Result<Client> {
    let mut config = access.config().await?;
    config.read_timeout = Some(api::SILENCE);
    info!(api = %config.cluster_url, "connecting");
    if config.accept_invalid_certs {
        warn!("the API server's certificate is not verified: insecure-skip-tls-verify is set");
    }
    Ok(Client::try_from(config)?)
}
