//! Brings a running Envoy from one configuration to the next, without a
//! request in between that finds its cluster missing: a table may name a
//! cluster only once Envoy has loaded it, and a cluster may go only once no
//! table names it. Each step is confirmed on the admin port before the next.
//!
//! While a step is not confirmed, Envoy may hold its old configuration or its
//! new one. Then every cluster that either names stays, and the next attempt
//! asks Envoy what it holds instead of trusting what was written.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, io};

use anyhow::Context;
use thiserror::Error;
use tokio::time::sleep;

use super::admin::Admin;
use super::{Options, Ready};
use crate::commands::compile::write_all;
use crate::compile::Compiled;
use crate::envoy::{
    Cluster, EnvoyFiles, FILTER_NAME, Layout, ROUTE_CONFIGURATION, Resource, STAT_PREFIX,
    write_atomically,
};

/// How long Envoy may take to start.
const START_PATIENCE: Duration = Duration::from_mins(1);

/// How long Envoy may take to take a step in.
const STEP_PATIENCE: Duration = Duration::from_secs(15);

/// How often the admin port is asked.
const POLL_PERIOD: Duration = Duration::from_millis(5);

/// A kind of resources: its file, and the statistics that tell what became of
/// it.
struct Kind {
    what: &'static str,
    file: fn(&Layout) -> PathBuf,
    /// What the names of its statistics start with.
    prefix: String,
    /// What its rejections are counted by.
    rejected: &'static str,
}

impl Kind {
    fn new(what: &'static str, file: fn(&Layout) -> PathBuf, prefix: impl Into<String>) -> Self {
        Self { what, file, prefix: prefix.into(), rejected: "update_rejected" }
    }

    fn clusters() -> Self {
        Self::new("clusters", Layout::clusters, "cluster_manager.cds")
    }

    fn listeners() -> Self {
        Self::new("listeners", Layout::listeners, "listener_manager.lds")
    }

    fn routes() -> Self {
        let prefix = format!("http.{STAT_PREFIX}.rds.{ROUTE_CONFIGURATION}");
        Self::new("route configuration", Layout::routes, prefix)
    }

    fn filter() -> Self {
        let prefix = format!("extension_config_discovery.http_filter.{FILTER_NAME}");
        Self { rejected: "config_fail", ..Self::new("route table", Layout::filter, prefix) }
    }

    fn version(&self) -> String {
        format!("{}.version_text", self.prefix)
    }

    fn rejected(&self) -> String {
        format!("{}.{}", self.prefix, self.rejected)
    }
}

/// What runs now, and how to get on from there.
pub(super) struct Rollout<'a> {
    options: &'a Options,
    layout: Layout,
    admin_address_file: PathBuf,
    admin: Option<Admin>,
    /// The configuration that was last confirmed.
    files: EnvoyFiles,
    /// Whether Envoy may hold something else than `files`.
    is_unconfirmed: bool,
    /// The clusters that a table may name which Envoy may hold.
    clusters: Vec<Cluster>,
    /// The versions of the endpoints that are written, by cluster.
    endpoints: BTreeMap<String, String>,
}

/// What a rollout changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Nothing,
    /// Endpoints or clusters, not what is exposed.
    Upstreams,
    RouteTable,
}

