//! Brings a running Envoy from one configuration to the next, without a
//! request in between that finds its cluster missing: a table may name a
//! cluster only once Envoy has loaded it, and a cluster may go only once no
//! table names it. Each step is confirmed on the admin port before the next.
//!
//! Likewise, a table may name a host's certificate only while Envoy has that
//! for it: in between, hosts whose certificate is about to be another are in
//! neither, so that no request is told that it came by a wrong connection.
//!
//! While a step is not confirmed, Envoy may hold its old configuration or its
//! new one. Then every cluster that either names stays, and the next attempt
//! asks Envoy what it holds instead of trusting what was written. That is how
//! it begins as well, since whoever filled the folder may have been killed in
//! the middle: the clusters file names all that any table on its way names.

mod admin;
mod kind;
mod supplies;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use std::{fs, io};

use anyhow::Context;
use ingress_filter::RouteTable;
use ingress_filter::table::TlsHost;
use thiserror::Error;
use tokio::time::sleep;

use crate::compile::Compiled;
use crate::envoy::{
    Cluster, Endpoints, EnvoyFiles, HTTP_LISTENER, HTTPS_LISTENER, KeyPairs, Layout, LeftCluster,
    Listening, Resource, STAT_PREFIX, Supply, remove_unfinished, write_atomically,
    write_if_changed,
};
use crate::settings::Settings;
use crate::xds::ResourceServer;

use admin::Admin;
use kind::Kind;
use supplies::Supplies;

/// How long Envoy may take to start.
const START_PATIENCE: Duration = Duration::from_mins(1);

/// How long Envoy may take to take a step in.
const STEP_PATIENCE: Duration = Duration::from_secs(15);

/// How often the admin port is asked.
const POLL_PERIOD: Duration = Duration::from_millis(5);

/// Makes a folder such that an Envoy can start on it, with nothing to serve
/// yet. One that has been made so before is left as it is.
///
/// # Errors
/// Where the folder cannot be written to.
pub(crate) fn prepare(layout: &Layout, listening: Listening) -> anyhow::Result<()> {
    let prepare = || {
        fs::create_dir_all(layout.folder())?;
        if layout.bootstrap().exists() {
            return Ok(());
        }
        // The bootstrap comes last, for it says that the rest is there.
        let files = EnvoyFiles::empty(listening, layout);
        EnvoyFiles { bootstrap: String::new(), ..files.clone() }.write(layout)?;
        write_atomically(&layout.bootstrap(), files.bootstrap)
    };
    prepare().with_context(|| format!("folder {}", layout.folder().display()))
}

/// What runs now, and how to get on from there.
pub(crate) struct Rollout {
    settings: Settings,
    listening: Listening,
    layout: Layout,
    admin: Admin,
    /// The configuration that was last confirmed, or was found.
    files: EnvoyFiles,
    /// Whether Envoy may hold something else than `files`.
    is_unconfirmed: bool,
    /// The clusters that a table may name which Envoy may hold.
    clusters: Vec<Cluster>,
    /// The hosts with certificates of the table that was last confirmed.
    tls_hosts: Option<Vec<TlsHost>>,
    /// Further ones, of an earlier process.
    left_clusters: Vec<LeftCluster>,
    /// What Envoy is told by the server, as it is written down.
    supplies: Supplies,
    server: ResourceServer,
}

/// What a rollout changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Nothing,
    /// Endpoints or clusters, not what is exposed.
    Upstreams,
    /// Certificates, or the hosts that they are for.
    Certificates,
    RouteTable,
}

impl Change {
    /// Its name in logs and metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Upstreams => "upstreams",
            Self::Certificates => "certificates",
            Self::RouteTable => "route_table",
        }
    }
}

