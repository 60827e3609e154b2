//! Updates a running Envoy from one configuration to the next.
//!
//! The state of Envoy is what it has acknowledged. [`plan`](mod@plan) computes the
//! steps from there to a target, and each step is sent and acknowledged before the
//! next. An update that stops in the middle, or a killed process, leaves nothing
//! to undo, because the next update starts from the state of Envoy. Clusters,
//! certificates or endpoints that Envoy rejects are left out, and all others are
//! applied. If it rejects a listener, the routes or the table, it is returned to
//! the last target that it has accepted.

mod admin;
mod envoy;
mod plan;
mod snapshots;
#[cfg(test)]
pub(crate) mod tests;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use ingress_filter::LoadError;
use ingress_filter::table::TlsHost;
use thiserror::Error;
use tokio::time::sleep;
use tracing::debug;

use crate::envoy::{
    FILTER_NAME, HTTP_LISTENER, HTTPS_LISTENER, Key, Kind, Layout, Listening, Renderer,
    STAT_PREFIX, Target, Version,
};
use crate::files::{make_private_folder, remove_unfinished, write_if_changed};
use crate::model::Gateway;
use crate::off_worker::off_worker;
use crate::settings::Settings;
use crate::xds::{Refusal, Server, read_snapshot};

use admin::{Admin, table_version};
use envoy::{Confirm, Envoy, RunningEnvoy, Warming};
use plan::{Stage, Step, plan};
use snapshots::Snapshots;

pub(crate) use admin::AdminAddress;

/// The time that Envoy may take to start.
const START_TIMEOUT: Duration = Duration::from_mins(1);

/// How often Envoy is polled meanwhile.
const POLL_PERIOD: Duration = Duration::from_millis(10);

/// The configuration that runs now, and how to update it.
pub(crate) struct Rollout {
    transitions: Transitions<RunningEnvoy>,
    renderer: Arc<Mutex<Renderer>>,
    snapshots: Snapshots,
}

/// The changes of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Change {
    Nothing,
    /// Endpoints or clusters, but not the route table.
    Upstreams,
    /// Certificates, or the hosts that they are for.
    Certificates,
    RouteTable,
}

impl Change {
    /// The name in logs and metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Upstreams => "upstreams",
            Self::Certificates => "certificates",
            Self::RouteTable => "route_table",
        }
    }
}

/// A completed rollout.
#[derive(Clone, Debug)]
pub(crate) struct Applied {
    pub(crate) change: Change,
    /// The resources that Envoy rejects: clusters, endpoints, certificates.
    pub(crate) refused: Vec<(Key, Refusal)>,
}

/// A rollout that was not completed.
#[derive(Debug, Error)]
pub(crate) enum RolloutError {
    /// Envoy keeps its previous configuration.
    #[error("Envoy rejected the new {}: {}", .0.kind.name(), .1.message)]
    Refused(Key, Refusal),
    /// The state of Envoy is unknown.
    #[error("Envoy has not acknowledged {what}: {cause}")]
    Unconfirmed { what: String, cause: String },
    /// The filter would reject the table, so it was not sent to Envoy.
    #[error("the route table is invalid: {0}")]
    Table(#[from] Arc<LoadError>),
}

impl RolloutError {
    /// The rejected resource and the reason, if all of the rollout was rejected.
    pub(crate) fn refusal(&self) -> Option<(Key, Arc<str>)> {
        match self {
            Self::Refused(key, refusal) => Some((key.clone(), Arc::clone(&refusal.message))),
            Self::Table(error) => {
                Some((Key::new(Kind::Filter, FILTER_NAME), error.to_string().into()))
            }
            Self::Unconfirmed { .. } => None,
        }
    }
}

/// The addresses on which Envoy listens.
#[derive(Clone, Debug)]
pub struct Ready {
    /// For HTTP.
    pub http: SocketAddr,
    /// For HTTPS, if there is any certificate.
    pub https: Option<SocketAddr>,
    /// For the admin interface.
    pub admin: AdminAddress,
}

impl Rollout {
    /// For a current or future Envoy with a folder that is
    /// [prepared](crate::envoy::prepare).
    ///
    /// Must be called in a runtime, in which the xDS server runs.
    ///
    /// # Errors
    /// If the folder cannot be read or written.
    pub(crate) fn new(
        layout: Layout,
        listening: Listening,
        settings: Settings,
    ) -> anyhow::Result<Self> {
        let begin = || {
            remove_unfinished(layout.folder())?;
            if let Some(folder) = layout.snapshot().parent() {
                make_private_folder(folder)?;
                remove_unfinished(folder)?;
            }
            write_if_changed(&layout.module(), crate::MODULE)?;
            let recovered = read_snapshot(&layout.snapshot());
            let server = Server::start(&layout.socket(), recovered.clone())?;
            std::io::Result::Ok((server, recovered))
        };
        let (server, recovered) =
            begin().with_context(|| format!("folder {}", layout.folder().display()))?;
        let admin = Admin::new(layout.admin_address());
        let good = Target::recover(recovered, &layout).map(Arc::new);
        Ok(Self {
            transitions: Transitions::new(RunningEnvoy { server, admin }, good),
            snapshots: Snapshots::new(layout.snapshot()),
            renderer: Arc::new(Mutex::new(Renderer::new(settings, listening, layout))),
        })
    }

