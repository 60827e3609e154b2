use std::fmt::Write as _;

use crate::compile::{Compiled, compile};
use crate::manifest::read_text;
use crate::settings::{HostOwnership, Settings};

/// Ingresses with a namespace and a list of hosts, the oldest first.
fn compile_hosts(ingresses: &[(&str, &[&str])], ownership: HostOwnership) -> Compiled {
    let mut text = String::new();
    for (index, (namespace, hosts)) in ingresses.iter().enumerate() {
        let _ = write!(
            text,
            "---
apiVersion: v1
kind: Service
metadata: {{name: web{index}, namespace: {namespace}}}
spec: {{ports: [{{port: 80}}]}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: i{index}
  namespace: {namespace}
  creationTimestamp: 2026-01-01T00:00:0{index}Z
  annotations: {{kubernetes.io/ingress.class: istio}}
spec:
  rules:
"
        );
        for host in *hosts {
            let host = if *host == "*" { String::new() } else { format!("host: '{host}', ") };
            let _ = writeln!(
                text,
                "  - {{{host}http: {{paths: [{{path: /{index}, pathType: Exact, \
                 backend: {{service: {{name: web{index}, port: {{number: 80}}}}}}}}]}}}}"
            );
        }
    }
    let settings = Settings { host_ownership: ownership, ..Settings::default() };
    compile(&read_text("f", &text), &settings)
}

/// The sources of the routes of each host.
fn served(compiled: &Compiled) -> Vec<(String, Vec<String>)> {
    let host = |host: &ingress_filter::table::VirtualHost| {
        let sources = host.routes.iter().map(|route| route.source.clone());
        (host.hosts.join(" "), sources.collect())
    };
    compiled.gateway.table.virtual_hosts.iter().map(host).collect()
}

fn findings(compiled: &Compiled) -> Vec<String> {
    compiled.findings.iter().map(ToString::to_string).collect()
}

#[test]
fn a_host_belongs_to_the_namespace_that_named_it_first() {
    let compiled = compile_hosts(
        &[("b", &["a.example"]), ("a", &["a.example", "own.example"]), ("b", &["a.example"])],
        HostOwnership::Namespace,
    );
    assert_eq!(
        served(&compiled),
        [
            ("a.example".into(), vec!["b/i0#0.0".into(), "b/i2#0.0".into()]),
            ("own.example".into(), vec!["a/i1#1.0".into()]),
        ]
    );
    assert_eq!(
        findings(&compiled),
        [
            "f:16:12: warning: Ingress b/i0: spec.rules[0].host: Ingress a/i1 of another namespace \
             also names host `a.example`. It is not served there, because this Ingress is older; to \
             let namespaces share hosts, set hostOwnership: shared [host-wanted-by-other-namespace]",
            "f:32:12: error: Ingress a/i1: spec.rules[0].host: host `a.example` belongs to \
             namespace b, whose Ingress b/i0 named it first at f:16:12; use another host, or set \
             hostOwnership: shared to let namespaces share hosts. This rule is not served [host-of-other-namespace]",
        ]
    );
}

#[test]
fn the_hosts_below_a_wildcard_belong_to_its_owner() {
    let older_wildcard = [("a", &["*.example"][..]), ("b", &["x.example", "x.y.example"])];
    let compiled = compile_hosts(&older_wildcard, HostOwnership::Namespace);
    assert_eq!(
        served(&compiled),
        [
            ("*.example".into(), vec!["a/i0#0.0".into()]),
            ("x.y.example".into(), vec!["b/i1#1.0".into()])
        ]
    );
    let told = findings(&compiled).join("\n");
    assert!(
        told.contains("of another namespace also names host `x.example`. It is not served"),
        "{told}"
    );
    assert!(told.contains("whose Ingress a/i0 named host `*.example` first at f"), "{told}");

    let older_host = [("b", &["x.example"][..]), ("a", &["*.example"]), ("b", &["x.example"])];
    let compiled = compile_hosts(&older_host, HostOwnership::Namespace);
    assert_eq!(
        served(&compiled),
        [
            ("*.example".into(), vec!["a/i1#0.0".into()]),
            ("x.example".into(), vec!["b/i0#0.0".into(), "b/i2#0.0".into()])
        ]
    );
    assert_eq!(findings(&compiled), [""; 0]);
}

#[test]
fn no_host_is_a_host_of_its_own() {
    let ingresses = [("a", &["*"][..]), ("b", &["b.example", "*"])];
    let compiled = compile_hosts(&ingresses, HostOwnership::Namespace);
    assert_eq!(
        served(&compiled),
        [("*".into(), vec!["a/i0#0.0".into()]), ("b.example".into(), vec!["b/i1#0.0".into()])]
    );
    let told = findings(&compiled).join("\n");
    let expected = "error: Ingress b/i1: spec.rules[1]: every host that no Ingress names belongs \
                    to namespace a";
    assert!(told.contains(expected), "{told}");
}

#[test]
fn hosts_are_shared_where_the_settings_say_so() {
    let ingresses = [("a", &["a.example", "*"][..]), ("b", &["a.example", "*"])];
    let compiled = compile_hosts(&ingresses, HostOwnership::Shared);
    let both = || vec!["a/i0#0.0".into(), "b/i1#0.0".into()];
    let served = served(&compiled);
    assert_eq!(served[1], ("a.example".into(), both()));
    assert_eq!(served[0].1.len(), 2);
    assert_eq!(findings(&compiled), [""; 0]);
}
