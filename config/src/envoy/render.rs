//! Converts the model to xDS resources.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use ingress_filter::LoadError;
use ingress_filter::table::TlsHost;
use prost::Message;

use super::clusters::{ClusterLoadAssignment, ClusterMessage};
use super::core::ConfigSource;
use super::files::{Layout, Listening};
use super::filter::{FilterConfig, filter_config, table_of};
use super::listeners::Listener;
use super::manager::ConnectionManagerOptions;
use super::resource::{Key, Kind, Named, Resource, Resources};
use super::routes::RouteConfiguration;
use super::tls::{Secret, TlsSource};
use super::{FILTER_NAME, ROUTE_CONFIGURATION};
use crate::certificates::{Authorities, KeyPair};
use crate::model::{Cluster, Clusters, Discovery, Gateway, ServedTable, UpstreamSecrets};
use crate::settings::Settings;

/// The names of secrets by the name of the cluster.
pub(crate) type ClusterSecrets = BTreeMap<Arc<str>, Vec<Arc<str>>>;

/// All resources of an Envoy, and what the rollout needs to know about them.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) resources: Resources,
    /// The names of the endpoints of each cluster, by its name. Other clusters
    /// resolve a name.
    pub(crate) endpoints: Arc<BTreeMap<Arc<str>, Arc<str>>>,
    /// The names of the secrets of each cluster, by its name, if it has any.
    pub(crate) cluster_secrets: Arc<ClusterSecrets>,
    pub(crate) table: Arc<ServedTable>,
    module: PathBuf,
}

impl Target {
    /// The hosts with certificates in the table.
    pub(crate) fn tls_hosts(&self) -> &[TlsHost] {
        &self.table.tls_hosts
    }

    /// Those of these resources that exist.
    pub(crate) fn select(&self, keys: &[Key]) -> Vec<(Key, Resource)> {
        let select =
            |key: &Key| Some((key.clone(), self.resources.get(key.kind, &key.name)?.clone()));
        keys.iter().filter_map(select).collect()
    }

    /// The filter's configuration with the table, but with these hosts.
    ///
    /// # Errors
    /// If the filter would reject the table.
    pub(crate) fn filter_with(&self, tls_hosts: Vec<TlsHost>) -> Result<Resource, LoadError> {
        let table = self.table.with_tls_hosts(tls_hosts)?;
        Ok(Resource::new(&filter_config(&self.module, &table)))
    }

    /// The target of a previous process, if its resources are complete.
    pub(crate) fn recover(resources: Resources, layout: &Layout) -> Option<Self> {
        let filter = resources.get(Kind::Filter, FILTER_NAME)?;
        let config = FilterConfig::decode(filter.body.clone()).ok()?;
        let table = ServedTable::recover(table_of(&config)?).ok()?;
        let (mut endpoints, mut cluster_secrets) = (BTreeMap::new(), ClusterSecrets::new());
        for (name, resource) in resources.of(Kind::Clusters) {
            let Ok(cluster) = ClusterMessage::decode(resource.body.clone()) else { continue };
            let of_cluster = cluster.endpoints_name().map(Arc::from);
            endpoints.extend(of_cluster.map(|endpoints| (Arc::clone(name), endpoints)));
            let secrets: Vec<_> = cluster.secrets().map(Arc::from).collect();
            if !secrets.is_empty() {
                cluster_secrets.insert(Arc::clone(name), secrets);
            }
        }
        Some(Self {
            resources,
            endpoints: Arc::new(endpoints),
            cluster_secrets: Arc::new(cluster_secrets),
            table: Arc::new(table),
            module: layout.module(),
        })
    }
}

/// Renders gateways one after another; unchanged parts are not rendered again.
pub(crate) struct Renderer {
    settings: Settings,
    listening: Listening,
    layout: Layout,
    clusters: RenderedClusters,
    secrets: BTreeMap<String, (SecretContent, Resource)>,
    filter: Option<(Arc<ServedTable>, Resource)>,
}