    /// Whether certificates were sent to Envoy; at the start, those of a previous
    /// process.
    pub(crate) fn has_certificates(&self) -> bool {
        let good = self.transitions.good.as_ref();
        good.is_some_and(|good| good.resources.of(Kind::Secrets).next().is_some())
    }

    /// Waits until Envoy has started, and listens if it has a listener.
    pub(crate) async fn wait_until_started(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        while !self.transitions.envoy.admin.is_ready().await.unwrap_or(false) {
            let seconds = START_TIMEOUT.as_secs();
            anyhow::ensure!(Instant::now() < deadline, "Envoy did not start within {seconds} s");
            sleep(POLL_PERIOD).await;
        }
        Ok(())
    }

    /// The Envoy of this rollout.
    pub(crate) fn envoy(&self) -> EnvoyHandle {
        EnvoyHandle(self.transitions.envoy.admin.clone())
    }

    /// Updates Envoy to `gateway`, or leaves it unchanged.
    pub(crate) async fn apply(&mut self, gateway: &Gateway) -> Result<Applied, RolloutError> {
        let (renderer, gateway) = (Arc::clone(&self.renderer), gateway.clone());
        let rendering = off_worker(move || {
            renderer.lock().unwrap_or_else(PoisonError::into_inner).render(&gateway)
        });
        let target = Arc::new(rendering.await?);
        let applied = self.transitions.apply(&target).await?;
        if applied.change != Change::Nothing {
            self.snapshots.write_soon(target);
        }
        Ok(applied)
    }

    /// Sends the resources that Envoy has rejected again with the next rollout.
    pub(crate) fn retry(&mut self) {
        self.transitions.envoy.retry();
    }
}

#[cfg(test)]
impl Rollout {
    /// Whether a restarted Envoy would get the table that this one has.
    pub(crate) async fn is_table_told(&mut self) -> bool {
        let at = self.transitions.envoy.position(&crate::envoy::Resources::default()).await;
        let at = at.expect("Envoy is connected");
        let version = |at: &crate::xds::Versions| at.version(Kind::Filter, FILTER_NAME).cloned();
        version(&at.told) == version(&at.held)
    }

    /// The same configuration as in files.
    pub(crate) fn json(&self, gateway: &Gateway) -> Vec<serde_json::Value> {
        self.renderer.lock().unwrap_or_else(PoisonError::into_inner).json(gateway)
    }
}

/// The transitions of one Envoy from target to target.
struct Transitions<E> {
    envoy: E,
    /// The last target that Envoy has accepted completely.
    good: Option<Arc<Target>>,
    /// The hosts with certificates of the tables that Envoy may have.
    bound: Vec<(Version, Vec<TlsHost>)>,
}

/// The number of tables of which Envoy may have one: the last one, an
/// intermediate one, the next.
const REMEMBERED_TABLES: usize = 4;

impl<E: Envoy> Transitions<E> {
    fn new(envoy: E, good: Option<Arc<Target>>) -> Self {
        let mut transitions = Self { envoy, good: None, bound: Vec::new() };
        if let Some(good) = good {
            transitions.remember_table_of(&good);
            transitions.good = Some(good);
        }
        transitions
    }

    async fn apply(&mut self, target: &Arc<Target>) -> Result<Applied, RolloutError> {
        let change = match self.bring_to(target).await {
            Ok(change) => change,
            Err(error @ RolloutError::Refused(..)) => {
                if let Some(good) = self.good.clone() {
                    self.bring_to(&good).await?;
                }
                return Err(error);
            }
            Err(error) => return Err(error),
        };
        self.envoy.settle(&target.resources);
        self.good = Some(Arc::clone(target));
        Ok(Applied { change, refused: self.envoy.refused_of(&target.resources) })
    }

    async fn bring_to(&mut self, target: &Target) -> Result<Change, RolloutError> {
        let at = self.envoy.position(&target.resources).await?;
        let steps = plan(&at, |version| self.bound_by(version), target);
        self.remember_table_of(target);
        let mut change = Change::Nothing;
        for step in &steps {
            self.take(step, target).await?;
            change = change.max(step.change());
        }
        Ok(change)
    }

