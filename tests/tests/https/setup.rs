//! Manifests of hosts with certificates.

use ingress_tests::{Authority, Issued, Upstream};
use serde_json::{Value, json};

/// The Secret that is the default certificate.
pub(crate) const DEFAULT: (&str, &str) = ("istio-system", "istio-ingress-certs");

/// An Ingress with hosts, each with the name of its Secret; every host serves all
/// paths from the upstream.
pub(crate) fn ingress(name: &str, service: &str, hosts: &[(&str, &str)]) -> Value {
    let tls: Vec<_> =
        hosts.iter().map(|(host, secret)| json!({"hosts": [host], "secretName": secret})).collect();
    let backend = json!({"service": {"name": service, "port": {"number": 80}}});
    let path = json!({"path": "/", "pathType": "Prefix", "backend": backend});
    let rules: Vec<_> =
        hosts.iter().map(|(host, _)| json!({"host": host, "http": {"paths": [path]}})).collect();
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "annotations": {"kubernetes.io/ingress.class": "istio"}},
        "spec": {"tls": tls, "rules": rules},
    })
}

/// Manifests with these objects and an upstream, as service `a`.
pub(crate) fn manifests(upstream: &Upstream, objects: &[Value]) -> String {
    upstream.manifests("a", "http", 80) + &documents(objects)
}

/// Each object as a separate document.
pub(crate) fn documents(objects: &[Value]) -> String {
    objects.iter().fold(String::new(), |text, object| format!("{text}---\n{object}\n"))
}

/// Three hosts, each with its own Secret and certificate, and a default certificate
/// for `default.example` and `unknown.example`.
pub(crate) struct Hosts {
    pub(crate) authority: Authority,
    pub(crate) upstream: Upstream,
    pub(crate) certificates: Vec<(&'static str, &'static str, Issued)>,
    pub(crate) default: Issued,
}

impl Hosts {
    pub(crate) fn new() -> Self {
        let authority = Authority::new();
        let certificates =
            [("one.example", "one"), ("two.example", "two"), ("*.wild.example", "wild")]
                .map(|(host, secret)| (host, secret, authority.issue(&[host])));
        Self {
            default: authority.issue(&["default.example", "unknown.example"]),
            upstream: Upstream::start("a"),
            certificates: certificates.into(),
            authority,
        }
    }

    pub(crate) fn manifests(&self) -> String {
        let hosts: Vec<_> =
            self.certificates.iter().map(|(host, secret, _)| (*host, *secret)).collect();
        let mut objects = vec![ingress("web", "a", &hosts)];
        objects.extend(
            self.certificates.iter().map(|(_, secret, issued)| issued.secret("default", secret)),
        );
        objects.push(self.default.secret(DEFAULT.0, DEFAULT.1));
        manifests(&self.upstream, &objects)
    }
}
