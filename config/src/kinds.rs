//! The kinds of objects that are read. All others are nobody's business here,
//! whatever they hold.

/// A kind that is read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ReadKind {
    /// As in `Ingress`.
    pub(crate) name: &'static str,
    /// The API versions that are understood, the best first.
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

/// The core of Kubernetes, whose group has no name.
const CORE: &[&str] = &["v1"];

const ALL: [&ReadKind; 8] =
    [&INGRESS, &INGRESS_CLASS, &ROUTE_RULE, &SERVICE, &ENDPOINTS, &ENDPOINT_SLICE, &POD, &SECRET];

/// The kind that an object says it is of, if that is one of a group that is read.
pub(crate) fn of(api_version: &str, name: &str) -> Option<&'static ReadKind> {
    named(name).filter(|kind| {
        kind.has_group(group(api_version)) || kind == &&INGRESS && group(api_version).is_empty()
    })
}

/// The kind of this name, whatever its group.
pub(crate) fn named(name: &str) -> Option<&'static ReadKind> {
    ALL.into_iter().find(|kind| kind.name == name)
}

/// Whether any kind of the API group of `api_version` is read.
pub(crate) fn is_known_group(api_version: &str) -> bool {
    ALL.into_iter().any(|kind| kind.has_group(group(api_version)))
}

/// The API group: `networking.k8s.io` of `networking.k8s.io/v1`, nothing of `v1`.
pub(crate) fn group(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

impl ReadKind {
    fn has_group(&self, name: &str) -> bool {
        self.versions.iter().any(|version| group(version) == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_known_by_its_name_and_group() {
        for (api_version, name, is_read) in [
            ("networking.k8s.io/v1", "Ingress", true),
            ("networking.k8s.io/v2", "Ingress", true),
            ("extensions/v1beta1", "Ingress", true),
            ("config.openshift.io/v1", "Ingress", false),
            ("v1", "Service", true),
            ("serving.knative.dev/v1", "Service", false),
            ("v1", "ConfigMap", false),
            ("metrics.k8s.io/v1beta1", "Pod", false),
        ] {
            assert_eq!(of(api_version, name).is_some(), is_read, "{api_version} {name}");
        }
    }
}
