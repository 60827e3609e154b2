//! Objects with which a tenant may try to harm other namespaces.

use serde_json::{Value, json};

use super::ingresses::{all_to, host_to, ingress, object, path, rule};

/// The kinds of objects in the cases.
pub const KINDS: &str =
    "ingresses.networking.k8s.io,services,endpointslices,endpoints,routerules.config.istio.io";

/// An attack on other namespaces.
pub struct Case {
    /// A short description.
    pub name: &'static str,
    /// The objects to create in a namespace with a service `web`.
    pub objects: Vec<String>,
    /// A part of the Event in that namespace once the controller has handled the
    /// attack.
    pub told: &'static str,
}

/// The flags of the gateway that some of the cases need.
pub const FLAGS: [&str; 3] = ["--external-name-services", "--namespace-budget", "paths=1000"];

/// The Ingress that some of the cases attack, with a service `web` in its own
/// namespace.
pub fn victim() -> String {
    let rules = json!({"rules": [
        rule("victim.example", &[path("/shop", "Prefix", "web")]),
        rule("*.wild.example", &[path("/", "Prefix", "web")]),
    ]});
    ingress("web", &rules)
}

/// All cases.
pub fn cases() -> Vec<Case> {
    [of_others(), of_amount(), of_waiting()].into_iter().flatten().collect()
}

/// Attempts to get hosts, certificates and addresses of others.
fn of_others() -> Vec<Case> {
    vec![
        Case {
            name: "paths and a default backend for another's host",
            objects: vec![ingress("thief", &{
                let mut spec = json!({"rules": [
                    rule("victim.example", &[path("/.well-known", "Prefix", "web")]),
                    rule("below.wild.example", &[path("/", "Prefix", "web")]),
                ]});
                spec["defaultBackend"] = all_to("web")["defaultBackend"].clone();
                spec
            })],
            told: "belongs to namespace",
        },
        Case {
            name: "a certificate for another's host",
            objects: vec![ingress("impostor", &{
                let mut spec = host_to("impostor.example", "web");
                spec["tls"] = json!([{"hosts": ["victim.example"], "secretName": "mine"}]);
                spec
            })],
            told: "does not get this certificate",
        },
        Case {
            name: "endpoints at 127.0.0.1 and 0.0.0.0",
            objects: vec![
                service("inward"),
                slice("inward", &["127.0.0.1", "0.0.0.0"], &[15000]),
                ingress("inward", &host_to("inward.example", "inward")),
            ],
            told: "only the gateway's own pod or node could reach",
        },
    ]
}

/// Attempts to exceed a limit.
fn of_amount() -> Vec<Case> {
    vec![
        Case {
            name: "100,000 endpoints in one object",
            objects: {
                let addresses: Vec<_> =
                    (0..1_000).map(|it| format!("10.9.{}.{}", it / 250, it % 250 + 1)).collect();
                let addresses: Vec<_> = addresses.iter().map(String::as_str).collect();
                let ports: Vec<_> = (1..=100).collect();
                vec![service("many"), slice("many", &addresses, &ports)]
            },
            told: "it needs 100000 endpoints",
        },
        Case {
            name: "5,000 paths beyond a budget of 1,000",
            objects: vec![ingress("paths", &{
                let paths: Vec<_> =
                    (0..5_000).map(|it| path(&format!("/{it}"), "Exact", "web")).collect();
                json!({"rules": [rule("paths.example", &paths)]})
            })],
            told: "it needs 5000 paths",
        },
        Case {
            name: "6,000 regular expressions",
            objects: vec![route_rule("patterns", &{
                let pattern =
                    |it| (format!("x-{it}"), json!({"regex": format!("(a|b)*{it}[0-9]+")}));
                let headers: serde_json::Map<String, Value> = (0..6_000).map(pattern).collect();
                json!({"match": {"request": {"headers": headers}}})
            })],
            told: "exceeds the budget of its namespace",
        },
        Case {
            name: "a rule of 1.1 MB, and a service of 90 ports",
            objects: {
                let ports = (0..90).map(|it| json!({"name": format!("p{it}"), "port": 1_000 + it}));
                let spec = json!({"ports": ports.collect::<Vec<_>>()});
                let headers = (0..1_050).map(|it| (format!("x-{it}"), "v".repeat(1_000).into()));
                let headers: serde_json::Map<String, Value> = headers.collect();
                let never = json!({"request": {"headers": {"x-never": {"exact": "never"}}}});
                vec![
                    object("v1", "Service", &json!({"name": "ports"}), &spec),
                    route_rule("large", &json!({"match": never, "appendHeaders": headers})),
                    ingress("unserved", &host_to("unserved.example", "nowhere")),
                ]
            },
            told: "there is no service",
        },
    ]
}

/// Attempts to make the gateway wait for responses that never come.
fn of_waiting() -> Vec<Case> {
    vec![
        Case {
            name: "300 Secrets without permission to read them",
            objects: vec![ingress("secrets", &{
                let mut spec = host_to("secrets.example", "web");
                let entries = (0..300).map(|it| {
                    json!({"hosts": [format!("s{it}.example")], "secretName": format!("s{it}")})
                });
                spec["tls"] = entries.collect::<Vec<_>>().into();
                spec
            })],
            told: "may not be read",
        },
        Case {
            name: "50 names that do not resolve",
            objects: {
                let names = (0..50).flat_map(|it| {
                    let external = format!("n{it}.nowhere.example");
                    let spec = json!({"type": "ExternalName", "externalName": external,
                        "ports": [{"name": "http", "port": 80}]});
                    let name = format!("n{it}");
                    let host = format!("{name}.example");
                    [
                        object("v1", "Service", &json!({"name": name}), &spec),
                        ingress(&name, &host_to(&host, &name)),
                    ]
                });
                names.collect()
            },
            told: "cannot be resolved",
        },
    ]
}

fn service(name: &str) -> String {
    let spec = json!({"ports": [{"name": "http", "port": 80}]});
    object("v1", "Service", &json!({"name": name}), &spec)
}

fn slice(service: &str, addresses: &[&str], ports: &[u16]) -> String {
    let endpoints: Vec<_> = addresses.iter().map(|it| json!({"addresses": [it]})).collect();
    let ports: Vec<_> =
        ports.iter().map(|it| json!({"name": format!("p{it}"), "port": it})).collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1beta1", "kind": "EndpointSlice",
        "metadata": {"name": service, "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4", "endpoints": endpoints, "ports": ports,
    })
    .to_string()
}

fn route_rule(name: &str, spec: &Value) -> String {
    let mut spec = spec.clone();
    spec["destination"] = json!({"name": "web"});
    object("config.istio.io/v1alpha2", "RouteRule", &json!({"name": name}), &spec)
}
