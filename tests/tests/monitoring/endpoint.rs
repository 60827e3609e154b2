//! `/metrics` of `serve`.

use ingress_tests::{Serving, Upstream, get, promtool, wait_until};

const OBJECTS: &str = "---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: a, namespace: shop, annotations: {kubernetes.io/ingress.class: istio}}
spec:
  rules:
  - host: a.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: b, namespace: shop, annotations: {kubernetes.io/ingress.class: istio}}
spec:
  rules:
  - host: b.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: c, namespace: other, annotations: {kubernetes.io/ingress.class: istio}}
spec:
  rules:
  - host: c.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: d, namespace: shop, annotations: {kubernetes.io/ingress.class: istio}}
spec:
  rules:
  - host: d.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
apiVersion: config.istio.io/v1alpha2
kind: RouteRule
metadata: {name: moved, namespace: other}
spec:
  destination: {name: web}
  redirect: {uri: /elsewhere}
";

/// The Service `web` of both namespaces.
fn manifests(upstream: &Upstream) -> String {
    let services = upstream.manifests("web", "http", 80);
    let in_namespace = |name: &str| {
        services.replace(
            "metadata: {name: web}",
            &format!("metadata: {{name: web, namespace: {name}}}"),
        )
    };
    in_namespace("shop") + &in_namespace("other") + OBJECTS
}

fn serve(upstream: &Upstream, flags: &[&str]) -> Serving {
    let always = ["--concurrency", "1", "--access-log=false", "--health", "127.0.0.1:0"];
    Serving::start_with(&manifests(upstream), &[&always[..], flags].concat())
}

/// The lines of `/metrics` that begin with `start`, once there are any.
fn lines(serving: &Serving, start: &str) -> Vec<String> {
    let mut found = Vec::new();
    wait_until(&format!("/metrics has {start}"), || {
        let metrics = get(serving.health(), "any", "/metrics").body;
        found = metrics.lines().filter(|line| line.starts_with(start)).map(Into::into).collect();
        !found.is_empty()
    });
    found
}

#[test]
fn requests_are_counted_by_ingress_rule_status_and_outcome() {
    let upstream = Upstream::start("web");
    let serving = serve(&upstream, &["--request-metrics"]);
    for (host, status) in [("a", 200), ("a", 200), ("b", 200), ("c", 302), ("none", 404)] {
        assert_eq!(serving.get(&format!("{host}.example.com"), "/").status, status);
    }
    // The count of the last request is there at the same time as all others.
    lines(&serving, "ingress_requests_total{ingress_namespace=\"\"");
    assert_eq!(
        lines(&serving, "ingress_requests_total"),
        [
            r#"ingress_requests_total{ingress_namespace="",ingress="",route_rule="",status="4xx",outcome="answered"} 1"#,
            r#"ingress_requests_total{ingress_namespace="other",ingress="c",route_rule="other/moved",status="3xx",outcome="answered"} 1"#,
            r#"ingress_requests_total{ingress_namespace="shop",ingress="a",route_rule="",status="2xx",outcome="answered"} 2"#,
            r#"ingress_requests_total{ingress_namespace="shop",ingress="b",route_rule="",status="2xx",outcome="answered"} 1"#,
        ]
    );
    let count = r#"ingress_request_duration_seconds_count{ingress_namespace="shop",ingress="a",route_rule=""}"#;
    assert_eq!(lines(&serving, count), [format!("{count} 2")]);

    let metrics = get(serving.health(), "any", "/metrics").body;
    assert_eq!(promtool(&["check", "metrics"], &metrics), Ok(String::new()));
    assert_eq!(get(serving.health(), "any", "/readyz").status, 200);
}

/// The limit has room for two Ingresses of `shop`, and for the one of `other`, which needs
/// two because of its rule.
#[test]
fn a_namespace_does_not_use_up_the_limit_of_others() {
    let upstream = Upstream::start("web");
    let serving = serve(&upstream, &["--request-metrics", "--request-metrics-limit=4"]);
    for host in ["a", "b", "d", "c"] {
        serving.get(&format!("{host}.example.com"), "/");
    }
    lines(&serving, "ingress_requests_total{ingress_namespace=\"other\"");
    let counted = lines(&serving, "ingress_requests_total");
    for start in [
        r#"ingress_requests_total{ingress_namespace="",ingress="other",route_rule="","#,
        r#"ingress_requests_total{ingress_namespace="other",ingress="c","#,
        r#"ingress_requests_total{ingress_namespace="shop",ingress="a","#,
        r#"ingress_requests_total{ingress_namespace="shop",ingress="b","#,
    ] {
        assert!(counted.iter().any(|line| line.starts_with(start)), "{start}: {counted:?}");
    }
    assert_eq!(counted.len(), 4, "{counted:?}");
}

#[test]
fn without_the_setting_only_all_requests_are_counted() {
    let upstream = Upstream::start("web");
    let serving = serve(&upstream, &[]);
    assert_eq!(serving.get("a.example.com", "/").status, 200);
    wait_until("the response is counted", || {
        lines(&serving, "ingress_responses_total{status=\"2xx\"}")
            == ["ingress_responses_total{status=\"2xx\"} 1.0"]
    });
    let metrics = get(serving.health(), "any", "/metrics").body;
    assert!(!metrics.contains("ingress_requests_total{"), "{metrics}");
}
