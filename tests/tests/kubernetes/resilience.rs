//! Outages of the API server, its data, the controller, and the pod.

use std::net::{SocketAddr, TcpStream};
use std::thread;

use ingress_tests::{
    ApiServer, Gateway, Service, Upstream, free_port, get, machine_ip, raw, wait_until,
};

use crate::setup::{host_to, ingress};

#[test]
fn the_edge_serves_on_while_the_api_is_away() {
    let api = ApiServer::start(&[]);
    let namespace = api.namespace("away");
    let upstream = Upstream::start_on(machine_ip(), "web");
    namespace.create(&Service::new("web").at(&upstream).manifests());
    namespace.create(&ingress("first", &host_to("first.example", "web")));
    let mut gateway = Gateway::start(&namespace);
    assert_eq!(gateway.get("first.example", "/").status, 200);

    api.stop_server();
    assert_eq!(gateway.get("first.example", "/").status, 200);
    // A controller that starts now knows no objects, and must not send this to
    // Envoy.
    gateway.kill_controller();
    let ready = gateway.launch_controller();
    assert_eq!(gateway.get("first.example", "/").status, 200);
    api.start_server();
    gateway.await_ready(&ready);
    assert_eq!(gateway.get("first.example", "/").status, 200);
    namespace.create(&ingress("second", &host_to("second.example", "web")));
    gateway.wait_for("second.example", "/", 200);

    api.stop_etcd();
    assert_eq!(gateway.get("second.example", "/").status, 200);
    api.start_etcd();
    namespace.create(&ingress("third", &host_to("third.example", "web")));
    gateway.wait_for("third.example", "/", 200);
    namespace.delete("ingress", "first");
    gateway.wait_for("first.example", "/", 404);
}

#[test]
fn a_controller_that_is_killed_misses_nothing() {
    let api = ApiServer::shared();
    let namespace = api.namespace("killed");
    let upstream = Upstream::start_on(machine_ip(), "web");
    namespace.create(&Service::new("web").at(&upstream).manifests());
    namespace.create(&ingress("stays", &host_to("stays.example", "web")));
    namespace.create(&ingress("goes", &host_to("goes.example", "web")));
    let mut gateway = Gateway::start(&namespace);
    let envoy = gateway.envoy_pid();

    gateway.kill_controller();
    namespace.delete("ingress", "goes");
    namespace.create(&ingress("comes", &host_to("comes.example", "web")));
    assert_eq!(gateway.get("stays.example", "/").status, 200);
    assert_eq!(gateway.get("goes.example", "/").status, 200, "Envoy has no update yet");
    gateway.start_controller();
    gateway.wait_for("goes.example", "/", 404);
    gateway.wait_for("comes.example", "/", 200);
    assert_eq!(gateway.get("stays.example", "/").status, 200);
    assert_eq!(gateway.envoy_pid(), envoy);
}

#[test]
fn a_pod_that_ends_answers_what_it_has_been_asked() {
    let api = ApiServer::shared();
    let namespace = api.namespace("ends");
    let upstream = Upstream::start_on(machine_ip(), "web");
    namespace.create(&Service::new("web").at(&upstream).manifests());
    namespace.create(&ingress("web", &host_to("web.example", "web")));
    let flags = ["--drain-delay", "2s", "--drain-timeout", "20s"];
    let mut gateway = Gateway::start_with(&namespace, &flags);
    assert_eq!(gateway.health("/healthz").status, 200);
    wait_until("the pod is ready", || gateway.health("/readyz").status == 200);

    let http = gateway.http;
    let slow = thread::spawn(move || {
        raw(http, b"GET / HTTP/1.1\r\nhost: web.example\r\nx-delay-ms: 5000\r\n\r\n").status
    });
    wait_until("the slow request arrived", || !upstream.take_received().is_empty());
    gateway.ask_to_end();
    // Load balancers need some time to notice it, and send requests until then.
    wait_until("the pod is not ready", || gateway.health("/readyz").status == 503);
    assert_eq!(gateway.get("web.example", "/").status, 200);
    assert_eq!(slow.join().unwrap(), 200);
    assert_eq!(gateway.wait_for_end(), (Some(0), Some(0)));
}

/// A pod stays in service when its controller ends for any reason.
#[test]
fn envoy_says_itself_whether_it_is_ready() {
    let api = ApiServer::shared();
    let namespace = api.namespace("probed");
    let upstream = Upstream::start_on(machine_ip(), "web");
    namespace.create(&Service::new("web").at(&upstream).manifests());
    namespace.create(&ingress("web", &host_to("web.example", "web")));
    let probe = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let flags = ["--probe", &probe.to_string(), "--drain-delay", "3s", "--drain-timeout", "20s"];
    let mut gateway = Gateway::start_with(&namespace, &flags);
    let is_ready = || {
        let listens = TcpStream::connect(probe).is_ok();
        listens && get(probe, "probe", "/ready").status == 200
    };
    wait_until("Envoy is ready", is_ready);
    assert_eq!(gateway.get("web.example", "/").status, 200);
    for path in ["/", "/readyz", "/stats", "/ready/x", "/quitquitquit"] {
        assert_eq!(get(probe, "web.example", path).status, 404, "{path}");
    }
    assert_eq!(get(probe, "probe", "/ready").body, "");

    gateway.kill_controller();
    assert!(is_ready(), "only the controller has ended");
    // An Envoy without a table is not ready.
    gateway.relaunch_envoy();
    assert!(!is_ready());
    gateway.start_controller();
    wait_until("Envoy is ready again", is_ready);
    gateway.await_envoy();

    gateway.ask_to_end();
    wait_until("Envoy is not ready", || get(probe, "probe", "/ready").status == 503);
    assert_eq!(gateway.get("web.example", "/").status, 200, "Envoy drains later");
    assert_eq!(gateway.wait_for_end(), (Some(0), Some(0)));
}
