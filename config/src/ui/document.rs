//! What the page shows, as one JSON document: the compiled model with the positions of its
//! objects, and the findings. Indexes in it are those of the route table.

mod actions;
mod certificates;
mod excerpts;
mod findings;
mod places;
mod routes;

use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::Bytes;
use serde::Serialize;

use super::Origin;
use crate::compile::Compiled;
use crate::digest::digest_of;
use crate::finding::Code;
use crate::manifest::Manifests;

use certificates::Certificate;
use findings::{Explained, Found};
use places::Places;
use routes::{Backend, Cluster, Host, Route};

/// What the document is made from.
pub(super) struct State<'a> {
    pub(super) origin: &'a Origin,
    pub(super) is_watched: bool,
    pub(super) problem: Option<&'a str>,
    pub(super) manifests: &'a Manifests,
    pub(super) compiled: &'a Compiled,
    pub(super) now: SystemTime,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    origin: &'a Origin,
    /// Whether changes of the files are shown without being asked for.
    watched: bool,
    /// Why this is not the newest state.
    problem: Option<&'a str>,
    /// Whether all manifests could be read; otherwise objects may be missing.
    complete: bool,
    objects: usize,
    hosts: Vec<Host>,
    default: Option<Route>,
    backends: Vec<Backend<'a>>,
    clusters: BTreeMap<&'a str, Cluster>,
    certificates: Vec<Certificate<'a>>,
    findings: Vec<Found<'a>>,
    codes: BTreeMap<Code, Explained>,
}

/// The document with its version.
///
/// # Errors
/// Never, in practice: all keys are strings.
pub(super) fn render(state: &State<'_>) -> serde_json::Result<(String, Bytes)> {
    let document = serde_json::to_string(&Document::of(state))?;
    let version = digest_of(document.as_bytes());
    let json = format!("{{\"version\":\"{version}\",\"document\":{document}}}");
    Ok((version, json.into()))
}

impl<'a> Document<'a> {
    fn of(state: &State<'a>) -> Self {
        let State { origin, is_watched, problem, manifests, compiled, now } = *state;
        let places = Places::of(manifests.objects());
        let (table, https) = (&compiled.gateway.table, compiled.gateway.https.as_ref());
        let route = |route| Route::of(route, &places);
        Self {
            origin,
            watched: is_watched,
            problem,
            complete: manifests.is_complete(),
            objects: manifests.objects.len(),
            hosts: table.virtual_hosts.iter().map(|host| Host::of(host, https, &places)).collect(),
            default: table.default_backend.as_ref().map(|target| route(target.into())),
            backends: table.backends.iter().map(|it| Backend::of(it, &places)).collect(),
            clusters: compiled
                .gateway
                .clusters
                .iter()
                .map(|(name, cluster)| (&**name, Cluster::of(cluster)))
                .collect(),
            certificates: https.map(|https| certificates::of(https, now)).unwrap_or_default(),
            findings: findings::of(&compiled.findings),
            codes: findings::explained(&compiled.findings),
        }
    }
}

#[cfg(test)]
mod tests;