    async fn take(&mut self, step: &Step, target: &Target) -> Result<(), RolloutError> {
        let mut resources = target.select(&step.tell);
        if let Stage::Bridge(hosts) = &step.stage {
            let filter = target.filter_with(hosts.clone()).map_err(Arc::new)?;
            self.remember(filter.version.clone(), hosts.clone());
            resources.push((Key::new(Kind::Filter, FILTER_NAME), filter));
        }
        self.envoy.tell(resources, &step.withdraw);
        self.envoy.confirm(&step.expect, Confirm::Always).await?;
        self.envoy.confirm(&step.updates, Confirm::WhileAsked).await?;
        let refused = self.refusals(&step.expect)?;
        let is_refused = |cause: &Key| refused.iter().any(|(key, _)| key == cause);
        let needs = step.needs.iter().filter(|(cause, _)| !is_refused(cause));
        let needs: Vec<_> = needs.map(|(_, need)| need.clone()).collect();
        self.envoy.confirm(&needs, Confirm::Always).await?;
        self.refusals(&needs)?;
        match step.stage {
            Stage::Upstreams { resolves: true } => {
                if let Err(error) = self.envoy.warm(Warming::Clusters).await {
                    debug!("{error}; continuing without it");
                }
                Ok(())
            }
            Stage::Listeners => self.envoy.warm(Warming::Listeners).await,
            _ => Ok(()),
        }
    }

    /// The resources among these that Envoy has rejected.
    ///
    /// # Errors
    /// If the rollout cannot continue without one of them.
    fn refusals(&self, keys: &[Key]) -> Result<Vec<(Key, Refusal)>, RolloutError> {
        let refused = self.envoy.refusals(keys);
        let is_whole = |kind| matches!(kind, Kind::Listeners | Kind::Routes | Kind::Filter);
        match refused.iter().find(|(key, _)| is_whole(key.kind)) {
            Some((key, refusal)) => Err(RolloutError::Refused(key.clone(), refusal.clone())),
            None => Ok(refused),
        }
    }

    /// The hosts with certificates of a table.
    fn bound_by(&self, table: &Version) -> Option<&[TlsHost]> {
        self.bound.iter().find(|(version, _)| version == table).map(|(_, hosts)| &**hosts)
    }

    fn remember_table_of(&mut self, target: &Target) {
        if let Some(filter) = target.resources.get(Kind::Filter, FILTER_NAME) {
            self.remember(filter.version.clone(), target.tls_hosts().to_vec());
        }
    }

    fn remember(&mut self, version: Version, hosts: Vec<TlsHost>) {
        self.bound.retain(|(known, _)| *known != version);
        self.bound.push((version, hosts));
        let surplus = self.bound.len().saturating_sub(REMEMBERED_TABLES);
        self.bound.drain(..surplus);
    }
}

impl Step {
    fn change(&self) -> Change {
        let has = |kind| self.tell.iter().any(|key| key.kind == kind);
        match self.stage {
            Stage::Table | Stage::Bridge(_) => Change::RouteTable,
            Stage::Listeners if has(Kind::Filter) => Change::RouteTable,
            Stage::Listeners => Change::Certificates,
            _ if has(Kind::Secrets) => Change::Certificates,
            // Where Envoy has nothing to forget, it is not told anything.
            Stage::Removals if self.expect.is_empty() => Change::Nothing,
            _ => Change::Upstreams,
        }
    }
}

/// Access to a running Envoy, independent of its configuration.
#[derive(Clone, Debug)]
pub(crate) struct EnvoyHandle(Admin);

impl EnvoyHandle {
    /// The Envoy whose admin interface has the address in the file `address`.
    #[cfg(test)]
    pub(crate) fn at(address: std::path::PathBuf) -> Self {
        Self(Admin::new(address))
    }

    /// The addresses of Envoy, if it listens and has a table.
    pub(crate) async fn ready(&self) -> anyhow::Result<Option<Ready>> {
        let version = table_version();
        let stats = self.0.stats(&[&version]).await?;
        if stats.get(&version).is_none_or(String::is_empty) {
            return Ok(None);
        }
        let http = self.0.listener(HTTP_LISTENER).await?;
        let https = self.0.listener(HTTPS_LISTENER).await?;
        let admin = self.0.address()?;
        Ok(http.map(|http| Ready { http, https, admin }))
    }

    /// Whether it is running and has processed its initial configuration.
    pub(crate) async fn is_live(&self) -> bool {
        self.0.is_ready().await.unwrap_or(false)
    }

    /// Makes readiness probes fail.
    pub(crate) async fn fail_probes(&self) -> anyhow::Result<()> {
        self.0.post("/healthcheck/fail").await
    }

    /// Drains the listeners: clients finish their requests and reconnect
    /// elsewhere. After the drain time, Envoy no longer listens.
    pub(crate) async fn drain(&self) -> anyhow::Result<()> {
        self.0.post("/drain_listeners?graceful&skip_exit").await
    }

    /// The number of open connections.
    pub(crate) async fn connections(&self) -> anyhow::Result<u64> {
        let name = format!("http.{STAT_PREFIX}.downstream_cx_active");
        let stats = self.0.stats(&[&name]).await?;
        Ok(stats.get(&name).and_then(|count| count.parse().ok()).unwrap_or(0))
    }

    /// The response of the admin interface to `path`, under `/stats`.
    pub(crate) async fn statistics(&self, path: &str) -> anyhow::Result<String> {
        self.0.get(path).await
    }

    /// Stops Envoy.
    pub(crate) async fn quit(&self) -> anyhow::Result<()> {
        self.0.post("/quitquitquit").await
    }
}
