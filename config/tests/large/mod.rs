//! Large manifests, and the time limit for them.

use std::fmt::Write;
use std::time::{Duration, Instant};

use ingress_filter::Router;
use ingressctl::compile::{Compiled, compile};
use ingressctl::manifest::read_text;
use ingressctl::settings::Settings;

/// Enough for a debug build on a busy machine; it usually takes a second or two.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) fn compile_large(what: &str, text: &str) -> Compiled {
    let start = Instant::now();
    let compiled = compile(&read_text("large.yaml", text), &Settings::default());
    let router = Router::new(&compiled.gateway.table);
    let taken = start.elapsed();
    println!("{what}: {} MB in {taken:.2?}", text.len() / 1_000_000);
    assert!(taken < PATIENCE, "{what}: {taken:?}");
    assert!(router.is_ok(), "{what}: {:?}", router.err());
    compiled
}

pub(crate) const SERVICE: &str = "apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80}]}
";

pub(crate) fn ingress(name: &str, host: &str, paths: impl Iterator<Item = String>) -> String {
    let mut text = format!(
        "---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {name}
  annotations: {{kubernetes.io/ingress.class: istio}}
spec:
  rules:
  - host: {host}
    http:
      paths:
"
    );
    for path in paths {
        let _ = writeln!(
            text,
            "      - path: {path}\n        pathType: Prefix\n        backend: {{service: {{name: web, port: {{number: 80}}}}}}"
        );
    }
    text
}
