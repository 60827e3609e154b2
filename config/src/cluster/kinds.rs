//! The watched kinds, and their API versions.

use std::fmt;

use kube::Client;
use kube::core::ApiResource;

use crate::kinds::{self, ReadKind};

/// A kind whose objects affect what is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Ingress,
    IngressClass,
    RouteRule,
    Service,
    /// `EndpointSlice` if the API server serves it, otherwise `Endpoints`.
    Endpoints,
    Pod,
    /// Watched individually, by name.
    Secret,
}

/// A kind, with the API version in which it is watched.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    pub(crate) kind: Kind,
    pub(crate) resource: ApiResource,
}

/// A kind and its plural.
type Candidate = (&'static ReadKind, &'static str);

impl Kind {
    /// The kinds of which all objects are watched.
    pub(crate) const ALL: [Self; 6] = [
        Self::Ingress,
        Self::IngressClass,
        Self::RouteRule,
        Self::Service,
        Self::Endpoints,
        Self::Pod,
    ];

    /// Its name in logs and metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ingress => "Ingress",
            Self::IngressClass => "IngressClass",
            Self::RouteRule => "RouteRule",
            Self::Service => "Service",
            Self::Endpoints => "Endpoints",
            Self::Pod => "Pod",
            Self::Secret => "Secret",
        }
    }

    /// The namespaces from which to read its objects if these are watched; `None` means all.
    pub(crate) fn scopes(self, namespaces: &[String]) -> Vec<Option<&str>> {
        if namespaces.is_empty() || !self.candidates()[0].0.is_namespaced() {
            return vec![None];
        }
        namespaces.iter().map(|namespace| Some(&**namespace)).collect()
    }

    /// Whether only the metadata of its objects is used.
    pub(crate) fn is_metadata_only(self) -> bool {
        self == Self::Pod
    }

    /// Whether a cluster may lack this kind.
    pub(crate) fn is_optional(self) -> bool {
        matches!(self, Self::RouteRule | Self::IngressClass)
    }

    /// Its preferred version, even if the API server does not serve it.
    pub(crate) fn resource(self) -> ApiResource {
        let &(kind, plural) = &self.candidates()[0];
        resource(kind.versions[0], kind.name, plural)
    }

    fn candidates(self) -> &'static [Candidate] {
        match self {
            Self::Ingress => &[(&kinds::INGRESS, "ingresses")],
            Self::IngressClass => &[(&kinds::INGRESS_CLASS, "ingressclasses")],
            Self::RouteRule => &[(&kinds::ROUTE_RULE, "routerules")],
            Self::Service => &[(&kinds::SERVICE, "services")],
            Self::Endpoints => {
                &[(&kinds::ENDPOINT_SLICE, "endpointslices"), (&kinds::ENDPOINTS, "endpoints")]
            }
            Self::Pod => &[(&kinds::POD, "pods")],
            Self::Secret => &[(&kinds::SECRET, "secrets")],
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Finds the version of each kind that the API server serves. Optional kinds that it
/// does not serve are watched in their preferred version, because they may be installed
/// later.
///
/// # Errors
/// If the API server does not respond, or does not serve a required kind.
pub(crate) async fn discover(client: &Client) -> anyhow::Result<Vec<Watched>> {
    let mut all = Vec::new();
    for kind in Kind::ALL {
        let mut found = None;
        for &(read, plural) in kind.candidates() {
            for version in read.versions {
                if found.is_none() && serves(client, version, plural).await? {
                    found = Some(resource(version, read.name, plural));
                }
            }
        }
        if found.is_none() && kind.is_optional() {
            found = Some(kind.resource());
        }
        let Some(resource) = found else {
            let ApiResource { plural, api_version, .. } = kind.resource();
            anyhow::bail!("the API server does not serve {plural} of {api_version}; upgrade it");
        };
        all.push(Watched { kind, resource });
    }
    Ok(all)
}

/// Whether the API server serves this resource in this API version.
async fn serves(client: &Client, version: &str, plural: &str) -> Result<bool, kube::Error> {
    let list = match version.split_once('/') {
        Some(_) => client.list_api_group_resources(version).await,
        None => client.list_core_api_resources(version).await,
    };
    match list {
        Ok(list) => Ok(list.resources.iter().any(|resource| resource.name == plural)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
        Err(error) => Err(error),
    }
}

fn resource(version: &str, kind: &str, plural: &str) -> ApiResource {
    let (group, short) = version.split_once('/').unwrap_or(("", version));
    ApiResource {
        group: group.into(),
        version: short.into(),
        api_version: version.into(),
        kind: kind.into(),
        plural: plural.into(),
    }
}
