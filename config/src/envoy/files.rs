//! The files that Envoy reads.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ingress_filter::RouteTable;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::bootstrap::Bootstrap;
use super::clusters::{Cluster, ClusterMessage};
use super::extension::FilterConfig;
use super::listeners::{ConnectionManagerOptions, Listener};
use super::routes::RouteConfiguration;
use super::wire::{Any, DiscoveryResponse, Message};
use super::writing::write_if_changed;
use crate::compile::{Compiled, revision};
use crate::settings::Settings;

/// The addresses to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listening {
    /// For HTTP.
    pub http: SocketAddr,
    /// For HTTPS, where there is any certificate.
    pub https: SocketAddr,
    /// For the admin interface, which whoever reaches it controls Envoy by.
    pub admin: SocketAddr,
}

/// Where the files lie, as Envoy sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    folder: PathBuf,
}

impl Layout {
    /// All in `folder`.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The folder of all of them.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where Envoy is to write the address of its admin interface.
    pub fn admin_address(&self) -> PathBuf {
        self.folder.join("admin-address")
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

    /// The endpoints that are served (EDS), for whoever follows a process that
    /// was killed.
    pub fn endpoints(&self) -> PathBuf {
        self.folder.join("endpoints.json")
    }

    /// The socket at which they are served.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("xds.sock")
    }

    /// The folder of what nobody but the owner may read.
    pub fn certificates(&self) -> PathBuf {
        self.folder.join("certificates")
    }

    /// The certificates that are served (SDS), for whoever follows a process
    /// that was killed.
    pub fn secrets(&self) -> PathBuf {
        self.certificates().join("sds.json")
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resource {
    /// The file's content.
    pub json: String,
    /// Its `version_info`: the same for the same content.
    pub version: String,
}

/// A cluster that an earlier process has left in the file.
#[derive(Clone, Debug)]
pub struct LeftCluster {
    /// Its name.
    pub name: String,
    message: Box<RawValue>,
}

/// Where Envoy has what changes often: the endpoints of clusters, and the
/// certificates of listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supply {
    /// Endpoints are part of the clusters, and certificates are files that
    /// listeners name.
    Files,
    /// A server beside Envoy. They then change without touching clusters and
    /// listeners.
    /// Not files, since Envoy watches each by an inotify instance of its own,
    /// of which a user has 128 by default, and ends where there are no more.
    Server,
}

/// The addresses of clusters, by cluster.
pub type Endpoints = BTreeMap<String, BTreeSet<SocketAddr>>;

/// The content of all files but the module and the endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvoyFiles {
    /// See [`Layout::bootstrap`].
    pub bootstrap: String,
    /// See [`Layout::listeners`].
    pub listeners: Resource,
    /// See [`Layout::routes`].
    pub routes: Resource,
    /// See [`Layout::clusters`].
    pub clusters: Resource,
    /// See [`Layout::filter`].
    pub filter: Resource,
    /// See [`Layout::table`]; empty beside a running Envoy.
    pub table: String,
}

impl EnvoyFiles {
    /// The files for `compiled`, to lie at `layout`.
    pub fn new(
        compiled: &Compiled,
        settings: &Settings,
        listening: Listening,
        layout: &Layout,
        supply: Supply,
    ) -> Self {
        let (routes, filter) = (layout.routes(), layout.filter());
        let options = ConnectionManagerOptions {
            routes: &routes,
            filter: &filter,
            trusted_hops: settings.trusted_hops,
            access_log: settings.access_log,
        };
        let http = Listener::http(listening.http, options);
        let https = compiled.https.as_ref();
        let https =
            https.map(|https| Listener::https(listening.https, https, options, layout, supply));
        Self {
            bootstrap: pretty(&Bootstrap::new(listening.admin, layout, supply)),
            listeners: Resource::new(std::iter::once(http).chain(https).collect()),
            routes: Resource::new(vec![RouteConfiguration::new(&compiled.table)]),
            clusters: Self::clusters(&compiled.clusters, &[], supply),
            filter: Self::filter(&compiled.table, layout),
            table: match supply {
                Supply::Files => pretty(&compiled.table),
                // Nobody reads it beside a running Envoy, where it would be
                // written at each change.
                Supply::Server => String::new(),
            },
        }
    }

    /// The filter's configuration with `table`.
    pub(crate) fn filter(table: &RouteTable, layout: &Layout) -> Resource {
        let table = serde_json::to_string(table).unwrap_or_default();
        Resource::new(vec![FilterConfig::new(&layout.module(), table)])
    }

