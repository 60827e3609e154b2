//! The specification of a RouteRule, and a request to its service.

use ingressctl::compile::compile;
use ingressctl::manifest::read_text;
use ingressctl::settings::Settings;

use super::input;

/// The objects that a rule is compiled with: an Ingress for all hosts and two
/// services.
const NEIGHBOURS: &str = r#"
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: all, annotations: {kubernetes.io/ingress.class: istio}}
spec:
  defaultBackend: {service: {name: web, port: {number: 80}}}
  rules: [{http: {paths: [
    {path: /a, pathType: Prefix, backend: {service: {name: web, port: {name: admin}}}},
    {path: /b, pathType: Exact, backend: {service: {name: other, port: {number: 80}}}}]}}]
---
{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {ports: [{name: http, port: 80}, {name: admin, port: 81}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: other}, spec: {ports: [{name: http, port: 80}]}}
---
apiVersion: config.istio.io/v1alpha2
kind: RouteRule
metadata: {name: first}
spec: {destination: {name: web}, precedence: 2147483647, match: {request: {headers: {x-a: {prefix: b}}}}, appendHeaders: {x-first: "1"}}
---
apiVersion: config.istio.io/v1alpha2
kind: RouteRule
metadata: {name: fuzzed}
spec:
"#;

/// Compiles a specification. The resulting table decides the same in its flat form
/// as in JSON.
///
/// # Panics
/// If it does not, or if other objects are lost because of the rule.
pub fn route_rule(input: &[u8]) -> bool {
    let Some((asked, spec)) = input::split(input) else { return false };
    let Ok(spec) = std::str::from_utf8(spec) else { return false };
    // The input must stay within the document of the rule.
    if spec.contains("---") || spec.contains("...") {
        return false;
    }
    let mut text = NEIGHBOURS.to_owned();
    for line in spec.lines() {
        text.extend(["  ", line, "\n"]);
    }
    let compiled = compile(&read_text("f.yaml", &text), &Settings::default());
    let table = &compiled.gateway.table;
    assert!(table.backends.iter().any(|backend| backend.name == "default/web"), "{spec}");
    let mut rules = table.backends.iter().flat_map(|backend| &backend.rules);
    assert!(rules.clone().any(|rule| rule.name == "default/first"), "{spec}");
    let is_served = rules.any(|rule| rule.name == "default/fuzzed");
    let flat = table.flat().expect("a table that may be served");
    super::json_table::check(table, flat.clone(), &asked);
    is_served
}
