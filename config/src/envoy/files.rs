//! The configuration files of an Envoy without a controller, and their paths.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use ingress_filter::LoadError;
use prost::Message;
use serde::Serialize;
use serde_json::Value;
use thiserror::Error;

use super::Delivery;
use super::admin::Admin;
use super::bootstrap::{Bootstrap, collector};
use super::clusters::ClusterMessage;
use super::core::ConfigSource;
use super::filter::filter_config;
use super::listeners::Listener;
use super::manager::ConnectionManagerOptions;
use super::message::{Any, Typed};
use super::routes::RouteConfiguration;
use super::tls::TlsSource;
use super::tracing::COLLECTOR;
use crate::digest::digest_of;
use crate::files::{check_file, check_folder, write_if_changed};
use crate::model::Gateway;
use crate::settings::{Memory, Settings, Tracing};

/// The listen addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listening {
    /// For HTTP.
    pub http: SocketAddr,
    /// For HTTPS, if there is any certificate.
    pub https: SocketAddr,
    /// For the admin interface, whose clients can control Envoy.
    pub admin: Admin,
    /// For readiness probes.
    pub probe: Option<SocketAddr>,
}

/// The paths of the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    folder: PathBuf,
}

impl Layout {
    /// The files for `gateway` in `layout`.
    ///
    /// # Errors
    /// If the filter would reject the table, or a message cannot be written as
    /// JSON. Both are bugs.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The folder of all files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file to which Envoy writes the address of its admin interface.
    pub fn admin_address(&self) -> PathBuf {
        self.folder.join("admin-address")
    }

    /// The bootstrap configuration.
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

    /// The socket of the xDS server.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("xds.sock")
    }

    /// The socket of the admin interface.
    pub fn admin_socket(&self) -> PathBuf {
        self.folder.join("admin.sock")
    }

    /// The folder of certificates, which only the owner may read.
    pub fn certificates(&self) -> PathBuf {
        self.folder.join("certificates")
    }

    /// The last state of Envoy, for the next controller; readable only for the
    /// owner, in a folder with the same permissions.
    pub fn snapshot(&self) -> PathBuf {
        self.folder.join("state").join("snapshot.pb")
    }

    /// The route table, as a separate file.
    pub fn table(&self) -> PathBuf {
        self.folder.join("route-table.json")
    }

    /// The module.
    pub fn module(&self) -> PathBuf {
        self.folder.join("ingress_filter.wasm")
    }
}

/// Writes the files that an Envoy with this memory needs to start and to wait for
/// a controller. A folder that was prepared before is kept, if no other user
/// created it.
///
/// # Errors
/// If the folder is not writable, other users may write to it, or it cannot
/// contain sockets.
pub(crate) fn prepare(
    layout: &Layout,
    listening: Listening,
    memory: Option<Memory>,
    tracing: Option<&Tracing>,
) -> io::Result<()> {
    for socket in [layout.socket(), layout.admin_socket()] {
        check_socket(&socket).map_err(io::Error::other)?;
    }
    fs::create_dir_all(layout.folder())?;
    check_folder(layout.folder())?;
    match check_file(&layout.bootstrap()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        checked => {
            checked?;
            return check_file(&layout.module());
        }
    }
    write_if_changed(&layout.module(), crate::MODULE)?;
    // The bootstrap comes last, because it refers to the other files.
    let bootstrap =
        pretty(&Bootstrap::new(listening.admin, memory, layout, (Delivery::Stream, tracing)))?;
    write_if_changed(&layout.bootstrap(), bootstrap)
}

/// A folder that was prepared with other settings. Envoy reads the address of the collector at
/// its start only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum StaleCollector {
    /// It would reject a listener that sends traces.
    #[error(
        "bootstrap.json in it was written without the collector in the setting tracing; use a new \
         folder, which in Kubernetes a new pod has, and start Envoy again"
    )]
    Missing,
    #[error(
        "bootstrap.json in it was written for another collector than that in the setting tracing; \
         use a new folder, which in Kubernetes a new pod has, and start Envoy again"
    )]
    Other,
}

