//! What real clients send, beyond the requests of a modern browser.

mod balance;
mod http_1_0;
mod proxies;
mod slashes;
mod times;
mod underscores;
mod upgrades;
mod upstream_tls;
mod upstreams;

use ingress_tests::ingresses::{host_to, unclassed};
use ingress_tests::{Service, Serving, Upstream};

/// A gateway with these flags that serves `web.example` and, for all other hosts, the
/// default backend, from one upstream each.
struct Clients {
    web: Upstream,
    rest: Upstream,
    serving: Serving,
}

const ROUTES: &str = "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: routes, annotations: {kubernetes.io/ingress.class: istio}}
spec:
  defaultBackend: {service: {name: rest, port: {number: 80}}}
  rules:
  - host: web.example
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
";

impl Clients {
    fn start(flags: &[&str]) -> Self {
        let [web, rest] = ["web", "rest"].map(Upstream::start);
        let serving = Serving::start_with(&manifests(&web, &rest), flags);
        Self { web, rest, serving }
    }

    fn manifests(&self) -> String {
        manifests(&self.web, &self.rest)
    }
}

fn manifests(web: &Upstream, rest: &Upstream) -> String {
    web.manifests("web", "http", 80) + &rest.manifests("rest", "http", 80) + ROUTES
}

/// The service `web` behind `web.example`, and other objects.
fn web_manifests(web: &Service, others: &str) -> String {
    let ingress = unclassed("web", &host_to("web.example", "web"));
    format!("{}\n---\n{ingress}\n---\n{others}\n", web.manifests())
}

fn serve_web(web: &Service, others: &str, flags: &[&str]) -> Serving {
    let class = ["--ingress-controller-mode", "default"];
    Serving::start_with(&web_manifests(web, others), &[&class[..], flags].concat())
}