/// Why a rollout did not come to its end.
#[derive(Debug, Error)]
pub(super) enum RolloutError {
    /// Envoy holds what it held before.
    #[error("envoy rejected the new {0}")]
    Rejected(&'static str),
    /// It is not known what Envoy holds.
    #[error("it is not certain that envoy has taken in the new {what}: {cause}")]
    Unconfirmed { what: &'static str, cause: String },
    #[error("the configuration cannot be written: {0}")]
    Write(#[from] io::Error),
}

impl<'a> Rollout<'a> {
    /// Writes the files for an Envoy that has yet to start.
    pub(super) fn prepare(
        folder: &Path,
        options: &'a Options,
        compiled: &Compiled,
    ) -> anyhow::Result<Self> {
        // Envoy shares a port with whoever else does; nobody would know whose
        // answers they get.
        for address in [options.listening.http, options.listening.admin] {
            drop(
                TcpListener::bind(address)
                    .with_context(|| format!("cannot listen on {address}"))?,
            );
        }
        let layout = Layout::new(folder);
        let files = EnvoyFiles::new(compiled, &options.settings, options.listening, &layout);
        write_all(&files, &layout).with_context(|| format!("folder {}", folder.display()))?;
        Ok(Self {
            options,
            admin_address_file: folder.join("admin-address"),
            layout,
            admin: None,
            endpoints: versions(&files),
            files,
            is_unconfirmed: false,
            clusters: compiled.clusters.clone(),
        })
    }

    /// What Envoy is to be started with.
    pub(super) fn bootstrap(&self) -> PathBuf {
        self.layout.bootstrap()
    }

    /// Where Envoy is to write the address of its admin interface.
    pub(super) fn admin_address_file(&self) -> &Path {
        &self.admin_address_file
    }

    /// Waits until Envoy serves the first table.
    pub(super) async fn wait_until_ready(&mut self) -> anyhow::Result<Ready> {
        let deadline = Instant::now() + START_PATIENCE;
        let admin = loop {
            let address = fs::read_to_string(&self.admin_address_file).unwrap_or_default();
            if let Ok(address) = address.trim().parse::<SocketAddr>() {
                break Admin::new(address);
            }
            pause(deadline, "start").await?;
        };
        let http = loop {
            if admin.is_ready().await.unwrap_or(false)
                && let Some(http) = admin.listener("http").await?
            {
                break http;
            }
            let rejected = Kind::listeners().rejected();
            let stats = admin.stats(&[&rejected]).await.unwrap_or_default();
            anyhow::ensure!(
                stats.get(&rejected).is_none_or(|count| count == "0"),
                "envoy cannot listen on {}; its log says why",
                self.options.listening.http
            );
            pause(deadline, "serve").await?;
        };
        let ready = Ready { http, admin: admin.address() };
        self.admin = Some(admin);
        Ok(ready)
    }

    /// Brings Envoy to `compiled`, or leaves it where it is.
    pub(super) async fn apply(&mut self, compiled: &Compiled) -> Result<Change, RolloutError> {
        let next =
            EnvoyFiles::new(compiled, &self.options.settings, self.options.listening, &self.layout);
        if next == self.files && !self.is_unconfirmed {
            return Ok(Change::Nothing);
        }
        let result = self.advance(&next, &compiled.clusters).await;
        if let Err(RolloutError::Rejected(_)) = &result {
            self.retreat().await?;
        }
        result?;
        let change =
            if next.filter == self.files.filter { Change::Upstreams } else { Change::RouteTable };
        write_all(&next, &self.layout)?;
        // Those of clusters that are gone, that has removed.
        self.endpoints = versions(&next);
        self.files = next;
        self.clusters.clone_from(&compiled.clusters);
        self.is_unconfirmed = false;
        Ok(change)
    }

    /// Clusters and their endpoints, then what names them, then the removal of
    /// those that nothing names any more.
    async fn advance(
        &mut self,
        next: &EnvoyFiles,
        clusters: &[Cluster],
    ) -> Result<(), RolloutError> {
        let was_confirmed = !std::mem::replace(&mut self.is_unconfirmed, true);
        let is_same =
            |now: &Resource, next: &Resource| was_confirmed && now.version == next.version;
        self.write_endpoints(next)?;
        let both = union(clusters, &self.clusters);
        let both_file = EnvoyFiles::clusters(&both, &self.layout);
        if !is_same(&self.files.clusters, &both_file) {
            self.step(&Kind::clusters(), &both_file).await?;
        }
        self.clusters = both;
        for (kind, now, next) in [
            (Kind::routes(), &self.files.routes, &next.routes),
            (Kind::listeners(), &self.files.listeners, &next.listeners),
            (Kind::filter(), &self.files.filter, &next.filter),
        ] {
            if !is_same(now, next) {
                self.step(&kind, next).await?;
            }
        }
        if !is_same(&both_file, &next.clusters) {
            self.step(&Kind::clusters(), &next.clusters).await?;
        }
        Ok(())
    }

    /// Back to what was confirmed last, after Envoy has rejected something.
    async fn retreat(&mut self) -> Result<(), RolloutError> {
        let confirmed = self.files.clone();
        for (kind, resource) in [
            (Kind::filter(), &confirmed.filter),
            (Kind::listeners(), &confirmed.listeners),
            (Kind::routes(), &confirmed.routes),
        ] {
            self.step(&kind, resource).await?;
        }
        self.write_endpoints(&confirmed)?;
        self.step(&Kind::clusters(), &confirmed.clusters).await?;
        self.is_unconfirmed = false;
        Ok(())
    }

    /// Endpoints come first: a cluster is loaded only once it has them.
    fn write_endpoints(&mut self, next: &EnvoyFiles) -> io::Result<()> {
        for (cluster, endpoints) in &next.endpoints {
            if self.endpoints.get(cluster) != Some(&endpoints.version) {
                write_atomically(&self.layout.endpoints(cluster), &endpoints.json)?;
                self.endpoints.insert(cluster.clone(), endpoints.version.clone());
            }
        }
        Ok(())
    }

    /// Writes one file, unless it is so already, and waits until Envoy holds
    /// what it says.
    async fn step(&self, kind: &Kind, next: &Resource) -> Result<(), RolloutError> {
        const WARMING: &str = "cluster_manager.warming_clusters";
        let unconfirmed = |cause: String| RolloutError::Unconfirmed { what: kind.what, cause };
        let Some(admin) = &self.admin else { return Err(unconfirmed("it has not started".into())) };
        let (version, rejected) = (kind.version(), kind.rejected());
        let before =
            admin.stats(&[&rejected]).await.map_err(|error| unconfirmed(format!("{error:#}")))?;
        let path = (kind.file)(&self.layout);
        if !fs::read(&path).is_ok_and(|written| written == next.json.as_bytes()) {
            write_atomically(&path, &next.json)?;
        }
        let deadline = Instant::now() + STEP_PATIENCE;
        loop {
            let cause = match admin.stats(&[&version, &rejected, WARMING]).await {
                Ok(stats) => {
                    let is_warm = stats.get(WARMING).is_none_or(|warming| warming == "0");
                    if stats.get(&version) == Some(&next.version) && is_warm {
                        return Ok(());
                    }
                    if stats.get(&rejected) != before.get(&rejected) {
                        return Err(RolloutError::Rejected(kind.what));
                    }
                    "it takes too long".into()
                }
                Err(error) => format!("{error:#}"),
            };
            if Instant::now() > deadline {
                return Err(unconfirmed(cause));
            }
            sleep(POLL_PERIOD).await;
        }
    }
}

/// The clusters of `next`, and those of `now` that it no longer has.
fn union(next: &[Cluster], now: &[Cluster]) -> Vec<Cluster> {
    let gone = now.iter().filter(|cluster| next.iter().all(|kept| kept.name != cluster.name));
    let mut all: Vec<_> = next.iter().chain(gone).cloned().collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

fn versions(files: &EnvoyFiles) -> BTreeMap<String, String> {
    files
        .endpoints
        .iter()
        .map(|(cluster, resource)| (cluster.clone(), resource.version.clone()))
        .collect()
}

async fn pause(deadline: Instant, what: &str) -> anyhow::Result<()> {
    anyhow::ensure!(
        Instant::now() < deadline,
        "envoy did not {what} within {} s",
        START_PATIENCE.as_secs()
    );
    sleep(POLL_PERIOD).await;
    Ok(())
}
