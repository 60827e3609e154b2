//! The kinds of objects that are read. All others are skipped.

/// A kind that is read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ReadKind {
    /// For example `Ingress`.
    pub(crate) name: &'static str,
    /// The supported API versions, the preferred one first.
    pub(crate) versions: &'static [&'static str],
}

pub(crate) const INGRESS: ReadKind = ReadKind {
    name: "Ingress",
    versions: &["networking.k8s.io/v1", "networking.k8s.io/v1beta1", "extensions/v1beta1"],
};
pub(crate) const INGRESS_CLASS: ReadKind = ReadKind {
    name: "IngressClass",
    versions: &["networking.k8s.io/v1", "networking.k8s.io/v1beta1"],
};
pub(crate) const ROUTE_RULE: ReadKind =
    ReadKind { name: "RouteRule", versions: &["config.istio.io/v1alpha2"] };
pub(crate) const SERVICE: ReadKind = ReadKind { name: "Service", versions: CORE };
pub(crate) const ENDPOINTS: ReadKind = ReadKind { name: "Endpoints", versions: CORE };
pub(crate) const ENDPOINT_SLICE: ReadKind = ReadKind {
    name: "EndpointSlice",
    versions: &["discovery.k8s.io/v1", "discovery.k8s.io/v1beta1"],
};
pub(crate) const POD: ReadKind = ReadKind { name: "Pod", versions: CORE };
pub(crate) const SECRET: ReadKind = ReadKind { name: "Secret", versions: CORE };

/// The core API of Kubernetes, whose group has no name.
const CORE: &[&str] = &["v1"];

const ALL: [&ReadKind; 8] =
    [&INGRESS, &INGRESS_CLASS, &ROUTE_RULE, &SERVICE, &ENDPOINTS, &ENDPOINT_SLICE, &POD, &SECRET];

/// APIs that also route requests, but are not read.
const OTHER_APIS: [&str; 20] = [
    "gateway.networking.k8s.io",
    "gateway.networking.x-k8s.io",
    "gateway.envoyproxy.io",
    "networking.istio.io",
    "security.istio.io",
    "config.istio.io",
    "projectcontour.io",
    "contour.heptio.com",
    "traefik.io",
    "traefik.containo.us",
    "k8s.nginx.org",
    "configuration.konghq.com",
    "core.haproxy.org",
    "getambassador.io",
    "gateway.solo.io",
    "apisix.apache.org",
    "route.openshift.io",
    "networking.gke.io",
    "elbv2.k8s.aws",
    "split.smi-spec.io",
];

/// Names at least this similar are considered typos.
const ALIKE: f64 = 0.75;

/// Longer names are not compared.
const LONGEST: usize = 64;

/// What the author of an object that is not read may have meant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Meant {
    /// An object of this kind, in a supported version.
    Version(&'static ReadKind),
    /// One of this kind, whose name is misspelled.
    Kind(&'static ReadKind),
    /// An object of this API, which another gateway reads.
    OtherApi,
}

/// Whether objects of this kind and version are read.
pub(crate) fn is_read(api_version: &str, name: &str) -> bool {
    named(name).is_some_and(|kind| kind.versions.contains(&api_version))
}

/// The kind of this name, in any API group.
pub(crate) fn named(name: &str) -> Option<&'static ReadKind> {
    ALL.into_iter().find(|kind| kind.name == name)
}

/// Whether any kind of the API group of `api_version` is read.
pub(crate) fn is_known_group(api_version: &str) -> bool {
    ALL.into_iter().any(|kind| kind.has_group(group(api_version)))
}

/// What the author of an object that is not read may have meant; `None` for kinds
/// that nobody expects this gateway to serve.
pub(crate) fn meant_by(api_version: &str, name: &str) -> Option<Meant> {
    let group = group(api_version);
    if let Some(kind) = named(name) {
        // Kinds with the same name in custom APIs are different kinds, for example
        // in config.openshift.io.
        let is_of_kubernetes = !group.contains('.') || group.ends_with(".k8s.io");
        let mut groups = kind.versions.iter().map(|version| self::group(version));
        if is_of_kubernetes || groups.any(|own| own == group || is_alike(own, group)) {
            return Some(Meant::Version(kind));
        }
    } else if is_known_group(api_version)
        && let Some(kind) = ALL.into_iter().find(|kind| is_alike(kind.name, name))
    {
        return Some(Meant::Kind(kind));
    }
    OTHER_APIS.contains(&group).then_some(Meant::OtherApi)
}

/// Whether two different names are similar.
pub(crate) fn is_alike(one: &str, other: &str) -> bool {
    if one == other || one.len().max(other.len()) > LONGEST {
        return false;
    }
    let (one, other) = (one.to_ascii_lowercase(), other.to_ascii_lowercase());
    strsim::normalized_damerau_levenshtein(&one, &other) >= ALIKE
}

/// The API group: `networking.k8s.io` of `networking.k8s.io/v1`, empty for `v1`.
pub(crate) fn group(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

impl ReadKind {
    /// Whether its objects are in namespaces.
    pub(crate) fn is_namespaced(&self) -> bool {
        *self != INGRESS_CLASS
    }

    fn has_group(&self, name: &str) -> bool {
        self.versions.iter().any(|version| group(version) == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_read_or_may_be_meant_to_be() {
        let version = |kind| Some(Meant::Version(kind));
        let kind = |kind| Some(Meant::Kind(kind));
        for (api_version, name, expected) in [
            ("networking.k8s.io/v2", "Ingress", version(&INGRESS)),
            ("extensions/v1", "Ingress", version(&INGRESS)),
            ("v1", "Ingress", version(&INGRESS)),
            ("network.k8s.io/v1", "Ingress", version(&INGRESS)),
            ("discovery.k8s.io/v1alpha1", "EndpointSlice", version(&ENDPOINT_SLICE)),
            ("config.istio.io/v1", "RouteRule", version(&ROUTE_RULE)),
            ("config.isto.io/v1alpha2", "RouteRule", version(&ROUTE_RULE)),
            ("networking.k8s.io/v1", "Ingres", kind(&INGRESS)),
            ("networking.k8s.io/v1", "ingress", kind(&INGRESS)),
            ("networking.k8s.io/v1", "Ingresses", kind(&INGRESS)),
            ("config.istio.io/v1alpha2", "RouteRules", kind(&ROUTE_RULE)),
            ("config.istio.io/v1alpha2", "EgressRule", Some(Meant::OtherApi)),
            ("v1", "Services", kind(&SERVICE)),
            ("gateway.networking.k8s.io/v1", "HTTPRoute", Some(Meant::OtherApi)),
            ("networking.istio.io/v1", "VirtualService", Some(Meant::OtherApi)),
            ("config.openshift.io/v1", "Ingress", None),
            ("serving.knative.dev/v1", "Service", None),
            ("networking.internal.knative.dev/v1alpha1", "Ingress", None),
            ("networking.k8s.io/v1", "NetworkPolicy", None),
            ("networking.k8s.io/v1", "IPAddress", None),
            ("v1", "ServiceAccount", None),
            ("v1", "PodTemplate", None),
            ("v1", "ConfigMap", None),
            ("metrics.k8s.io/v1beta1", "PodMetrics", None),
            ("apps/v1", "Deployment", None),
            ("example.com/v1", "Ingres", None),
        ] {
            assert!(!is_read(api_version, name), "{api_version} {name}");
            assert_eq!(meant_by(api_version, name), expected, "{api_version} {name}");
        }
        for kind in ALL {
            assert!(kind.versions.iter().all(|version| is_read(version, kind.name)));
        }
    }
}
