use std::fmt::Write as _;

use crate::budget::{Level, Limits, Resource};
use crate::compile::{Compiled, compile};
use crate::manifest::read_text;
use crate::settings::Settings;

/// An Ingress with this namespace, second of its creation, and number of paths.
fn ingress(namespace: &str, second: u8, paths: usize) -> String {
    let mut text = format!(
        "---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: i{second}
  namespace: {namespace}
  creationTimestamp: 2026-01-01T00:00:{second:02}Z
  annotations: {{kubernetes.io/ingress.class: istio}}
spec:
  rules:
  - host: {namespace}.example
    http:
      paths:
"
    );
    for path in 0..paths {
        let _ = writeln!(
            text,
            "      - {{path: /{second}/{path}, pathType: Exact, backend: {{service: {{name: web, \
             port: {{number: 80}}}}}}}}"
        );
    }
    text
}

fn rule(namespace: &str, second: u8, conditions: usize) -> String {
    let headers: Vec<_> = (0..conditions).map(|it| format!("x-{it}: {{exact: a}}")).collect();
    format!(
        "---
apiVersion: config.istio.io/v1alpha2
kind: RouteRule
metadata: {{name: r{second}, namespace: {namespace}, \
         creationTimestamp: '2026-01-01T00:00:{second:02}Z'}}
spec:
  destination: {{name: web}}
  match: {{request: {{headers: {{{}}}}}}}
  httpReqTimeout: {{simpleTimeout: {{timeout: 4s}}}}
",
        headers.join(", ")
    )
}

fn slice(namespace: &str, second: u8, endpoints: usize) -> String {
    let endpoints: Vec<_> =
        (0..endpoints).map(|it| format!("{{addresses: [10.1.{second}.{it}]}}")).collect();
    format!(
        "---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: web-{second}, namespace: {namespace}, creationTimestamp: \
         '2026-01-01T00:00:{second:02}Z', labels: {{kubernetes.io/service-name: web}}}}
addressType: IPv4
endpoints: [{}]
ports: [{{name: http, port: 8080}}]
",
        endpoints.join(", ")
    )
}

fn service(namespace: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: web, namespace: {namespace}}}\n\
         spec: {{ports: [{{name: http, port: 80}}]}}\n"
    )
}

fn compile_with(objects: &[String], change: impl FnOnce(&mut Settings)) -> Compiled {
    let mut settings = Settings::default();
    change(&mut settings);
    compile(&read_text("f", &objects.concat()), &settings)
}

fn limits(text: &str) -> Limits {
    text.parse().unwrap()
}

/// The sources of all routes.
fn routes(compiled: &Compiled) -> Vec<&str> {
    let hosts = &compiled.gateway.table.virtual_hosts;
    let routes = hosts.iter().flat_map(|host| &host.routes).map(|route| &*route.source);
    let mut routes: Vec<_> =
        routes.map(|source| source.split_once('#').map_or(source, |(name, _)| name)).collect();
    routes.dedup();
    routes
}

fn findings(compiled: &Compiled) -> Vec<String> {
    compiled.findings.iter().map(ToString::to_string).collect()
}

#[test]
fn the_newest_objects_of_a_namespace_are_left_out() {
    let objects = [
        service("a"),
        service("b"),
        ingress("a", 3, 2),
        ingress("a", 1, 4),
        ingress("a", 2, 5),
        ingress("b", 4, 8),
    ];
    let compiled = compile_with(&objects, |it| it.namespace_budget = limits("paths=8"));
    assert_eq!(routes(&compiled), ["a/i1", "a/i3", "b/i4"], "what still fits is served");
    assert_eq!(
        findings(&compiled)
            .iter()
            .map(|finding| finding.split_once(' ').unwrap().1)
            .collect::<Vec<_>>(),
        [
            "error: Ingress a/i2: metadata.name: is left out: it needs 5 paths, and older objects of \
          namespace a have 4 of 8, its budget; remove some, or raise the setting namespaceBudget [budget-exceeded]"
        ]
    );
    let usage = compiled.usage.closest(&limits("paths=8").at(Level::Namespace), 1);
    let [(namespace, shares)] = &usage[..] else { panic!("{usage:?}") };
    assert_eq!((*namespace, shares[0]), ("b", (Resource::Paths, 1.0)));
}