/// What a secret is rendered from.
#[derive(Clone, PartialEq)]
enum SecretContent {
    Certificate(Arc<KeyPair>),
    Authorities(Arc<Authorities>),
}

impl SecretContent {
    fn render(&self, name: &str) -> Resource {
        Resource::new(&match self {
            Self::Certificate(pair) => Secret::new(name, pair),
            Self::Authorities(authorities) => Secret::of_authorities(name, authorities),
        })
    }
}

/// All clusters as they were last rendered.
#[derive(Default)]
struct RenderedClusters {
    of: Arc<Clusters>,
    each: BTreeMap<String, RenderedCluster>,
    clusters: Arc<Named>,
    endpoints: Arc<Named>,
    /// The names of the endpoints of each cluster.
    asked: Arc<BTreeMap<Arc<str>, Arc<str>>>,
    secrets: Arc<ClusterSecrets>,
}

struct RenderedCluster {
    cluster: Arc<Cluster>,
    resource: Resource,
    endpoints: Option<(Arc<str>, Resource)>,
    secrets: Vec<Arc<str>>,
}

impl Renderer {
    pub(crate) fn new(settings: Settings, listening: Listening, layout: Layout) -> Self {
        Self {
            settings,
            listening,
            layout,
            clusters: RenderedClusters::default(),
            secrets: BTreeMap::new(),
            filter: None,
        }
    }

    /// # Errors
    /// If the filter would reject the table.
    pub(crate) fn render(&mut self, gateway: &Gateway) -> Result<Target, Arc<LoadError>> {
        let mut resources = Resources::default();
        self.clusters.update(&gateway.clusters);
        resources.set(Kind::Clusters, Arc::clone(&self.clusters.clusters));
        resources.set(Kind::Endpoints, Arc::clone(&self.clusters.endpoints));
        let endpoints = Arc::clone(&self.clusters.asked);
        let cluster_secrets = Arc::clone(&self.clusters.secrets);
        self.render_secrets(gateway, &mut resources);
        for listener in self.listeners(gateway) {
            let name = listener.name().to_owned();
            resources.insert(Key::new(Kind::Listeners, name), Resource::new(&listener));
        }
        let routes = Resource::new(&RouteConfiguration::new(
            &gateway.table,
            self.settings.stream_idle_timeout,
        ));
        resources.insert(Key::new(Kind::Routes, ROUTE_CONFIGURATION), routes);
        resources.insert(Key::new(Kind::Filter, FILTER_NAME), self.render_filter(&gateway.table)?);
        let (table, module) = (Arc::clone(&gateway.table), self.layout.module());
        Ok(Target { resources, endpoints, cluster_secrets, table, module })
    }

    fn render_secrets(&mut self, gateway: &Gateway, resources: &mut Resources) {
        let mut rendered = BTreeMap::new();
        let UpstreamSecrets { authorities, clients } = &gateway.upstream_secrets;
        let pairs = gateway.key_pairs().into_iter().chain(clients.clone());
        let pairs = pairs.map(|(name, pair)| (name, SecretContent::Certificate(pair)));
        let authorities = authorities.clone().into_iter();
        let authorities = authorities.map(|(name, it)| (name, SecretContent::Authorities(it)));
        for (name, content) in pairs.chain(authorities) {
            let known = self.secrets.remove(&name).filter(|(known, _)| *known == content);
            let known = known.unwrap_or_else(|| {
                let resource = content.render(&name);
                (content, resource)
            });
            resources.insert(Key::new(Kind::Secrets, name.as_str()), known.1.clone());
            rendered.insert(name, known);
        }
        self.secrets = rendered;
    }

    fn listeners(&self, gateway: &Gateway) -> impl Iterator<Item = Listener> {
        let options = ConnectionManagerOptions {
            routes: ConfigSource::stream(),
            filter: ConfigSource::stream(),
            settings: &self.settings,
        };
        let Listening { http, https: address, probe, .. } = self.listening;
        let https = gateway.https.as_ref();
        let https = https.map(|https| Listener::https(address, https, &options, TlsSource::Stream));
        let probe = probe.map(Listener::probe);
        std::iter::once(Listener::http(http, &options)).chain(https).chain(probe)
    }

