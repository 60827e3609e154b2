//! Random sets of manifests, each with its own hosts and services, so that many are
//! served at once, and random requests to their hosts.

use std::net::{Ipv4Addr, SocketAddr};

use ingress_tests::random::{manifest, rule, services};
use ingressctl::explain::Request;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

/// A set of objects and requests, in addition to the services of all sets.
#[derive(Clone, Debug)]
pub(crate) struct Set {
    pub(crate) objects: Vec<Value>,
    pub(crate) requests: Vec<Request>,
}

/// A set with this number. Only the first one may have objects for all hosts.
pub(crate) fn set(number: u8, requests: usize) -> impl Strategy<Value = Set> {
    let ingresses = prop::collection::vec(ingress(number), 1..4);
    let rules = prop::collection::vec(rule(), 0..6);
    let requests = prop::collection::vec(request(number), requests);
    (ingresses, rules, requests).prop_map(move |(ingresses, rules, requests)| {
        let mut objects = Vec::new();
        for (index, mut ingress) in ingresses.into_iter().enumerate() {
            ingress["metadata"]["name"] = json!(format!("s{number}-i{index}"));
            objects.push(ingress);
        }
        for (index, rule) in rules.iter().enumerate() {
            let name = format!("s{number}-r{index}");
            objects.push(manifest(&name, rule, &format!("s{number}-")));
        }
        Set { objects, requests }
    })
}

/// The services of a set, which are the same in every round.
pub(crate) fn services_of(number: u8, port: u16) -> Vec<Value> {
    services(&format!("s{number}-"), |service, version| address(number, service, version, port))
}

/// The endpoint of a version: the address at which a request arrives identifies the
/// version.
pub(crate) fn address(number: u8, service: &str, version: u8, port: u16) -> SocketAddr {
    let service = if service == "one" { 16 } else { 32 };
    (Ipv4Addr::new(127, 1, number, service + version), port).into()
}

fn hosts(number: u8) -> Vec<Option<String>> {
    let names = ["a.", "b.", "*.", "*.a.", "x.a."];
    let own = names.map(|name| Some(format!("{name}s{number}.example")));
    let all = (number == 0).then_some([None, None]);
    own.into_iter().chain(all.into_iter().flatten()).collect()
}

fn ingress(number: u8) -> impl Strategy<Value = Value> {
    let rules =
        prop::collection::vec((select(hosts(number)), prop::collection::vec(path(), 0..5)), 0..4);
    let age = select(vec!["2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z"]);
    (any::<bool>(), rules, age, prop::bool::weighted(0.2)).prop_map(
        move |(is_old, rules, age, has_default)| {
            let backend = |service: &str| {
                let name = format!("s{number}-{service}");
                if is_old {
                    json!({"serviceName": name, "servicePort": 80})
                } else {
                    json!({"service": {"name": name, "port": {"name": "http"}}})
                }
            };
            let rules = rules.iter().map(|(host, paths)| {
                let paths = paths.iter().map(|path| path.write(is_old, &backend));
                let http = json!({"paths": paths.collect::<Vec<_>>()});
                json!({"host": host, "http": http})
            });
            let mut spec = json!({"rules": rules.collect::<Vec<_>>()});
            if has_default && number == 0 {
                spec[if is_old { "backend" } else { "defaultBackend" }] = backend("one");
            }
            json!({
                "apiVersion": if is_old { "extensions/v1beta1" } else { "networking.k8s.io/v1" },
                "kind": "Ingress",
                "metadata": {
                    "creationTimestamp": age,
                    "annotations": {"kubernetes.io/ingress.class": "istio"},
                },
                "spec": spec,
            })
        },
    )
}

#[derive(Clone, Debug)]
struct Path {
    text: String,
    kind: &'static str,
    service: &'static str,
}

impl Path {
    /// Old API versions have no path types, but use Istio's notation.
    fn write(&self, is_old: bool, backend: &impl Fn(&str) -> Value) -> Value {
        let Self { text, kind, service } = self;
        let backend = backend(service);
        match *kind {
            "Prefix" if is_old => json!({"path": format!("{text}.*"), "backend": backend}),
            "Regex" => json!({"path": format!("{text}(a|b/?)*"), "backend": backend,
                              "pathType": (!is_old).then_some("ImplementationSpecific")}),
            _ if is_old => json!({"path": text, "backend": backend}),
            kind => json!({"path": text, "pathType": kind, "backend": backend}),
        }
    }
}

fn path() -> impl Strategy<Value = Path> {
    let kind = select(vec!["Exact", "Prefix", "Prefix", "ImplementationSpecific", "Regex"]);
    let service = select(vec!["one", "one", "one", "two", "two", "two", "missing"]);
    ("(/[ab]{1,2}){0,2}/?", kind, service).prop_map(|(text, kind, service)| Path {
        text: if text.is_empty() { "/".into() } else { text },
        kind,
        service,
    })
}

/// A request, in most cases to a host of the set.
fn request(number: u8) -> impl Strategy<Value = Request> {
    let names = ["a.", "b.", "c.", "x.a.", "y.a."];
    let others = ["y.x.a.", "", "A.", "*.", ".."];
    let name = prop_oneof![9 => select(names.to_vec()), 1 => select(others.to_vec())];
    let authority = (name, select(vec!["", "", "", ":80", "."]))
        .prop_map(move |(name, end)| format!("{name}s{number}.example{end}"));
    let path = prop_oneof![9 => "(/[ab]{1,2}){1,3}", 1 => "(/[ab]{0,2}){1,4}"];
    let plain = select(vec!["", "", "/", "?", "?x=/a"]);
    let odd = select(vec!["/.", "/..", "%61", ";a", "/%2e%2e/b", "%2fa", "\\b", "%00", "//"]);
    let end = prop_oneof![4 => plain, 1 => odd];
    let method = select(vec!["GET", "GET", "GET", "OPTIONS", "DELETE"]);
    (method, authority, (path, end), headers()).prop_map(
        |(method, authority, (path, end), extra)| Request {
            method: method.into(),
            scheme: "http".into(),
            authority,
            target: format!("{path}{end}"),
            extra,
            sni: None,
            client: Ipv4Addr::LOCALHOST.into(),
            random: None,
            answer: Vec::new(),
        },
    )
}

fn headers() -> impl Strategy<Value = Vec<(String, String)>> {
    let own = prop::collection::vec((select(vec!["x-a", "x-b"]), "[ab/]{0,3}"), 0..3);
    let origin = option::weighted(0.3, select(vec!["https://a.example", "https://b.example"]));
    let asked = option::weighted(0.5, Just("GET"));
    let upgrade = prop::bool::weighted(0.05);
    (own, origin, asked, upgrade, any::<Index>()).prop_map(
        |(own, origin, asked, is_upgrade, at)| {
            let own = own.into_iter().map(|(name, value)| (name.to_owned(), value));
            let mut all: Vec<_> = own.collect();
            let mut add = |name: &str, value: &str| all.push((name.to_owned(), value.to_owned()));
            if let Some(origin) = origin {
                add("origin", origin);
            }
            if let Some(asked) = asked {
                add("access-control-request-method", asked);
            }
            if is_upgrade {
                add("connection", "upgrade");
                add("upgrade", "websocket");
            }
            if !all.is_empty() {
                let middle = at.index(all.len());
                all.rotate_left(middle);
            }
            all
        },
    )
}
