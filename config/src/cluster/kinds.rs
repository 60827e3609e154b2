//! The watched kinds, and their API versions.

use std::fmt;

use kube::Client;
use kube::core::ApiResource;

use crate::kinds::{self, ReadKind};

/// A kind of objects that decides what is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Ingress,
    IngressClass,
    RouteRule,
    Service,
    /// `EndpointSlice` where that is served, else `Endpoints`.
    Endpoints,
    Pod,
    /// Watched one by one, by their names.
    Secret,
}

/// A kind as it is watched.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    pub(crate) kind: Kind,
    pub(crate) resource: ApiResource,
}

/// A kind and its plural.
type Candidate = (&'static ReadKind, &'static str);

impl Kind {
    /// Those that are watched as a whole.
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

    /// Whether its objects are in namespaces.
    fn is_namespaced(self) -> bool {
        self != Self::IngressClass
    }

    /// The namespaces to ask for its objects where these are watched, none meaning all.
    pub(crate) fn scopes(self, namespaces: &[String]) -> Vec<Option<&str>> {
        if namespaces.is_empty() || !self.is_namespaced() {
            return vec![None];
        }
        namespaces.iter().map(|namespace| Some(&**namespace)).collect()
    }

    /// Whether labels and the like are all that matters of it.
    pub(crate) fn is_metadata_only(self) -> bool {
        self == Self::Pod
    }

    /// Whether a cluster may do without.
    pub(crate) fn is_optional(self) -> bool {
        matches!(self, Self::RouteRule | Self::IngressClass)
    }

    /// Under its best version, whether that is served or not.
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

/// What is to be watched, by what the API server serves. What it does not serve
/// is watched under its best version all the same, where a cluster may do
/// without: it may come later.
///
/// # Errors
/// Where the API server does not answer, or does not serve what it has to.
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
            anyhow::bail!("the API server does not serve {plural}.{api_version}");
        };
        all.push(Watched { kind, resource });
    }
    Ok(all)
}

/// Whether an API version is served, and has this resource.
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