/// Why a rollout did not come to its end.
#[derive(Debug, Error)]
pub(crate) enum RolloutError {
    /// Envoy holds what it held before.
    #[error("envoy rejected the new {0}")]
    Rejected(&'static str),
    /// It is not known what Envoy holds.
    #[error("it is not certain that envoy has taken in the new {what}: {cause}")]
    Unconfirmed { what: &'static str, cause: String },
    #[error("the configuration cannot be written: {0}")]
    Write(#[from] io::Error),
}

/// The addresses of Envoy, now that it listens.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// For HTTP.
    pub http: SocketAddr,
    /// For HTTPS, if there is any certificate.
    pub https: Option<SocketAddr>,
    /// For the admin interface.
    pub admin: SocketAddr,
}

impl Rollout {
    /// For the Envoy that runs, or will run, on a folder made by [`prepare`].
    ///
    /// To be called within a runtime, in which it serves what Envoy discovers.
    ///
    /// # Errors
    /// Where the folder cannot be read or written.
    pub(crate) fn new(
        layout: Layout,
        listening: Listening,
        settings: Settings,
    ) -> anyhow::Result<Self> {
        let begin = || {
            remove_unfinished(layout.folder())?;
            write_if_changed(&layout.module(), crate::MODULE)?;
            remove_unfinished(&layout.certificates())?;
            let supplies = Supplies::read(&layout);
            let server = ResourceServer::start(&layout.socket())?;
            server.set(&supplies.endpoints, &supplies.secrets);
            io::Result::Ok((server, supplies))
        };
        let (server, supplies) =
            begin().with_context(|| format!("folder {}", layout.folder().display()))?;
        let files = EnvoyFiles::read(&layout);
        Ok(Self {
            settings,
            listening,
            admin: Admin::new(layout.admin_address()),
            layout,
            is_unconfirmed: true,
            clusters: Vec::new(),
            tls_hosts: None,
            left_clusters: files.left_clusters(),
            supplies,
            server,
            files,
        })
    }

    /// Whether there are certificates that Envoy is told of, at the start those
    /// of an earlier process.
    pub(crate) fn has_certificates(&self) -> bool {
        !self.supplies.secrets.is_empty()
    }

    /// Waits until Envoy has started, and listens where there is a listener.
    pub(crate) async fn wait_until_started(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_PATIENCE;
        while !self.admin.is_ready().await.unwrap_or(false) {
            let seconds = START_PATIENCE.as_secs();
            anyhow::ensure!(Instant::now() < deadline, "envoy did not start within {seconds} s");
            sleep(POLL_PERIOD).await;
        }
        Ok(())
    }

    /// The Envoy that this is about.
    pub(crate) fn envoy(&self) -> EnvoyHandle {
        EnvoyHandle(self.admin.clone())
    }

    /// Brings Envoy to `compiled`, or leaves it where it is.
    pub(crate) async fn apply(&mut self, compiled: &Compiled) -> Result<Change, RolloutError> {
        let supply = Supply::Server;
        let next = EnvoyFiles::new(compiled, &self.settings, self.listening, &self.layout, supply);
        let supplies = Supplies::of(compiled);
        if next == self.files && supplies == self.supplies && !self.is_unconfirmed {
            return Ok(Change::Nothing);
        }
        let change = self.change(&next, &supplies);
        let earlier = self.supplies.secrets.clone();
        let result = self.advance(&next, compiled, &supplies).await;
        if let Err(RolloutError::Rejected(_)) = &result {
            self.retreat(earlier).await?;
        }
        result?;
        self.server.forget_all_but(&supplies.endpoints, &supplies.secrets);
        self.keep(supplies)?;
        self.files = next;
        self.clusters.clone_from(&compiled.clusters);
        self.tls_hosts = Some(compiled.table.tls_hosts.clone());
        self.left_clusters.clear();
        self.is_unconfirmed = false;
        Ok(change)
    }

    fn change(&self, next: &EnvoyFiles, supplies: &Supplies) -> Change {
        if next.filter != self.files.filter {
            Change::RouteTable
        } else if supplies.secrets != self.supplies.secrets
            || next.listeners != self.files.listeners
        {
            Change::Certificates
        } else {
            Change::Upstreams
        }
    }

    /// Clusters, their endpoints and certificates, then what names them, then the removal of
    /// those that nothing names any more.
    async fn advance(
        &mut self,
        next: &EnvoyFiles,
        compiled: &Compiled,
        supplies: &Supplies,
    ) -> Result<(), RolloutError> {
        let was_confirmed = !std::mem::replace(&mut self.is_unconfirmed, true);
        let is_same =
            |now: &Resource, next: &Resource| was_confirmed && now.version == next.version;
        let rejections = self.server.rejections();
        // Those of clusters and listeners that are on their way out stay.
        self.keep(supplies.joined_with(&self.supplies))?;
        self.server.set(&supplies.endpoints, &supplies.secrets);
        let both_file = self.join_clusters(&compiled.clusters);
        if !is_same(&self.files.clusters, &both_file) {
            self.step(&Kind::clusters(), &both_file).await?;
        }
        if !was_confirmed && !self.is_listening().await? {
            self.open(next).await?;
        }
        if !is_same(&self.files.routes, &next.routes) {
            self.step(&Kind::routes(), &next.routes).await?;
        }
        if !is_same(&self.files.listeners, &next.listeners) {
            if let Some(between) = self.filter_between(&compiled.table) {
                self.step(&Kind::filter(), &between).await?;
            }
            self.step(&Kind::listeners(), &next.listeners).await?;
        }
        if !is_same(&self.files.filter, &next.filter) {
            self.step(&Kind::filter(), &next.filter).await?;
        }
        if !is_same(&both_file, &next.clusters) {
            self.step(&Kind::clusters(), &next.clusters).await?;
        }
        if !self.server.taken(STEP_PATIENCE).await {
            return Err(unconfirmed("endpoints and certificates", "it takes too long".into()));
        }
        self.check_supplies(rejections)
    }

    /// The filter's configuration while listeners change, where that is another:
    /// the table to come, with the certificates that stay.
    fn filter_between(&self, next: &RouteTable) -> Option<Resource> {
        let before = self.tls_hosts.as_ref().filter(|before| **before != next.tls_hosts)?;
        let tls_hosts = staying(before, &next.tls_hosts);
        let name = format!("{} between", next.name);
        let table = RouteTable { name, tls_hosts, ..next.clone() };
        Some(EnvoyFiles::filter(&table, &self.layout))
    }

    /// Whether Envoy has refused more of what the server tells than
    /// `rejections`.
    fn check_supplies(&self, rejections: u64) -> Result<(), RolloutError> {
        if self.server.rejections() > rejections {
            return Err(RolloutError::Rejected("endpoints or certificates"));
        }
        Ok(())
    }

    /// Whether Envoy has a listener, which asks for routes and the filter.
    async fn is_listening(&self) -> Result<bool, RolloutError> {
        let names = [Kind::routes().version(), Kind::filter().version()];
        let stats = self.admin.stats(&[&names[0], &names[1]]).await;
        let cause = |error| format!("{error:#}");
        let stats = stats.map_err(|error| unconfirmed("listeners", cause(error)))?;
        Ok(stats.len() == names.len())
    }

    /// The first listener: what it asks for is there before it is, and it
    /// listens once it has it.
    async fn open(&self, next: &EnvoyFiles) -> Result<(), RolloutError> {
        for (kind, resource) in [(Kind::routes(), &next.routes), (Kind::filter(), &next.filter)] {
            write_if_changed(&kind.file(&self.layout), &resource.json)?;
        }
        self.step(&Kind::listeners(), &next.listeners).await?;
        // Nothing was rejected yet when nobody had asked.
        let before = Some(0);
        self.confirm(&Kind::routes(), &next.routes, before).await?;
        self.confirm(&Kind::filter(), &next.filter, before).await
    }

    /// Back to what was confirmed last, after Envoy has rejected something.
    /// Endpoints stay, for they say where upstreams are, whatever is exposed.
    async fn retreat(&mut self, secrets: KeyPairs) -> Result<(), RolloutError> {
        self.server.set(&Endpoints::new(), &secrets);
        let earlier = Supplies { secrets, endpoints: Endpoints::new() };
        self.keep(earlier.joined_with(&self.supplies))?;
        for (kind, resource) in [
            (Kind::filter(), &self.files.filter),
            (Kind::listeners(), &self.files.listeners),
            (Kind::routes(), &self.files.routes),
            (Kind::clusters(), &self.files.clusters),
        ] {
            if !resource.is_absent() {
                self.step(&kind, resource).await?;
            }
        }
        self.is_unconfirmed = false;
        Ok(())
    }

    /// The clusters file with `clusters` and all that a table may still name.
    fn join_clusters(&mut self, clusters: &[Cluster]) -> Resource {
        let known: BTreeSet<_> = clusters.iter().map(|cluster| &*cluster.name).collect();
        let is_gone = |name: &str| !known.contains(name);
        self.clusters.retain(|cluster| is_gone(&cluster.name));
        self.left_clusters.retain(|left| is_gone(&left.name));
        self.clusters.extend_from_slice(clusters);
        self.clusters.sort_by(|a, b| a.name.cmp(&b.name));
        EnvoyFiles::clusters(&self.clusters, &self.left_clusters, Supply::Server)
    }

    /// Writes supplies down, for whoever follows us.
    fn keep(&mut self, supplies: Supplies) -> io::Result<()> {
        supplies.write(&self.layout, &self.supplies)?;
        self.supplies = supplies;
        Ok(())
    }

    /// Writes one file, unless it is so already, and waits until Envoy holds
    /// what it says.
    async fn step(&self, kind: &Kind, next: &Resource) -> Result<(), RolloutError> {
        let rejected = kind.rejected();
        let before = self.admin.stats(&[&rejected]).await;
        let before = before.map_err(|error| unconfirmed(kind.what, format!("{error:#}")))?;
        write_if_changed(&kind.file(&self.layout), &next.json)?;
        self.confirm(kind, next, count(before.get(&rejected))).await
    }

    /// Waits until Envoy holds what `next` says, or has rejected more than
    /// `before`.
    async fn confirm(
        &self,
        kind: &Kind,
        next: &Resource,
        before: Option<u64>,
    ) -> Result<(), RolloutError> {
        let (version, rejected, warming) = (kind.version(), kind.rejected(), kind.warming);
        let deadline = Instant::now() + STEP_PATIENCE;
        let rejections = self.server.rejections();
        loop {
            // A listener does not get warm without its certificates.
            self.check_supplies(rejections)?;
            let cause = match self.admin.stats(&[&version, &rejected, warming]).await {
                Ok(stats) => {
                    let is_warm = stats.get(warming).is_none_or(|warming| warming == "0");
                    if stats.get(&version) == Some(&next.version) && is_warm {
                        return Ok(());
                    }
                    // An Envoy that was restarted counts from 0 again.
                    if count(stats.get(&rejected)) > before {
                        return Err(RolloutError::Rejected(kind.what));
                    }
                    "it takes too long".into()
                }
                Err(error) => format!("{error:#}"),
            };
            if Instant::now() > deadline {
                return Err(unconfirmed(kind.what, cause));
            }
            sleep(POLL_PERIOD).await;
        }
    }
}

/// A running Envoy, apart from what it serves.
#[derive(Clone)]
pub(crate) struct EnvoyHandle(Admin);

impl EnvoyHandle {
    /// Where it listens, if it does and has a table.
    pub(crate) async fn ready(&self) -> anyhow::Result<Option<Ready>> {
        let version = Kind::filter().version();
        let stats = self.0.stats(&[&version]).await?;
        if stats.get(&version).is_none_or(String::is_empty) {
            return Ok(None);
        }
        let http = self.0.listener(HTTP_LISTENER).await?;
        let https = self.0.listener(HTTPS_LISTENER).await?;
        let admin = self.0.address()?;
        Ok(http.map(|http| Ready { http, https, admin }))
    }

    /// Whether it is up, and has taken in all it started with.
    pub(crate) async fn is_live(&self) -> bool {
        self.0.is_ready().await.unwrap_or(false)
    }

    /// Lets clients finish what they have begun, and asks them to come back
    /// elsewhere; after Envoy's drain time it no longer listens.
    pub(crate) async fn drain(&self) -> anyhow::Result<()> {
        self.0.post("/drain_listeners?graceful&skip_exit").await
    }

    /// How many clients are connected.
    pub(crate) async fn connections(&self) -> anyhow::Result<u64> {
        let name = format!("http.{STAT_PREFIX}.downstream_cx_active");
        let stats = self.0.stats(&[&name]).await?;
        Ok(count(stats.get(&name)).unwrap_or(0))
    }

    /// Ends it.
    pub(crate) async fn quit(&self) -> anyhow::Result<()> {
        self.0.post("/quitquitquit").await
    }
}

/// The hosts whose certificate is the same in both.
fn staying(before: &[TlsHost], next: &[TlsHost]) -> Vec<TlsHost> {
    let pairs = |groups: &'_ [TlsHost]| -> BTreeSet<(String, String)> {
        let pairs = groups.iter().flat_map(|group| {
            group.hosts.iter().map(|host| (group.certificate.clone(), host.clone()))
        });
        pairs.collect()
    };
    let (before, next) = (pairs(before), pairs(next));
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (certificate, host) in before.intersection(&next).cloned() {
        groups.entry(certificate).or_default().push(host);
    }
    groups.into_iter().map(|(certificate, hosts)| TlsHost { hosts, certificate }).collect()
}

fn unconfirmed(what: &'static str, cause: String) -> RolloutError {
    RolloutError::Unconfirmed { what, cause }
}

fn count(value: Option<&String>) -> Option<u64> {
    value?.parse().ok()
}
