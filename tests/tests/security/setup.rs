//! The gateway under attack.

use ingress_tests::{Answer, Edge, Received, Serving, Upstream, raw};

/// Three upstreams: one for `/admin`, one for the host `victim.example`, and one
/// for the rest.
pub(crate) struct Upstreams {
    pub(crate) open: Upstream,
    pub(crate) admin: Upstream,
    pub(crate) victim: Upstream,
}

/// The name of the victim's cluster.
pub(crate) const VICTIM: &str = "victim.default.svc.cluster.local|80";

pub(crate) const ROUTES: &str = "
apiVersion: v1
kind: Service
metadata: {name: down}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: down}
subsets: []
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: routes, annotations: {kubernetes.io/ingress.class: istio}}
spec:
  rules:
  - host: paths.example
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: open, port: {number: 80}}}}
      - {path: /admin, pathType: Prefix, backend: {service: {name: admin, port: {number: 80}}}}
  - host: foo.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: open, port: {number: 80}}}}]}
  - host: '*.wild.example'
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: open, port: {number: 80}}}}]}
  - host: victim.example
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: victim, port: {number: 80}}}}]}
  - host: states.example
    http:
      paths:
      - {path: /matched, pathType: Exact, backend: {service: {name: open, port: {number: 80}}}}
      - {path: /missing, pathType: Exact, backend: {service: {name: missing, port: {number: 80}}}}
      - {path: /down, pathType: Exact, backend: {service: {name: down, port: {number: 80}}}}
";

impl Upstreams {
    pub(crate) fn start() -> Self {
        let [open, admin, victim] = ["open", "admin", "victim"].map(Upstream::start);
        Self { open, admin, victim }
    }

    pub(crate) fn manifests(&self) -> String {
        self.open.manifests("open", "http", 80)
            + &self.admin.manifests("admin", "http", 80)
            + &self.victim.manifests("victim", "http", 80)
            + ROUTES
    }

    /// The requests that reached any of them since the last call.
    pub(crate) fn take_received(&self) -> Vec<Received> {
        let all = [&self.open, &self.admin, &self.victim];
        all.into_iter().flat_map(Upstream::take_received).collect()
    }
}

pub(crate) fn start() -> (Upstreams, Serving) {
    let upstreams = Upstreams::start();
    let serving = Serving::start(&upstreams.manifests());
    (upstreams, serving)
}

/// A request with these parts, each of which may be hostile.
pub(crate) fn request(method: &str, target: &[u8], host: &[u8], headers: &[u8]) -> Vec<u8> {
    [method.as_bytes(), b" ", target, b" HTTP/1.1\r\nhost: ", host, b"\r\n", headers, b"\r\n"]
        .concat()
}

pub(crate) fn get_with(edge: &Edge, host: &str, target: &str, headers: &[u8]) -> Answer {
    raw(edge.http, &request("GET", target.as_bytes(), host.as_bytes(), headers))
}

/// After the attack: the gateway serves, and the module was never restarted.
#[track_caller]
pub(crate) fn assert_unharmed(edge: &Edge) {
    let answer = edge.get("foo.example.com", "/");
    assert_eq!((answer.by().as_str(), answer.header("server")), ("open", Some("envoy")));
    assert_never_restarted(edge);
}

#[track_caller]
pub(crate) fn assert_never_restarted(edge: &Edge) {
    for name in ["vm_reload", "vm_reload_backoff", "vm_reload_success", "vm_reload_failure"] {
        assert_eq!(edge.stat(&format!("wasm.ingress.{name}")), 0, "{name}");
    }
}
