//! The cost of counting requests.

use ingress_tests::bench::{HttpVersion, Load, Pace, Processes};
use ingress_tests::{Serving, Upstream, say};

const INGRESS: &str = "---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, annotations: {kubernetes.io/ingress.class: istio}}
spec:
  rules:
  - host: shop.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
";

/// One of the two that are compared.
struct Side {
    serving: Serving,
    envoy: Processes,
    /// CPU time of Envoy for a request, in microseconds, in each slice.
    costs: Vec<f64>,
}

impl Side {
    fn start(manifests: &str, flag: &str) -> Self {
        let flags = ["--concurrency", "1", "--access-log=false", flag];
        let serving = Serving::start_with(manifests, &flags);
        let envoy = Processes::of(serving.envoy_pid());
        Self { serving, envoy, costs: Vec::new() }
    }

    fn slice(&mut self, load: &Load) -> f64 {
        let before = self.envoy.cpu();
        let slice = load.slice(self.serving.http, Pace::Full);
        let cost = (self.envoy.cpu() - before) / slice.requests / 1_000.0;
        self.costs.push(cost);
        cost
    }
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// `cargo test -p ingress-tests --test monitoring cost -- --ignored --nocapture`
#[test]
#[ignore = "prints a measurement, in a minute"]
fn cost_of_request_metrics() {
    let upstream = Upstream::start("web");
    let manifests = upstream.manifests("web", "http", 80) + INGRESS;
    let mut with = Side::start(&manifests, "--request-metrics=true");
    let mut without = Side::start(&manifests, "--request-metrics=false");
    let load = Load::new(HttpVersion::Http1, "shop.example.com", "/", 1);
    for side in [&mut with, &mut without] {
        side.slice(&load);
        side.costs.clear();
    }
    let ratios = (0..20).map(|round| {
        let (mut first, mut second) = (&mut with, &mut without);
        if round % 2 == 1 {
            (first, second) = (second, first);
        }
        let (a, b) = (first.slice(&load), second.slice(&load));
        if round % 2 == 1 { b / a } else { a / b }
    });
    let ratio = median(ratios.collect());
    let (with, without) = (median(with.costs), median(without.costs));
    say(&format!(
        "CPU of Envoy for a request: {with:.1} µs with request metrics, {without:.1} µs without; \
         ratio of pairs of slices {ratio:.3}"
    ));
}