    /// The same resources as in files, without endpoints and certificates.
    #[cfg(test)]
    pub(crate) fn json(&self, gateway: &Gateway) -> Vec<serde_json::Value> {
        use super::message::Any;
        let clusters = gateway.clusters.values();
        let clusters = clusters.map(|cluster| ClusterMessage::new(cluster, TlsSource::Stream));
        let clusters = clusters.map(|cluster| serde_json::to_value(Any(cluster)));
        let listeners = self.listeners(gateway);
        let listeners = listeners.map(|listener| serde_json::to_value(Any(listener)));
        let filter = filter_config(&self.layout.module(), gateway.table.flat().unwrap());
        let rest = [
            serde_json::to_value(Any(RouteConfiguration::new(
                &gateway.table,
                self.settings.stream_idle_timeout,
            ))),
            serde_json::to_value(Any(filter)),
        ];
        clusters.chain(listeners).chain(rest).map(Result::unwrap).collect()
    }

    fn render_filter(&mut self, table: &Arc<ServedTable>) -> Result<Resource, Arc<LoadError>> {
        if let Some((known, resource)) = &self.filter
            && (Arc::ptr_eq(known, table) || known == table)
        {
            return Ok(resource.clone());
        }
        let resource = Resource::new(&filter_config(&self.layout.module(), table.flat()?));
        self.filter = Some((Arc::clone(table), resource.clone()));
        Ok(resource)
    }
}

impl RenderedClusters {
    fn update(&mut self, next: &Arc<Clusters>) {
        if self.of == *next {
            return;
        }
        let mut known = std::mem::take(&mut self.each);
        let (mut clusters, mut endpoints) = (Named::new(), Named::new());
        let (mut asked, mut secrets) = (BTreeMap::new(), ClusterSecrets::new());
        for (name, cluster) in &**next {
            let rendered = known.remove(name).filter(|known| known.is_of(cluster));
            let rendered = rendered.unwrap_or_else(|| RenderedCluster::new(cluster));
            let key: Arc<str> = name.as_str().into();
            if let Some((name, resource)) = &rendered.endpoints {
                asked.insert(Arc::clone(&key), Arc::clone(name));
                endpoints.insert(Arc::clone(name), resource.clone());
            }
            if !rendered.secrets.is_empty() {
                secrets.insert(Arc::clone(&key), rendered.secrets.clone());
            }
            clusters.insert(key, rendered.resource.clone());
            self.each.insert(name.clone(), rendered);
        }
        self.of = Arc::clone(next);
        self.endpoints = Arc::new(endpoints);
        // If only endpoints have changed, the rest is kept.
        if *self.clusters != clusters {
            self.clusters = Arc::new(clusters);
        }
        if *self.asked != asked {
            self.asked = Arc::new(asked);
        }
        if *self.secrets != secrets {
            self.secrets = Arc::new(secrets);
        }
    }
}

impl RenderedCluster {
    fn new(cluster: &Arc<Cluster>) -> Self {
        let message = ClusterMessage::new(cluster, TlsSource::Stream);
        let endpoints = match (message.endpoints_name(), &cluster.discovery) {
            (
                Some(name),
                Discovery::Addresses(addresses) | Discovery::Resolved { addresses, .. },
            ) => Some((name.into(), endpoints(name, addresses))),
            _ => None,
        };
        let secrets = message.secrets().map(Arc::from).collect();
        let resource = Resource::new(&message);
        Self { cluster: Arc::clone(cluster), resource, endpoints, secrets }
    }

    fn is_of(&self, cluster: &Arc<Cluster>) -> bool {
        Arc::ptr_eq(&self.cluster, cluster) || self.cluster == *cluster
    }
}

fn endpoints(name: &str, addresses: &BTreeSet<SocketAddr>) -> Resource {
    Resource::new(&ClusterLoadAssignment::discovered(name, addresses))
}
