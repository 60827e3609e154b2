//! Tracing, with a collector of the test's own.

use std::fs;

use ingress_tests::ingresses::{ingress, path, rule};
use ingress_tests::{ApiServer, Collector, Gateway, Service, Serving, Upstream, machine_ip, raw};
use serde_json::json;
use tempfile::TempDir;

const INGRESS: &str = "---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, annotations: {kubernetes.io/ingress.class: istio}}
spec:
  rules:
  - host: shop.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
apiVersion: config.istio.io/v1alpha2
kind: RouteRule
metadata: {name: all}
spec: {destination: {name: web}, httpReqTimeout: {simpleTimeout: {timeout: 4s}}}
";

/// The parent of a client, whose span was sampled.
const PARENT: &str = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A gateway with tracing.
struct Site {
    serving: Serving,
    upstream: Upstream,
    collector: Collector,
    _folder: TempDir,
}

impl Site {
    /// With these settings of tracing, and others.
    fn start(tracing: &str, others: &str) -> Self {
        let collector = Collector::start();
        let folder = tempfile::tempdir().unwrap();
        let settings = folder.path().join("settings.yaml");
        let address = collector.address;
        let text = format!("tracing: {{collector: '{address}', {tracing}}}\n{others}");
        fs::write(&settings, text).unwrap();
        let upstream = Upstream::start("web");
        let manifests = upstream.manifests("web", "http", 80) + INGRESS;
        let settings = settings.to_str().unwrap();
        let flags = ["--concurrency", "1", "--access-log=false", "--settings", settings];
        let serving = Serving::start_with(&manifests, &flags);
        Self { serving, upstream, collector, _folder: folder }
    }

    /// Sends a request with a header, and returns the `traceparent` that the upstream got.
    fn send(&self, path: &str, header: &str) -> Option<String> {
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: shop.example.com\r\n{header}\r\nconnection: close\r\n\r\n"
        );
        assert_eq!(raw(self.serving.http, request.as_bytes()).status, 200);
        let received = self.upstream.take_received().pop().unwrap();
        let value = received.values("traceparent").first().map(|value| value.to_vec());
        value.map(|value| String::from_utf8(value).unwrap())
    }
}

#[test]
fn a_span_names_the_objects_and_continues_at_the_upstream() {
    let site = Site::start("samplingPercent: 100, serviceName: edge", "");
    let sent = site.send("/mark", "x-any: 1").unwrap();
    let span = site.collector.span("/mark");
    assert_eq!(span.service, "edge");
    assert_eq!(span.attributes["ingress_route"], "default/web#0.0");
    assert_eq!(span.attributes["route_rule"], "default/all");
    assert_eq!(span.attributes["http.status_code"], "200");
    assert_eq!(span.parent_id, "");
    assert_eq!(sent, format!("00-{}-{}-01", span.trace_id, span.span_id));
}

/// Neither by the header of OpenTelemetry nor by those of Envoy.
#[test]
fn a_client_cannot_force_a_trace_or_continue_one() {
    let site = Site::start("samplingPercent: 0.0001", "");
    for (path, header) in [
        ("/parent", PARENT),
        ("/client", "x-client-trace-id: 1"),
        ("/force", "x-envoy-force-trace: true"),
        ("/id", "x-request-id: 0af76519-16cd-9348-a448-eb211c80319c"),
    ] {
        let sent = site.send(path, header).unwrap_or_default();
        assert!(!sent.contains("0af7651916cd43dd8448eb211c80319c"), "{header}: {sent}");
        assert!(!sent.ends_with("-01"), "{header}: {sent}");
    }
    // Envoy sends spans once they are five, so one more site is the mark for the time.
    let other = Site::start("samplingPercent: 100", "");
    other.send("/mark", "x-any: 1");
    other.collector.span("/mark");
    assert_eq!(site.collector.spans(), []);
}

#[test]
fn a_trusted_proxy_decides_about_the_trace() {
    let site = Site::start("samplingPercent: 0.0001", "trustedHops: 1\n");
    let sent = site.send("/parent", PARENT).unwrap();
    let span = site.collector.span("/parent");
    assert_eq!(span.trace_id, "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(span.parent_id, "b7ad6b7169203331");
    assert_eq!(sent, format!("00-{}-{}-01", span.trace_id, span.span_id));
}

#[test]
fn without_tracing_the_headers_of_clients_are_forwarded() {
    let upstream = Upstream::start("web");
    let serving = Serving::start(&(upstream.manifests("web", "http", 80) + INGRESS));
    let request = format!(
        "GET / HTTP/1.1\r\nhost: shop.example.com\r\n{PARENT}\r\nconnection: close\r\n\r\n"
    );
    assert_eq!(raw(serving.http, request.as_bytes()).status, 200);
    let received = upstream.take_received().pop().unwrap();
    let values = received.values("traceparent");
    assert_eq!(values, [PARENT.strip_prefix("traceparent: ").unwrap().as_bytes()]);
}

/// Its Envoy knows no collector, so it would reject the listeners, such as a first one for
/// HTTPS, or those of an Envoy that starts again.
#[test]
fn without_the_collector_in_its_folder_a_controller_serves_and_warns() {
    let namespace = ApiServer::shared().namespace("late-tracing");
    let upstream = Upstream::start_on(machine_ip(), "web");
    namespace.create(&Service::new("web").at(&upstream).manifests());
    let serve = |name: &str, host: &str| {
        let spec = json!({"rules": [rule(host, &[path("/", "Prefix", "web")])]});
        namespace.create(&ingress(name, &spec));
    };
    serve("before", "before.example.com");
    let mut gateway = Gateway::start(&namespace);
    gateway.wait_for("before.example.com", "/", 200);
    gateway.kill_controller();
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("settings.yaml");
    fs::write(&settings, "tracing: {collector: 'collector.example:4317'}\n").unwrap();
    gateway.add_flags(&["--settings", settings.to_str().unwrap()]);
    gateway.start_controller();
    serve("after", "after.example.com");
    gateway.wait_for("after.example.com", "/", 200);
    let log = gateway.log();
    assert!(log.contains("no traces are sent"), "{log}");
    assert!(!log.contains("rejected"), "{log}");
    gateway.restart_envoy();
    gateway.wait_for("after.example.com", "/", 200);
}
