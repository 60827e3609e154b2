//! The controller when Envoy fails.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::Duration;

use ingress_tests::{Admin, ApiServer, Gateway, Service, Upstream, machine_ip, wait_until};

use crate::setup::{host_to, ingress};

#[test]
fn an_envoy_that_starts_again_serves_what_the_last_one_did() {
    let api = ApiServer::shared();
    let namespace = api.namespace("envoy-again");
    let upstream = Upstream::start_on(machine_ip(), "web");
    namespace.create(&Service::new("web").at(&upstream).manifests());
    namespace.create(&ingress("web", &host_to("web.example", "web")));
    let mut gateway = Gateway::start(&namespace);
    gateway.kill_envoy();
    wait_until("the pod is not ready", || gateway.health("/readyz").status == 503);
    gateway.restart_envoy();
    gateway.wait_for("web.example", "/", 200);
    wait_until("the pod is ready", || gateway.health("/readyz").status == 200);
    namespace.create(&ingress("more", &host_to("more.example", "web")));
    gateway.wait_for("more.example", "/", 200);
    let other = Upstream::start_on(machine_ip(), "other");
    namespace.apply(&Service::new("web").at(&other).manifests());
    wait_until("new endpoints are served", || gateway.get("web.example", "/").by() == "other");
}

/// With an invalid module, Envoy cannot load a table.
#[test]
fn what_envoy_rejects_is_undone_and_told() {
    let api = ApiServer::shared();
    let namespace = api.namespace("rejected");
    let upstream = Upstream::start_on(machine_ip(), "web");
    namespace.create(&Service::new("web").at(&upstream).manifests());
    namespace.create(&ingress("web", &host_to("web.example", "web")));
    let gateway = Gateway::start_with(&namespace, &["--publish-address", "203.0.113.7"]);
    let address = |ingress: &str| {
        namespace.get("ingress", ingress)["status"]["loadBalancer"]["ingress"][0]["ip"].clone()
    };
    wait_until("the status has an address", || address("web") == "203.0.113.7");
    let module = gateway.shared_folder().join("ingress_filter.wasm");
    let whole = fs::read(&module).unwrap();
    fs::write(&module, "none").unwrap();

    let rejected = || gateway.health("/metrics").body;
    namespace.create(&ingress("more", &host_to("more.example", "web")));
    wait_until("the rejection is counted", || {
        rejected().contains("ingressctl_configurations_rejected_total 1\n")
    });
    let events = || namespace.events_on("Ingress", "more");
    wait_until("an Event reports it", || {
        events()
            .iter()
            .any(|event| event.contains("Envoy refuses the route table with this Ingress"))
    });
    assert_eq!(gateway.get("web.example", "/").status, 200);
    assert_eq!(gateway.get("more.example", "/").status, 404);
    assert_eq!(gateway.health("/readyz").status, 200);
    // The metric changes before any status is written.
    thread::sleep(Duration::from_secs(1));
    assert!(address("more").is_null(), "it must not have a status");

    fs::write(&module, whole).unwrap();
    namespace.create(&ingress("third", &host_to("third.example", "web")));
    gateway.wait_for("third.example", "/", 200);
    // It was left out because of the rejection, and is soon tried again.
    gateway.wait_for("more.example", "/", 200);
    wait_until("the status has an address", || address("more") == "203.0.113.7");
    wait_until("the Event is gone", || events().is_empty());
}

#[test]
fn endpoints_that_move_compile_nothing() {
    let api = ApiServer::shared();
    let namespace = api.namespace("moving");
    let (one, other) =
        (Upstream::start_on(machine_ip(), "one"), Upstream::start_on(machine_ip(), "other"));
    namespace.create(&Service::new("web").at(&one).manifests());
    namespace.create(&ingress("web", &host_to("web.example", "web")));
    let gateway = Gateway::start(&namespace);
    wait_until("the service is served", || gateway.get("web.example", "/").by() == "one");
    let compiled = || {
        let metrics = gateway.health("/metrics").body;
        let line = metrics.lines().find_map(|line| {
            line.strip_prefix("ingressctl_compile_seconds_count ")?.trim().parse::<u64>().ok()
        });
        line.expect("the count of compilations")
    };
    let before = compiled();
    for (upstream, name) in [(&other, "other"), (&one, "one"), (&other, "other")] {
        namespace.apply(&Service::new("web").at(upstream).manifests());
        wait_until("the new endpoint is served", || gateway.get("web.example", "/").by() == name);
    }
    assert_eq!(compiled(), before);
    // No endpoint is left: this is a finding, so everything is compiled.
    namespace.delete("endpointslice", "web-0");
    wait_until("no endpoint is left", || gateway.get("web.example", "/").status == 503);
    assert!(compiled() > before);
}

/// A route may lead to any port of the pod.
#[test]
fn envoy_has_no_port_but_those_that_it_serves() {
    let api = ApiServer::shared();
    let namespace = api.namespace("ports");
    let upstream = Upstream::start_on(machine_ip(), "web");
    namespace.create(&Service::new("web").at(&upstream).manifests());
    namespace.create(&ingress("web", &host_to("web.example", "web")));
    let gateway = Gateway::start(&namespace);
    let Admin::Unix(socket) = &gateway.admin else { panic!("{:?}", gateway.admin) };
    let mode = fs::metadata(socket).expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o660, "other users could control Envoy");
    // One socket per worker.
    let mut ports = listening_ports(gateway.envoy_pid());
    ports.dedup();
    assert_eq!(ports, [gateway.http.port()]);
}

/// The TCP ports on which a process listens, sorted.
fn listening_ports(pid: u32) -> Vec<u16> {
    let fds = fs::read_dir(format!("/proc/{pid}/fd")).expect("a process");
    let links = fds.filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
    let sockets: Vec<_> = links.map(|link| link.display().to_string()).collect();
    let tables =
        ["tcp", "tcp6"].map(|table| fs::read_to_string(format!("/proc/{pid}/net/{table}")));
    let tables = tables.into_iter().flatten().collect::<String>();
    let mut ports: Vec<_> = tables
        .lines()
        .filter_map(|line| {
            let fields: Vec<_> = line.split_whitespace().collect();
            let is_listening = *fields.get(3)? == "0A";
            let is_its_own = sockets.contains(&format!("socket:[{}]", fields.get(9)?));
            let (_, port) = fields.get(1)?.rsplit_once(':')?;
            (is_listening && is_its_own).then(|| u16::from_str_radix(port, 16).ok())?
        })
        .collect();
    ports.sort_unstable();
    ports
}
