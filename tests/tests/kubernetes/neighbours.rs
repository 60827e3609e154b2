//! Hostile objects in one namespace, beside the requests and the changes of another:
//! what these wait, and what memory it takes.

use std::fmt::Write as _;
use std::fs;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use ingress_tests::{
    ApiServer, Gateway, KeepAlive, Namespace, Service, Upstream, machine_ip, meanwhile, wait_until,
};
use serde_json::{Value, json};

use crate::setup::{all_to, host_to, ingress, object, path, rule};

/// What no request of the victim waits, even on a busy machine, on which other tests
/// run: some ms alone. It was 10 s and more.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// How long a change of the victim takes at most until it is served there, kubectl
/// included, which alone takes some hundred milliseconds.
const LONGEST_CHANGE: Duration = Duration::from_secs(4);

/// More than this neither process needs for a few objects, whatever is in them.
const MOST_MIB: u64 = 400;

const HOSTILE: &str = "hostile";

/// Kinds that the cases are made of.
const KINDS: &str =
    "ingresses.networking.k8s.io,services,endpointslices,endpoints,routerules.config.istio.io";

/// What somebody does to the others.
struct Case {
    name: &'static str,
    objects: Vec<String>,
    /// What an Event in their namespace says once it is dealt with.
    told: &'static str,
}

fn cases() -> Vec<Case> {
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
            objects: vec![service("inward"), slice("inward", &["127.0.0.1", "0.0.0.0"], &[15000])],
            told: "only the gateway's own pod or node could reach",
        },
        Case {
            name: "100,000 endpoints in one object",
            objects: {
                let addresses: Vec<_> =
                    (0..1_000).map(|it| format!("10.9.{}.{}", it / 250, it % 250 + 1)).collect();
                let addresses: Vec<_> = addresses.iter().map(String::as_str).collect();
                let ports: Vec<_> = (1..=100).collect();
                vec![service("many"), slice("many", &addresses, &ports)]
            },
            told: "it takes 100000 endpoints",
        },
        Case {
            name: "5,000 paths beyond a budget of 1,000",
            objects: vec![ingress("paths", &{
                let paths: Vec<_> =
                    (0..5_000).map(|it| path(&format!("/{it}"), "Exact", "web")).collect();
                json!({"rules": [rule("paths.example", &paths)]})
            })],
            told: "it takes 5000 paths",
        },
        Case {
            name: "6,000 regular expressions",
            objects: vec![route_rule("patterns", &{
                let pattern =
                    |it| (format!("x-{it}"), json!({"regex": format!("(a|b)*{it}[0-9]+")}));
                let headers: serde_json::Map<String, Value> = (0..6_000).map(pattern).collect();
                json!({"match": {"request": {"headers": headers}}})
            })],
            told: "beyond what the namespace may have",
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
        Case {
            name: "300 Secrets that may not be read",
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
            name: "50 names that nobody resolves",
            objects: {
                let names = (0..50).flat_map(|it| {
                    let external = format!("n{it}.invalid");
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
            told: "is not resolved",
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

#[test]
fn hostile_objects_hurt_their_own_namespace_alone() {
    let api = ApiServer::shared();
    let (victim, hostile) = (api.namespace("victim"), api.namespace(HOSTILE));
    let (good, bad) =
        (Upstream::start_on(machine_ip(), "victim"), Upstream::start_on(machine_ip(), "hostile"));
    victim.create(&Service::new("web").at(&good).manifests());
    let rules = json!({"rules": [
        rule("victim.example", &[path("/shop", "Prefix", "web")]),
        rule("*.wild.example", &[path("/", "Prefix", "web")]),
    ]});
    victim.create(&ingress("web", &rules));
    let flags =
        ["--namespace", HOSTILE, "--external-name-services", "--namespace-budget", "paths=1000"];
    let gateway = Gateway::start_with(&victim, &flags);
    gateway.wait_for("victim.example", "/shop", 200);

    let mut table = format!(
        "{:48} {:>12} {:>12} {:>10} {:>12}\n",
        "hostile objects", "slowest ms", "change ms", "Envoy MiB", "controller"
    );
    for case in cases() {
        hostile.create(&Service::new("web").at(&bad).manifests());
        hostile.create(&ingress("own", &host_to("hostile.example", "web")));
        let seen = beside(&case, &gateway, &victim, &hostile);
        let _ = writeln!(
            table,
            "{:48} {:>12} {:>12} {:>10} {:>12}",
            case.name,
            seen.slowest.as_millis(),
            seen.change.as_millis(),
            seen.envoy_mib,
            seen.controller_mib
        );
        assert!(seen.slowest < LONGEST_WAIT, "{}: {:?}", case.name, seen.slowest);
        assert!(seen.change < LONGEST_CHANGE, "{}: {:?}", case.name, seen.change);
        assert!(seen.envoy_mib.max(seen.controller_mib) < MOST_MIB, "{}", case.name);
        assert_eq!(gateway.get("victim.example", "/.well-known/x").status, 404, "{}", case.name);
        assert_eq!(gateway.get("below.wild.example", "/").by(), "victim", "{}", case.name);
        assert_eq!(gateway.get("hostile.example", "/").by(), "hostile", "{}", case.name);
        hostile.run(&["delete", KINDS, "--all", "--wait=false"]).expect("all is deleted");
        gateway.wait_for("hostile.example", "/", 404);
    }
    println!("{table}");
}

/// What the victim has seen.
struct Seen {
    slowest: Duration,
    /// The median of some.
    change: Duration,
    envoy_mib: u64,
    controller_mib: u64,
}

fn beside(case: &Case, gateway: &Gateway, victim: &Namespace<'_>, hostile: &Namespace<'_>) -> Seen {
    let slowest = Mutex::new(Duration::ZERO);
    let ask = || {
        let mut client = KeepAlive::connect(gateway.http);
        for _ in 0..100 {
            let start = Instant::now();
            assert_eq!(client.get("victim.example", "/shop").status, 200);
            let mut slowest = slowest.lock().unwrap();
            *slowest = start.elapsed().max(*slowest);
        }
    };
    let (mut changes, _) = meanwhile(2, ask, || {
        for object in &case.objects {
            hostile.create(object);
        }
        wait_until(&format!("{}: an Event says {}", case.name, case.told), || {
            let events = hostile.list("events");
            let message = |event: &Value| event["message"].as_str().map(str::to_owned);
            events.iter().filter_map(message).any(|message| message.contains(case.told))
        });
        let change = |round: usize| {
            let host = format!("next-{round}.example");
            let start = Instant::now();
            victim.create(&ingress(&format!("next-{round}"), &host_to(&host, "web")));
            gateway.wait_for(&host, "/", 200);
            start.elapsed()
        };
        let changes: Vec<_> = (0..3).map(change).collect();
        for round in 0..3 {
            victim.delete("ingresses.networking.k8s.io", &format!("next-{round}"));
        }
        changes
    });
    changes.sort();
    Seen {
        slowest: slowest.into_inner().unwrap(),
        change: changes[changes.len() / 2],
        envoy_mib: resident_mib(gateway.envoy_pid()),
        controller_mib: resident_mib(gateway.controller_pid()),
    }
}

fn resident_mib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    let kib = line.split_whitespace().next().and_then(|number| number.parse::<u64>().ok());
    kib.expect("a number") / 1024
}
