//! The files that Envoy reads.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::bootstrap::Bootstrap;
use super::clusters::{Cluster, ClusterLoadAssignment, ClusterMessage, Discovery};
use super::extension::FilterConfig;
use super::listeners::{ConnectionManagerOptions, Listener};
use super::routes::RouteConfiguration;
use super::wire::{DiscoveryResponse, Message};
use crate::compile::{Compiled, revision};
use crate::hex::hex;
use crate::settings::Settings;

/// The addresses to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listening {
    /// For HTTP.
    pub http: SocketAddr,
    /// For the admin interface, which whoever reaches it controls Envoy by.
    pub admin: SocketAddr,
}

/// Where the files lie, as Envoy sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    folder: PathBuf,
}

impl Layout {
    /// All in `folder`; the endpoints in a folder `eds` within it.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// What Envoy is started with.
    pub fn bootstrap(&self) -> PathBuf {
        self.folder.join("bootstrap.json")
    }

    /// Listeners (LDS).
    pub fn listeners(&self) -> PathBuf {
        self.folder.join("lds.json")
    }

    /// The route configuration (RDS).
    pub fn routes(&self) -> PathBuf {
        self.folder.join("rds.json")
    }

    /// Clusters (CDS).
    pub fn clusters(&self) -> PathBuf {
        self.folder.join("cds.json")
    }

    /// The filter's configuration (ECDS).
    pub fn filter(&self) -> PathBuf {
        self.folder.join("ecds.json")
    }

    /// The folder of the endpoints (EDS).
    pub fn endpoints_folder(&self) -> PathBuf {
        self.folder.join("eds")
    }

    /// The endpoints of one cluster. Names of clusters may be longer than those
    /// of files, and hold what these must not.
    pub fn endpoints(&self, cluster: &str) -> PathBuf {
        let hash = hex(&Sha256::digest(cluster)[..6]);
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
        let readable: String =
            cluster.chars().take(100).map(|c| if is_plain(c) { c } else { '_' }).collect();
        self.endpoints_folder().join(format!("{readable}-{hash}.json"))
    }

    /// Whether the file at `path` holds the endpoints of a cluster, written
    /// by [`EnvoyFiles`].
    pub fn is_endpoints(&self, path: &Path) -> bool {
        let content = std::fs::read(path).unwrap_or_default();
        let content: serde_json::Value = serde_json::from_slice(&content).unwrap_or_default();
        let cluster = content["resources"][0]["cluster_name"].as_str();
        cluster.is_some_and(|cluster| self.endpoints(cluster) == path)
    }

    /// The route table by itself, for people and tools.
    pub fn table(&self) -> PathBuf {
        self.folder.join("route-table.json")
    }

    /// The module.
    pub fn module(&self) -> PathBuf {
        self.folder.join("ingress_filter.wasm")
    }
}

/// The content of a file of dynamic resources, and the version that Envoy
/// reports once it has taken it in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// The file's content.
    pub json: String,
    /// Its `version_info`: the same for the same content.
    pub version: String,
}

/// The content of all files but the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvoyFiles {
    /// See [`Layout::bootstrap`].
    pub bootstrap: String,
    /// See [`Layout::listeners`].
    pub listeners: Resource,
    /// See [`Layout::routes`].
    pub routes: Resource,
    /// See [`Layout::clusters`].
    pub clusters: Resource,
    /// See [`Layout::endpoints`]; by cluster.
    pub endpoints: BTreeMap<String, Resource>,
    /// See [`Layout::filter`].
    pub filter: Resource,
    /// See [`Layout::table`].
    pub table: String,
}

impl EnvoyFiles {
    /// The files for `compiled`, to lie at `layout`.
    pub fn new(
        compiled: &Compiled,
        settings: &Settings,
        listening: Listening,
        layout: &Layout,
    ) -> Self {
        let (routes, filter) = (layout.routes(), layout.filter());
        let options = ConnectionManagerOptions {
            routes: &routes,
            filter: &filter,
            trusted_hops: settings.trusted_hops,
            access_log: settings.access_log,
        };
        let table = serde_json::to_string(&compiled.table).unwrap_or_default();
        Self {
            bootstrap: pretty(&Bootstrap::new(
                listening.admin,
                &layout.listeners(),
                &layout.clusters(),
            )),
            listeners: Resource::new(vec![Listener::http(listening.http, options)]),
            routes: Resource::new(vec![RouteConfiguration::new(&compiled.table)]),
            clusters: Self::clusters(&compiled.clusters, layout),
            endpoints: compiled
                .clusters
                .iter()
                .filter(|cluster| matches!(cluster.discovery, Discovery::Addresses(_)))
                .map(|cluster| {
                    (cluster.name.clone(), Resource::new(vec![ClusterLoadAssignment::new(cluster)]))
                })
                .collect(),
            filter: Resource::new(vec![FilterConfig::new(&layout.module(), table)]),
            table: pretty(&compiled.table),
        }
    }

    /// The clusters file for `clusters`.
    pub fn clusters<'c>(
        clusters: impl IntoIterator<Item = &'c Cluster>,
        layout: &Layout,
    ) -> Resource {
        let message =
            |cluster: &Cluster| ClusterMessage::new(cluster, &layout.endpoints(&cluster.name));
        Resource::new(clusters.into_iter().map(message).collect())
    }

    /// Every file with its content, in no order that Envoy could rely on.
    pub fn all<'f>(&'f self, layout: &Layout) -> Vec<(PathBuf, &'f str)> {
        let endpoints = self
            .endpoints
            .iter()
            .map(|(cluster, resource)| (layout.endpoints(cluster), resource.json.as_str()));
        let mut files = vec![
            (layout.bootstrap(), self.bootstrap.as_str()),
            (layout.listeners(), &self.listeners.json),
            (layout.routes(), &self.routes.json),
            (layout.clusters(), &self.clusters.json),
            (layout.filter(), &self.filter.json),
            (layout.table(), &self.table),
        ];
        files.extend(endpoints);
        files
    }
}

impl Resource {
    fn new<T: Message>(messages: Vec<T>) -> Self {
        let resources: Vec<_> = messages.into_iter().map(Message::into_any).collect();
        let version = revision(&resources);
        let json = pretty(&DiscoveryResponse { version_info: version.clone(), resources });
        Self { json, version }
    }
}

/// Writes `content` to `path` such that whoever reads it sees the old content
/// or the new, never a part: Envoy takes a file in when it is renamed.
///
/// # Errors
/// Where the folder cannot be written to.
pub fn write_atomically(path: &Path, content: impl AsRef<[u8]>) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    // Readable for whom the umask allows: Envoy may run as another user.
    let mut file = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o666))
        .tempfile_in(folder)?;
    std::io::Write::write_all(&mut file, content.as_ref())?;
    file.persist(path)?;
    Ok(())
}

fn pretty(value: &impl Serialize) -> String {
    // Our own types have string keys and no other failure.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}