/// Checks that the Envoy of a prepared folder knows the collector of traces.
///
/// # Errors
/// If it knows none, or another one.
pub(crate) fn check_collector(
    layout: &Layout,
    tracing: Option<&Tracing>,
) -> Result<(), StaleCollector> {
    let Some(tracing) = tracing else { return Ok(()) };
    let bootstrap = fs::read(layout.bootstrap()).unwrap_or_default();
    let bootstrap: Value = serde_json::from_slice(&bootstrap).unwrap_or_default();
    let clusters = bootstrap["static_resources"]["clusters"].as_array();
    let known = clusters.into_iter().flatten().find(|cluster| cluster["name"] == COLLECTOR);
    let known = known.ok_or(StaleCollector::Missing)?;
    let expected = serde_json::to_value(collector(tracing)).unwrap_or_default();
    let is_same = known["load_assignment"] == expected["load_assignment"];
    if is_same { Ok(()) } else { Err(StaleCollector::Other) }
}

/// The longest path of a Unix socket: the kernel has 108 bytes, including the
/// final 0.
const LONGEST_SOCKET: usize = 107;

/// The path of a socket is too long.
#[derive(Debug, Error)]
#[error(
    "the path of {name} in it would have {len} bytes, but a Unix socket can have at most \
     {LONGEST_SOCKET}; choose a folder with a shorter path"
)]
struct LongSocket {
    name: String,
    len: usize,
}

fn check_socket(path: &Path) -> Result<(), LongSocket> {
    let len = path.as_os_str().len();
    if len <= LONGEST_SOCKET {
        return Ok(());
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Err(LongSocket { name, len })
}

/// The reason why there are no files for a gateway.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FilesError {
    /// The filter would reject the table.
    #[error("the route table is invalid: {0}")]
    Table(#[from] Arc<LoadError>),
    /// A message cannot be written as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// The content of all files except the module and the certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvoyFiles(Vec<(PathBuf, String)>);

impl EnvoyFiles {
    /// The files for `gateway` with these paths.
    ///
    /// # Errors
    /// If the filter would reject the table, or a message cannot be written as JSON. Both
    /// are bugs.
    pub fn new(
        gateway: &Gateway,
        settings: &Settings,
        listening: Listening,
        layout: &Layout,
    ) -> Result<Self, FilesError> {
        let options = ConnectionManagerOptions {
            routes: ConfigSource::file(&layout.routes()),
            filter: ConfigSource::file(&layout.filter()),
            settings,
        };
        let source = TlsSource::Files(layout, &gateway.upstream_secrets);
        let http = Listener::http(listening.http, &options);
        let https = gateway.https.as_ref();
        let https = https.map(|https| Listener::https(listening.https, https, &options, source));
        let listeners: Vec<_> = std::iter::once(http).chain(https).collect();
        let clusters = gateway.clusters.values();
        let clusters: Vec<_> =
            clusters.map(|cluster| ClusterMessage::new(cluster, source)).collect();
        let filter = filter_config(&layout.module(), gateway.table.flat()?);
        let bootstrap = Bootstrap::new(
            listening.admin,
            settings.envoy_memory,
            layout,
            (Delivery::Files, settings.tracing.as_ref()),
        );
        Ok(Self(vec![
            (layout.bootstrap(), pretty(&bootstrap)?),
            (layout.listeners(), response(listeners)?),
            (
                layout.routes(),
                response(vec![RouteConfiguration::new(
                    &gateway.table,
                    settings.stream_idle_timeout,
                )])?,
            ),
            (layout.clusters(), response(clusters)?),
            (layout.filter(), response(vec![filter])?),
            (layout.table(), pretty(&**gateway.table)?),
        ]))
    }

    /// Writes all files and the module.
    ///
    /// # Errors
    /// If the folder is not writable.
    pub fn write(&self, layout: &Layout) -> io::Result<()> {
        write_if_changed(&layout.module(), crate::MODULE)?;
        self.0.iter().try_for_each(|(path, content)| write_if_changed(path, content))
    }

    /// All files with their content, in an arbitrary order.
    pub fn all(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.0.iter().map(|(path, content)| (&**path, &**content))
    }
}

/// `discovery.v3.DiscoveryResponse`, with a version derived from the content.
fn response<T: Typed>(resources: Vec<T>) -> Result<String, serde_json::Error> {
    #[derive(Serialize)]
    struct Response<T: Typed> {
        version_info: String,
        resources: Vec<Any<T>>,
    }
    let bytes: Vec<u8> = resources.iter().flat_map(Message::encode_to_vec).collect();
    let resources = resources.into_iter().map(Any).collect();
    pretty(&Response { version_info: digest_of(&bytes), resources })
}

fn pretty(value: &impl Serialize) -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}
