//! Hosts, paths and services.

use std::collections::BTreeMap;
use std::fmt::Write;

use ingress_filter::table::{self, PathMatch, Plaintext, Target, VirtualHost};
use serde::Serialize;

use super::actions::{self, Action};
use super::places::Places;
use crate::explain::IngressPlace;
use crate::model::{self, Balance, Discovery, Https, Protocol};

/// A group of hosts with the same routes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Host {
    names: Vec<String>,
    /// The name of the certificate of the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
    /// Whether the default backend serves paths without a route.
    has_default: bool,
    routes: Vec<Route>,
}

/// A path of a host, or the default backend. A document may have a hundred thousand.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Route {
    /// `exact`, `prefix`, `string prefix` or `regex`; none for the default backend.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    path: String,
    /// The name of a backend.
    backend: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<String>,
    /// What plain HTTP gets: `redirect` to HTTPS, or `refuse`.
    #[serde(skip_serializing_if = "Option::is_none")]
    plaintext: Option<Plaintext>,
    /// `namespace/name` of the Ingress.
    #[serde(skip_serializing_if = "Option::is_none")]
    ingress: Option<String>,
    /// The field of the Ingress.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// `file:line`.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
}

/// What a route needs.
#[derive(Clone, Copy)]
pub(super) struct RouteParts<'a> {
    path: Option<&'a PathMatch>,
    backend: &'a str,
    port: Option<&'a str>,
    source: &'a str,
    plaintext: Option<Plaintext>,
}

impl<'a> From<&'a table::Route> for RouteParts<'a> {
    fn from(route: &'a table::Route) -> Self {
        let table::Route { path, backend, port, source, plaintext, .. } = route;
        Self { path: Some(path), backend, port: port.as_deref(), source, plaintext: *plaintext }
    }
}

impl<'a> From<&'a Target> for RouteParts<'a> {
    fn from(target: &'a Target) -> Self {
        let Target { backend, port, source, plaintext, .. } = target;
        Self { path: None, backend, port: port.as_deref(), source, plaintext: *plaintext }
    }
}

impl Host {
    pub(super) fn of(host: &VirtualHost, https: Option<&Https>, places: &Places<'_>) -> Self {
        let first = host.hosts.first();
        let certificate = first.and_then(|first| https?.hosts.get(first).cloned());
        Self {
            names: host.hosts.clone(),
            certificate,
            has_default: !host.no_default_backend,
            routes: host.routes.iter().map(|route| Route::of(route.into(), places)).collect(),
        }
    }
}

impl Route {
    pub(super) fn of(parts: RouteParts<'_>, places: &Places<'_>) -> Self {
        let RouteParts { path, backend, port, source, plaintext } = parts;
        let place = IngressPlace::parse(source);
        Self {
            kind: path.map(kind),
            path: path.map_or("default backend", PathMatch::text).to_owned(),
            backend: backend.to_owned(),
            port: port.map(str::to_owned),
            plaintext,
            field: place.as_ref().map(field),
            at: place.as_ref().and_then(|place| places.path(place)),
            ingress: place.map(|place| place.name),
        }
    }
}

fn kind(path: &PathMatch) -> &'static str {
    match path {
        PathMatch::Exact(_) => "exact",
        PathMatch::Prefix(_) => "prefix",
        PathMatch::StringPrefix(_) => "string prefix",
        PathMatch::Regex(_) => "regex",
    }
}

fn field(place: &IngressPlace) -> String {
    match (place.rule, place.path) {
        (Some(rule), Some(path)) => format!("spec.rules[{rule}].http.paths[{path}]"),
        _ => "default backend".into(),
    }
}

/// The rules and the default of a service.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Backend<'a> {
    name: &'a str,
    /// For a route with a port: the clusters that replace those of the actions.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    ports: &'a [table::Port],
    rules: Vec<Rule<'a>>,
    default: Action,
}

/// A rule: its conditions, and its action.
#[derive(Serialize)]
struct Rule<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    #[serde(rename = "match")]
    conditions: Vec<String>,
    action: Action,
}

impl<'a> Backend<'a> {
    pub(super) fn of(backend: &'a table::Backend, places: &Places<'_>) -> Self {
        let rule = |rule: &'a table::Rule| Rule {
            name: &rule.name,
            at: places.rule(&rule.name),
            conditions: actions::conditions(&rule.matches),
            action: Action::of(&rule.action),
        };
        Self {
            name: &backend.name,
            ports: &backend.ports,
            rules: backend.rules.iter().map(rule).collect(),
            default: Action::of(&backend.default),
        }
    }
}

/// A port of a service, or of a version of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Cluster {
    /// `namespace/name`.
    service: String,
    port: String,
    /// The labels of the version.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    version: BTreeMap<String, String>,
    protocol: &'static str,
    /// How connections are secured.
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<String>,
    /// The addresses of its endpoints, or the DNS name that has them.
    endpoints: Vec<String>,
    /// Whether a client stays at one endpoint.
    sticky: bool,
}

impl Cluster {
    pub(super) fn of(cluster: &model::Cluster) -> Self {
        let service = &cluster.service;
        Self {
            service: format!("{}/{}", service.namespace, service.name),
            port: cluster
                .name
                .split('|')
                .rev()
                .find(|part| is_port(part))
                .map_or_else(|| cluster.selector.port.clone(), str::to_owned),
            version: cluster.selector.labels.clone(),
            protocol: match cluster.protocol {
                Protocol::Http1 => "HTTP/1.1",
                Protocol::Http2 => "HTTP/2",
            },
            tls: cluster.tls.as_ref().map(tls),
            endpoints: endpoints(&cluster.discovery),
            sticky: cluster.balance == Balance::Session,
        }
    }
}

fn is_port(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
}

fn tls(tls: &model::UpstreamTls) -> String {
    let mut text = match &tls.verification {
        Some(verification) => format!("verified for {}", verification.names.join(", ")),
        None => "not verified".to_owned(),
    };
    if let Some(client) = &tls.client {
        // Writing to a string does not fail.
        let _ = write!(text, ", with the certificate {client}");
    }
    text
}

fn endpoints(discovery: &Discovery) -> Vec<String> {
    match discovery {
        Discovery::Addresses(addresses) => addresses.iter().map(ToString::to_string).collect(),
        Discovery::Dns(name, port) => vec![format!("{name}:{port}")],
        Discovery::Resolved { name, addresses } if addresses.is_empty() => vec![name.clone()],
        Discovery::Resolved { addresses, .. } => {
            addresses.iter().map(ToString::to_string).collect()
        }
    }
}
