//! API servers without some of the newer or older API versions.

use ingress_tests::{ApiServer, Gateway, Namespace, Service, Upstream, machine_ip, wait_until};
use serde_json::{Value, json};

/// An Ingress in the form of the older API versions.
fn old_ingress(version: &str) -> Value {
    let backend = json!({"serviceName": "web", "servicePort": "http"});
    let path = json!({"path": "/shop/.*", "backend": backend});
    json!({
        "apiVersion": version, "kind": "Ingress",
        "metadata": {"name": "web", "annotations": {"kubernetes.io/ingress.class": "istio"}},
        "spec": {"rules": [{"host": "web.example", "http": {"paths": [path]}}]},
    })
}

/// Asserts that such an Ingress is served, and removed again.
fn serves(namespace: &Namespace<'_>, version: &str, service: &str) {
    namespace.create(service);
    let gateway = Gateway::start_with(namespace, &["--publish-address", "203.0.113.9"]);
    namespace.create(&old_ingress(version).to_string());
    gateway.wait_for("web.example", "/shop/x", 200);
    assert_eq!(gateway.get("web.example", "/").status, 404);
    wait_until("the Ingress has a status", || {
        namespace.get("ingress", "web")["status"]["loadBalancer"]["ingress"][0]["ip"]
            == "203.0.113.9"
    });
    namespace.delete("ingress", "web");
    gateway.wait_for("web.example", "/shop/x", 404);
}

/// The admission plugin that sets a default class supports only
/// `networking.k8s.io/v1`, and without that version the server does not become
/// ready.
const NO_DEFAULT_CLASS: &str = "--disable-admission-plugins=DefaultIngressClass";

#[test]
fn without_networking_v1_its_beta_is_served() {
    let flag = "--runtime-config=networking.k8s.io/v1=false";
    let api = ApiServer::start(&[flag, NO_DEFAULT_CLASS]);
    let upstream = Upstream::start_on(machine_ip(), "web");
    let service = Service::new("web").at(&upstream).manifests();
    serves(&api.namespace("beta"), "networking.k8s.io/v1beta1", &service);
}

#[test]
fn with_the_oldest_version_alone_that_is_served() {
    let flag = "--runtime-config=networking.k8s.io/v1=false,networking.k8s.io/v1beta1=false";
    let api = ApiServer::start(&[flag, NO_DEFAULT_CLASS]);
    let upstream = Upstream::start_on(machine_ip(), "web");
    let service = Service::new("web").at(&upstream).manifests();
    serves(&api.namespace("oldest"), "extensions/v1beta1", &service);
}

#[test]
fn without_endpoint_slices_endpoints_are_taken() {
    let flag = "--runtime-config=discovery.k8s.io/v1beta1=false";
    let api = ApiServer::start(&[flag]);
    let namespace = api.namespace("endpoints");
    let upstream = Upstream::start_on(machine_ip(), "web");
    let service = Service::new("web").at(&upstream).manifests_with_endpoints();
    serves(&namespace, "networking.k8s.io/v1beta1", &service);
}
