use std::fmt::Write;
use std::time::{Instant, SystemTime};

use super::*;
use crate::manifest::read_text;
use crate::selection::secrets_wanted;

/// Services with endpoints, an Ingress with a certificate, and a rule each.
fn applications(number: usize) -> String {
    let mut text = String::new();
    for index in 0..number {
        let _ = write!(
            text,
            "---
apiVersion: v1
kind: Service
metadata: {{name: s{index}}}
spec: {{ports: [{{name: http, port: 80}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: s{index}-a, labels: {{kubernetes.io/service-name: s{index}}}}}
addressType: IPv4
endpoints: [{{addresses: [10.1.0.1]}}, {{addresses: [10.1.0.2]}}]
ports: [{{name: http, port: 8080}}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: i{index}, annotations: {{kubernetes.io/ingress.class: istio}}}}
spec:
  tls: [{{hosts: [h{index}.example], secretName: c{index}}}]
  rules:
  - host: h{index}.example
    http:
      paths:
      - {{path: /, pathType: Prefix, backend: {{service: {{name: s{index}, port: {{number: 80}}}}}}}}
---
apiVersion: config.istio.io/v1alpha2
kind: RouteRule
metadata: {{name: r{index}}}
spec:
  destination: {{name: s{index}}}
  match: {{request: {{headers: {{cookie: {{regex: \"^(.*?;)?(user=jason)(;.*)?$\"}}}}}}}}
  httpReqTimeout: {{simpleTimeout: {{timeout: 4s}}}}
"
        );
    }
    text
}

/// `cargo test --release -p ingressctl --lib ten_thousand -- --ignored --nocapture`
#[test]
#[ignore = "a measurement: run it alone, in release"]
fn ten_thousand_applications() {
    let manifests = read_text("large.yaml", &applications(10_000));
    let (settings, caches) = (Settings::default(), Caches::default());
    for when in ["at first", "with all read before"] {
        let start = Instant::now();
        let wanted = secrets_wanted(manifests.objects(), &settings).value;
        println!("{when}: {} Secrets in {:?}", wanted.len(), start.elapsed());
        let start = Instant::now();
        let unreadable = UnreadableSecrets::new();
        let circumstances = Circumstances {
            refused: &Refused::default(),
            place: Where::OwnMachine,
            settings: &settings,
            now: SystemTime::now(),
            unreadable: &unreadable,
            caches: &caches,
        };
        let compiled = compile_objects(manifests.objects(), Findings::new(), &circumstances);
        println!("{when}: {} clusters in {:?}", compiled.gateway.clusters.len(), start.elapsed());
    }
}
