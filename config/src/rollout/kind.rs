//! The kinds of resources that a rollout goes through.

use std::path::PathBuf;

use crate::envoy::{FILTER_NAME, Layout, ROUTE_CONFIGURATION, STAT_PREFIX};

/// A kind of resources: its file, and the statistics that tell what became of
/// it.
pub(super) struct Kind {
    pub(super) what: &'static str,
    file: fn(&Layout) -> PathBuf,
    /// What the names of its statistics start with.
    prefix: String,
    /// What its rejections are counted by.
    rejected: &'static str,
    /// The number of things that are accepted, but do not work yet.
    pub(super) warming: &'static str,
}

const WARMING_CLUSTERS: &str = "cluster_manager.warming_clusters";
const WARMING_LISTENERS: &str = "listener_manager.total_listeners_warming";

impl Kind {
    fn new(what: &'static str, file: fn(&Layout) -> PathBuf, prefix: impl Into<String>) -> Self {
        let (prefix, rejected) = (prefix.into(), "update_rejected");
        Self { what, file, prefix, rejected, warming: WARMING_LISTENERS }
    }

    pub(super) fn clusters() -> Self {
        let kind = Self::new("clusters", Layout::clusters, "cluster_manager.cds");
        Self { warming: WARMING_CLUSTERS, ..kind }
    }

    pub(super) fn listeners() -> Self {
        Self::new("listeners", Layout::listeners, "listener_manager.lds")
    }

    pub(super) fn routes() -> Self {
        let prefix = format!("http.{STAT_PREFIX}.rds.{ROUTE_CONFIGURATION}");
        Self::new("route configuration", Layout::routes, prefix)
    }

    pub(super) fn filter() -> Self {
        let prefix = format!("extension_config_discovery.http_filter.{FILTER_NAME}");
        Self { rejected: "config_fail", ..Self::new("route table", Layout::filter, prefix) }
    }

    pub(super) fn file(&self, layout: &Layout) -> PathBuf {
        (self.file)(layout)
    }

    pub(super) fn version(&self) -> String {
        format!("{}.version_text", self.prefix)
    }

    pub(super) fn rejected(&self) -> String {
        format!("{}.{}", self.prefix, self.rejected)
    }
}
