//! Brings a running Envoy from one configuration to the next, without a
//! request in between that finds its cluster missing: a table may name a
//! cluster only once Envoy has loaded it, and a cluster may go only once no
//! table names it. Each step is confirmed on the admin port before the next.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::time::sleep;

use super::admin::Admin;
use super::{Options, Ready};
use crate::commands::compile::write_all;
use crate::compile::Compiled;
use crate::envoy::{
    Cluster, EnvoyFiles, FILTER_NAME, Layout, Resource, STAT_PREFIX, write_atomically,
};

/// How long Envoy may take to start, or to take a step in.
const PATIENCE: Duration = Duration::from_mins(1);

/// How often the admin port is asked.
const POLL_PERIOD: Duration = Duration::from_millis(5);

/// What runs now, and how to get on from there.
pub(super) struct Rollout<'a> {
    options: &'a Options,
    layout: Layout,
    admin_address_file: PathBuf,
    bootstrap: PathBuf,
    admin: Option<Admin>,
    clusters: Vec<Cluster>,
    files: EnvoyFiles,
}

/// A kind of resources, by the statistics that tell what became of them.
struct Kind {
    what: &'static str,
    version: String,
    rejected: String,
}

impl Kind {
    fn clusters() -> Self {
        Self::discovered("clusters", "cluster_manager.cds")
    }

    fn routes() -> Self {
        let prefix = format!("http.{STAT_PREFIX}.rds.{}", crate::envoy::ROUTE_CONFIGURATION);
        Self::discovered("route configuration", &prefix)
    }

    fn listeners() -> Self {
        Self::discovered("listeners", "listener_manager.lds")
    }

    fn filter() -> Self {
        let prefix = format!("extension_config_discovery.http_filter.{FILTER_NAME}");
        Self {
            rejected: format!("{prefix}.config_fail"),
            ..Self::discovered("route table", &prefix)
        }
    }

    fn discovered(what: &'static str, prefix: &str) -> Self {
        Self {
            what,
            version: format!("{prefix}.version_text"),
            rejected: format!("{prefix}.update_rejected"),
        }
    }
}

impl<'a> Rollout<'a> {
    /// Writes the files for an Envoy that has yet to start.
    pub(super) fn prepare(
        folder: &Path,
        options: &'a Options,
        compiled: &Compiled,
    ) -> anyhow::Result<Self> {
        let layout = Layout::new(folder);
        let files = EnvoyFiles::new(compiled, &options.settings, options.listening, &layout);
        write_all(&files, &layout).with_context(|| format!("folder {}", folder.display()))?;
        Ok(Self {
            options,
            admin_address_file: folder.join("admin-address"),
            bootstrap: layout.bootstrap(),
            layout,
            admin: None,
            clusters: compiled.clusters.clone(),
            files,
        })
    }

    /// What Envoy is to be started with.
    pub(super) fn bootstrap(&self) -> &Path {
        &self.bootstrap
    }

    /// Where Envoy is to write the address of its admin interface.
    pub(super) fn admin_address_file(&self) -> &Path {
        &self.admin_address_file
    }

    /// Waits until Envoy serves the first table.
    pub(super) async fn wait_until_ready(&mut self) -> anyhow::Result<Ready> {
        let deadline = Instant::now() + PATIENCE;
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
            pause(deadline, "serve").await?;
        };
        let ready = Ready { http, admin: admin.address() };
        self.admin = Some(admin);
        Ok(ready)
    }

    /// Brings Envoy to `compiled`. Says whether there was anything to do.
    pub(super) async fn apply(&mut self, compiled: &Compiled) -> anyhow::Result<bool> {
        let next =
            EnvoyFiles::new(compiled, &self.options.settings, self.options.listening, &self.layout);
        if next == self.files {
            return Ok(false);
        }
        self.write_endpoints(&next)?;
        let both = EnvoyFiles::clusters(union(&compiled.clusters, &self.clusters), &self.layout);
        self.step(&Kind::clusters(), &self.layout.clusters(), &self.files.clusters, &both).await?;
        let rest = self.switch(&next).await;
        if let Err(error) = rest {
            // Back to the clusters of what is still served.
            self.step(&Kind::clusters(), &self.layout.clusters(), &both, &self.files.clusters)
                .await?;
            return Err(error);
        }
        self.step(&Kind::clusters(), &self.layout.clusters(), &both, &next.clusters).await?;
        write_all(&next, &self.layout)?;
        self.files = next;
        self.clusters.clone_from(&compiled.clusters);
        Ok(true)
    }

    /// The steps between the clusters' coming and going.
    async fn switch(&self, next: &EnvoyFiles) -> anyhow::Result<()> {
        let now = &self.files;
        self.step(&Kind::routes(), &self.layout.routes(), &now.routes, &next.routes).await?;
        self.step(&Kind::listeners(), &self.layout.listeners(), &now.listeners, &next.listeners)
            .await?;
        self.step(&Kind::filter(), &self.layout.filter(), &now.filter, &next.filter).await
    }

    /// Endpoints come first: a cluster is loaded only once it has them.
    fn write_endpoints(&self, next: &EnvoyFiles) -> anyhow::Result<()> {
        for (cluster, endpoints) in &next.endpoints {
            if self.files.endpoints.get(cluster) != Some(endpoints) {
                write_atomically(&self.layout.endpoints(cluster), &endpoints.json)?;
            }
        }
        Ok(())
    }

    /// Writes one file and waits until Envoy has taken it in. What Envoy
    /// rejects is undone.
    async fn step(
        &self,
        kind: &Kind,
        path: &Path,
        now: &Resource,
        next: &Resource,
    ) -> anyhow::Result<()> {
        if now.version == next.version {
            return Ok(());
        }
        let admin = self.admin.as_ref().context("envoy has not started yet")?;
        let rejected_before = admin.stats(&[&kind.rejected]).await?.remove(&kind.rejected);
        write_atomically(path, &next.json)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            const WARMING: &str = "cluster_manager.warming_clusters";
            let stats = admin.stats(&[&kind.version, &kind.rejected, WARMING]).await?;
            if stats.get(&kind.version) == Some(&next.version)
                && stats.get(WARMING).is_none_or(|warming| warming == "0")
            {
                return Ok(());
            }
            let is_rejected = stats.get(&kind.rejected) != rejected_before.as_ref();
            if is_rejected || Instant::now() > deadline {
                write_atomically(path, &now.json)?;
                let why = if is_rejected { "rejected" } else { "did not take in" };
                anyhow::bail!("envoy {why} the new {}", kind.what);
            }
            sleep(POLL_PERIOD).await;
        }
    }
}

/// The clusters of `next`, and those of `now` that it no longer has.
fn union<'c>(next: &'c [Cluster], now: &'c [Cluster]) -> Vec<&'c Cluster> {
    let gone = now.iter().filter(|cluster| next.iter().all(|kept| kept.name != cluster.name));
    let mut all: Vec<_> = next.iter().chain(gone).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

async fn pause(deadline: Instant, what: &str) -> anyhow::Result<()> {
    anyhow::ensure!(
        Instant::now() < deadline,
        "envoy did not {what} within {} s",
        PATIENCE.as_secs()
    );
    sleep(POLL_PERIOD).await;
    Ok(())
}
