//! Ingresses for tests.

use serde_json::{Value, json};

/// An Ingress of the gateway's class.
pub fn ingress(name: &str, spec: &Value) -> String {
    ingress_of("istio", name, spec)
}

/// An Ingress of another class.
pub fn ingress_of(class: &str, name: &str, spec: &Value) -> String {
    let mut spec = spec.clone();
    spec["ingressClassName"] = class.into();
    unclassed(name, &spec)
}

/// An Ingress without a class.
pub fn unclassed(name: &str, spec: &Value) -> String {
    let metadata = json!({"name": name});
    object("networking.k8s.io/v1", "Ingress", &metadata, spec)
}

/// An object in the form that kubectl reads.
pub fn object(version: &str, kind: &str, metadata: &Value, spec: &Value) -> String {
    json!({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}).to_string()
}

/// The spec of an Ingress that sends a host to a service.
pub fn host_to(host: &str, service: &str) -> Value {
    json!({"rules": [rule(host, &[path("/", "Prefix", service)])]})
}

/// The spec of an Ingress that sends everything to a service.
pub fn all_to(service: &str) -> Value {
    json!({"defaultBackend": backend(service)})
}

/// A rule: the paths of a host.
pub fn rule(host: &str, paths: &[Value]) -> Value {
    json!({"host": host, "http": {"paths": paths}})
}

/// A path to port 80 of a service; `kind` is its `pathType`.
pub fn path(path: &str, kind: &str, service: &str) -> Value {
    json!({"path": path, "pathType": kind, "backend": backend(service)})
}

/// Port 80 of a service.
fn backend(service: &str) -> Value {
    json!({"service": {"name": service, "port": {"number": 80}}})
}
