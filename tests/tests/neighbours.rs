//! Hostile objects in one namespace, next to requests and changes of another one:
//! how long these wait, and how much memory is used.

use std::fmt::Write as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use ingress_tests::bench::usage;
use ingress_tests::hostile::{self, Case, KINDS};
use ingress_tests::ingresses::{host_to, ingress};
use ingress_tests::{
    ApiServer, Gateway, KeepAlive, Namespace, Service, Upstream, machine_ip, meanwhile, wait_until,
};
use serde_json::Value;

/// The limit for the victim's requests on a busy machine; otherwise they take about
/// 30 ms. Earlier versions took 10 s and more.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// The time limit for serving a change of the victim, including kubectl, which
/// takes some hundred milliseconds.
const LONGEST_CHANGE: Duration = Duration::from_secs(4);

/// The memory limit of both processes for a few objects with any content.
const MOST_MIB: f64 = 400.0;

#[test]
fn hostile_objects_hurt_their_own_namespace_alone() {
    let api = ApiServer::shared();
    let (victim, hostile) = (api.namespace("victim"), api.namespace("hostile"));
    let (good, bad) =
        (Upstream::start_on(machine_ip(), "victim"), Upstream::start_on(machine_ip(), "hostile"));
    victim.create(&Service::new("web").at(&good).manifests());
    victim.create(&hostile::victim());
    let flags = [&["--namespace", "hostile"], &hostile::FLAGS[..]].concat();
    let gateway = Gateway::start_with(&victim, &flags);
    gateway.wait_for("victim.example", "/shop", 200);

    let mut table = format!(
        "{:48} {:>12} {:>12} {:>10} {:>12}\n",
        "hostile objects", "slowest ms", "change ms", "Envoy MiB", "controller"
    );
    for case in hostile::cases() {
        hostile.create(&Service::new("web").at(&bad).manifests());
        hostile.create(&ingress("own", &host_to("hostile.example", "web")));
        let seen = beside(&case, &gateway, &victim, &hostile);
        let _ = writeln!(
            table,
            "{:48} {:>12} {:>12} {:>10} {:>12}",
            case.name,
            seen.slowest.as_millis(),
            seen.change.as_millis(),
            seen.envoy_mib.round(),
            seen.controller_mib.round()
        );
        assert!(seen.slowest < LONGEST_WAIT, "{}: {:?}", case.name, seen.slowest);
        assert!(seen.change < LONGEST_CHANGE, "{}: {:?}", case.name, seen.change);
        assert!(seen.envoy_mib.max(seen.controller_mib) < MOST_MIB, "{}", case.name);
        assert_eq!(gateway.get("victim.example", "/.well-known/x").status, 404, "{}", case.name);
        assert_eq!(gateway.get("below.wild.example", "/").by(), "victim", "{}", case.name);
        assert_eq!(gateway.get("hostile.example", "/").by(), "hostile", "{}", case.name);
        hostile.run(&["delete", KINDS, "--all", "--wait=false"]).expect("all objects are deleted");
        gateway.wait_for("hostile.example", "/", 404);
    }
    println!("{table}");
}

/// The measurements for the victim.
struct Seen {
    slowest: Duration,
    /// The median.
    change: Duration,
    envoy_mib: f64,
    controller_mib: f64,
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
        wait_until(&format!("{}: an Event contains {}", case.name, case.told), || {
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
        envoy_mib: resident(gateway.envoy_pid()),
        controller_mib: resident(gateway.controller_pid()),
    }
}

fn resident(pid: u32) -> f64 {
    usage(pid).expect("a running process").resident_mib
}
