//! Ingresses as the tests write them.

use serde_json::{Value, json};

/// An Ingress of the class that is ours.
pub(crate) fn ingress(name: &str, spec: &Value) -> String {
    ingress_of("istio", name, spec)
}

/// An Ingress of the class of that name.
pub(crate) fn ingress_of(class: &str, name: &str, spec: &Value) -> String {
    let mut spec = spec.clone();
    spec["ingressClassName"] = class.into();
    unclassed(name, &spec)
}

/// An Ingress of no class.
pub(crate) fn unclassed(name: &str, spec: &Value) -> String {
    let metadata = json!({"name": name});
    object("networking.k8s.io/v1", "Ingress", &metadata, spec)
}

/// An object as kubectl takes it.
pub(crate) fn object(version: &str, kind: &str, metadata: &Value, spec: &Value) -> String {
    json!({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}).to_string()
}

/// The spec of an Ingress that sends a host to a service.
pub(crate) fn host_to(host: &str, service: &str) -> Value {
    json!({"rules": [rule(host, &[path("/", "Prefix", service)])]})
}

/// The spec of an Ingress that sends everything to a service.
pub(crate) fn all_to(service: &str) -> Value {
    json!({"defaultBackend": backend(service)})
}

pub(crate) fn rule(host: &str, paths: &[Value]) -> Value {
    json!({"host": host, "http": {"paths": paths}})
}

pub(crate) fn path(path: &str, kind: &str, service: &str) -> Value {
    json!({"path": path, "pathType": kind, "backend": backend(service)})
}

/// Port 80 of a service.
fn backend(service: &str) -> Value {
    json!({"service": {"name": service, "port": {"number": 80}}})
}
