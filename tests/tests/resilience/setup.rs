//! A service under load, and objects next to it.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use ingress_tests::{Edge, Gateway, Namespace, Service, Upstream, Writer, machine_ip};
use serde_json::{Value, json};

use crate::load::{Load, Target};

/// The host under load.
pub(crate) const BUSY: &str = "busy.example";

/// A service `busy` with two versions, of which a rule selects the second. Without
/// the rule, the first would get requests, too: so a response from the first one
/// means that the rule was not applied.
pub(crate) struct Ruled {
    pub(crate) writer: Writer,
    /// Upstreams of the services `busy` and `other`.
    _upstreams: [Upstream; 3],
}

impl Ruled {
    pub(crate) fn create(namespace: &Namespace<'_>) -> Self {
        let [v1, v2] = ["v1", "v2"].map(|name| Upstream::forgetful(machine_ip(), name));
        let other = Upstream::forgetful(machine_ip(), "other");
        let busy = Service::new("busy").at_pod(&v1, "busy-v1", &[("version", "v1")]).at_pod(
            &v2,
            "busy-v2",
            &[("version", "v2")],
        );
        namespace.create(&busy.manifests());
        namespace.create(&Service::new("other").at(&other).manifests());
        let writer = Writer::new(namespace);
        writer.apply(&rule("busy", "v2"));
        writer.apply(&ingress("busy", BUSY, &[("/", "busy")]));
        Self { writer, _upstreams: [v1, v2, other] }
    }

    /// Clients of `busy`, where only the second version may respond.
    pub(crate) fn load(gateway: &Gateway) -> Load {
        gateway.wait_for(BUSY, "/", 200);
        Load::start(busy(gateway, &["v2"]))
    }

    /// Adds a host, and waits until it is served. Returns how long that took.
    pub(crate) fn add_host(&self, edge: &Edge, host: &str, patience: Duration) -> Duration {
        let start = Instant::now();
        self.writer.apply(&ingress(host, host, &[("/", "other")]));
        wait(patience, host, || edge.get(host, "/").by() == "other");
        start.elapsed()
    }
}

/// The upstream that serves the host under load.
pub(crate) fn busy(edge: &Edge, by: &'static [&'static str]) -> Target {
    Target { address: edge.http, host: BUSY, path: "/", by }
}

/// An Ingress of our class: prefix paths of a host, each with a service.
pub(crate) fn ingress(name: &str, host: &str, paths: &[(&str, &str)]) -> Value {
    let paths = paths.iter().map(|(path, service)| {
        json!({"path": path, "pathType": "Prefix",
            "backend": {"service": {"name": service, "port": {"number": 80}}}})
    });
    let paths: Vec<_> = paths.collect();
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": name, "annotations": {"kubernetes.io/ingress.class": "istio"}},
        "spec": {"rules": [{"host": host, "http": {"paths": paths}}]},
    })
}

/// A rule that sends all requests for a service to one of its versions.
pub(crate) fn rule(service: &str, version: &str) -> Value {
    json!({
        "apiVersion": "config.istio.io/v1alpha2", "kind": "RouteRule",
        "metadata": {"name": service},
        "spec": {"destination": {"name": service}, "route": [{"labels": {"version": version}}]},
    })
}

/// The endpoints of a service; each has a different port.
pub(crate) fn slice(service: &str, name: &str, address: SocketAddr) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1beta1", "kind": "EndpointSlice",
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4", "ports": [{"name": "http", "port": address.port()}],
        "endpoints": [{"addresses": [address.ip()], "conditions": {"ready": true}}],
    })
}

/// Waits until a condition is true, within a time limit.
#[track_caller]
pub(crate) fn wait(patience: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < patience, "not within {patience:?}: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// The value of one of the controller's metrics, which are missing before they are
/// first counted.
pub(crate) fn metric(gateway: &Gateway, name: &str) -> u64 {
    let text = gateway.health("/metrics").body;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.map_or(0, |value| value.parse().expect("a number"))
}

/// Asserts that Envoy accepted every update.
#[track_caller]
pub(crate) fn assert_nothing_was_rejected(edge: &Edge) {
    let stats = edge.admin.get("/stats").body;
    // Not `update_failure`: it also counts streams, which end with the controller.
    let counters = ["update_rejected", "config_fail", "config_conflict"];
    let is_rejection = |line: &&str| {
        let (name, value) = line.split_once(": ").unwrap_or((line, "0"));
        counters.iter().any(|counter| name.ends_with(&format!(".{counter}"))) && value != "0"
    };
    let rejections: Vec<_> = stats.lines().filter(is_rejection).collect();
    assert!(rejections.is_empty(), "{rejections:?}");
}
