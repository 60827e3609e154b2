//! The cost of counting requests, and of reading the metrics.

use std::thread;
use std::time::Duration;

use ingress_tests::bench::{HttpVersion, Load, Pace, Processes};
use ingress_tests::{KeepAlive, Serving, Upstream, get, say};

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

/// An Ingress and a Service, with the namespace `n<INDEX % 100>`.
fn service(upstream: &Upstream, index: usize) -> String {
    let namespace = format!("namespace: n{}, name", index % 100);
    let ingress = INGRESS.replace("shop", &format!("s{index}"));
    (upstream.manifests("web", "http", 80) + &ingress)
        .replace("metadata: {name", &format!("metadata: {{{namespace}"))
        .replace("name: web", &format!("name: s{index}"))
}

/// `cargo test -p ingress-tests --test monitoring scrape -- --ignored --nocapture`
#[test]
#[ignore = "prints a measurement, in two minutes"]
fn cost_of_a_scrape() {
    let upstream = Upstream::start("web");
    for upstreams in [100, 1_000, 10_000] {
        let manifests: String = (0..upstreams).map(|index| service(&upstream, index)).collect();
        let flags = ["--concurrency", "1", "--access-log=false", "--health", "127.0.0.1:0"];
        let serving = Serving::start_with(&manifests, &flags);
        let mut client = KeepAlive::connect(serving.http);
        for index in 0..upstreams {
            let status = client.get(&format!("s{index}.example.com"), "/").status;
            assert_eq!(status, 200, "Service {index}");
        }
        let envoy = Processes::of(serving.envoy_pid());
        let scrapes = (0..5).map(|_| {
            // Envoy's metrics are read at most once a second.
            thread::sleep(Duration::from_millis(1_100));
            let before = envoy.cpu();
            get(serving.health(), "any", "/metrics");
            (envoy.cpu() - before) / 1_000_000.0
        });
        let cost = median(scrapes.collect());
        say(&format!("CPU of Envoy for a scrape: {cost:.0} ms with {upstreams} upstreams in use"));
    }
}