    /// The clusters file for `clusters` and those that were left.
    pub fn clusters<'c>(
        clusters: impl IntoIterator<Item = &'c Cluster>,
        left: &[LeftCluster],
        source: Supply,
    ) -> Resource {
        #[derive(Serialize)]
        #[serde(untagged)]
        enum Either<'l> {
            Known(Any<ClusterMessage>),
            Left(&'l RawValue),
        }
        let message = |cluster: &Cluster| ClusterMessage::new(cluster, source).into_any();
        let known = clusters.into_iter().map(message).map(Either::Known);
        let left = left.iter().map(|left| Either::Left(&left.message));
        Resource::of(known.chain(left).collect())
    }

    /// The files for an Envoy that starts before there is anything to serve: it
    /// has no listener, so nobody is answered wrongly.
    pub fn empty(listening: Listening, layout: &Layout) -> Self {
        let bootstrap = pretty(&Bootstrap::new(listening.admin, layout, Supply::Server));
        let nothing = Resource::of(Vec::<()>::new());
        Self { bootstrap, listeners: nothing.clone(), clusters: nothing, ..Self::default() }
    }

    /// What an earlier process has left at `layout`. A file that is not there,
    /// or is not ours, is empty.
    pub fn read(layout: &Layout) -> Self {
        let text = |path| fs::read_to_string(path).unwrap_or_default();
        Self {
            bootstrap: text(layout.bootstrap()),
            listeners: Resource::read(&layout.listeners()),
            routes: Resource::read(&layout.routes()),
            clusters: Resource::read(&layout.clusters()),
            filter: Resource::read(&layout.filter()),
            table: String::new(),
        }
    }

    /// The clusters among what an earlier process has left.
    pub fn left_clusters(&self) -> Vec<LeftCluster> {
        #[derive(Deserialize)]
        struct Named {
            name: String,
        }
        let messages: Vec<Box<RawValue>> = self.clusters.messages().unwrap_or_default();
        let left = messages.into_iter().filter_map(|message| {
            let Named { name } = serde_json::from_str(message.get()).ok()?;
            Some(LeftCluster { name, message })
        });
        left.collect()
    }

    /// Writes all files and the module.
    ///
    /// # Errors
    /// Where the folder cannot be written to.
    pub fn write(&self, layout: &Layout) -> io::Result<()> {
        write_if_changed(&layout.module(), crate::MODULE)?;
        for (path, content) in self.all(layout) {
            write_if_changed(&path, content)?;
        }
        Ok(())
    }

    /// Every file with its content, in no order that Envoy could rely on.
    pub fn all<'f>(&'f self, layout: &Layout) -> Vec<(PathBuf, &'f str)> {
        let mut files = vec![
            (layout.bootstrap(), self.bootstrap.as_str()),
            (layout.listeners(), &self.listeners.json),
            (layout.routes(), &self.routes.json),
            (layout.clusters(), &self.clusters.json),
            (layout.filter(), &self.filter.json),
            (layout.table(), &self.table),
        ];
        // Those that an Envoy without listeners has no use for.
        files.retain(|(_, content)| !content.is_empty());
        files
    }
}

impl Resource {
    fn new<T: Message>(messages: Vec<T>) -> Self {
        Self::of(messages.into_iter().map(Message::into_any).collect())
    }

    fn of(resources: Vec<impl Serialize>) -> Self {
        let version = revision(&resources);
        let json = pretty(&DiscoveryResponse { version_info: version.clone(), resources });
        Self { json, version }
    }

    /// What a file holds. Nothing has no version.
    fn read(path: &Path) -> Self {
        #[derive(Deserialize)]
        struct Versioned {
            version_info: String,
        }
        let json = fs::read_to_string(path).unwrap_or_default();
        match serde_json::from_str(&json) {
            Ok(Versioned { version_info: version }) => Self { json, version },
            Err(_) => Self::default(),
        }
    }

    /// The messages in it, if they are such.
    fn messages<M: DeserializeOwned>(&self) -> Option<M> {
        #[derive(Deserialize)]
        struct Response<M> {
            resources: M,
        }
        let Response { resources } = serde_json::from_str(&self.json).ok()?;
        Some(resources)
    }

    /// Whether there is nothing, not even an empty list.
    pub(crate) fn is_absent(&self) -> bool {
        self.json.is_empty()
    }
}

fn pretty(value: &impl Serialize) -> String {
    // Our own types have string keys and no other failure.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}