#[test]
fn one_object_may_not_take_all() {
    let objects = [service("a"), ingress("a", 1, 6), ingress("a", 2, 5)];
    let compiled = compile_with(&objects, |it| it.object_budget = limits("paths=5"));
    assert_eq!(routes(&compiled), ["a/i2"]);
    assert!(findings(&compiled)[0].contains("it needs 6 paths, but one object may have 5"));
}

#[test]
fn what_all_may_take_is_shared_evenly() {
    let objects = [
        service("greedy"),
        service("modest"),
        ingress("greedy", 1, 4),
        ingress("greedy", 2, 4),
        ingress("greedy", 3, 4),
        ingress("modest", 4, 3),
    ];
    let compiled = compile_with(&objects, |it| it.total_budget = limits("paths=12"));
    assert_eq!(routes(&compiled), ["greedy/i1", "greedy/i2", "modest/i4"]);
    let found = findings(&compiled);
    let expected = "have 8 of 9, its share of all; remove some, or raise the setting totalBudget";
    assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
}

#[test]
fn rules_conditions_and_endpoints_have_budgets() {
    let objects = [
        service("a"),
        ingress("a", 1, 1),
        rule("a", 3, 4),
        rule("a", 2, 2),
        slice("a", 5, 3),
        slice("a", 4, 2),
    ];
    let compiled =
        compile_with(&objects, |it| it.namespace_budget = limits("conditions=5,endpoints=4"));
    let rules = &compiled.gateway.table.backends[0].rules;
    assert_eq!(rules.iter().map(|rule| &*rule.name).collect::<Vec<_>>(), ["a/r2"]);
    let clusters: Vec<_> = compiled.gateway.clusters.values().collect();
    let discovery = format!("{:?}", clusters[0].discovery);
    assert!(discovery.contains("10.1.4.0") && !discovery.contains("10.1.5.0"), "{discovery}");
    let found = findings(&compiled).join("\n");
    for expected in [
        "RouteRule a/r3: metadata.name: is left out: it needs 4 conditions",
        "EndpointSlice a/web-5: metadata.name: is left out: it needs 3 endpoints",
    ] {
        assert!(found.contains(expected), "{found}");
    }
}

#[test]
fn what_several_objects_name_counts_once() {
    let objects = [service("a"), ingress("a", 1, 3), ingress("a", 2, 3), ingress("a", 3, 3)];
    let compiled = compile_with(&objects, |it| it.namespace_budget = limits("services=1,hosts=1"));
    assert_eq!(routes(&compiled), ["a/i1", "a/i2", "a/i3"]);
}

#[test]
fn secrets_beyond_the_budget_are_not_asked_for() {
    let tls = |second: u8, secrets: usize| {
        let entries: Vec<_> = (0..secrets)
            .map(|it| format!("{{hosts: [h{second}-{it}.example], secretName: s{second}-{it}}}"))
            .collect();
        ingress("a", second, 1)
            .replace("spec:\n", &format!("spec:\n  tls: [{}]\n", entries.join(", ")))
    };
    let objects = [service("a"), tls(1, 2), tls(2, 3), tls(3, 1)];
    let compiled = compile_with(&objects, |it| it.namespace_budget = limits("secrets=3"));
    let asked: Vec<_> = compiled.secrets.iter().map(ToString::to_string).collect();
    let expected = ["a/s1-0", "a/s1-1", "a/s3-0", "istio-system/istio-ingress-certs"];
    assert_eq!(asked, expected);
}
