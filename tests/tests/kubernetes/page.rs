//! The commands on the documentation page for clusters: `kubectl create`, curl,
//! `kubectl delete`.

use std::time::{Duration, Instant};

use ingress_tests::{ApiServer, Gateway, HttpBin, Service, machine_ip, wait_until, workspace};

#[test]
fn the_page_holds_with_kubectl_as_the_client() {
    let api = ApiServer::shared();
    let namespace = api.namespace("page");
    let httpbin = HttpBin::start_on(machine_ip());
    // The services of the sample, at an address that the API accepts.
    let service = Service::with_ports("httpbin", &[("http", 8000)]).at_address(httpbin.address);
    namespace.create(&service.manifests());
    let gateway = Gateway::start(&namespace);
    assert_eq!(gateway.get("httpbin", "/status/200").status, 404, "nothing is exposed");

    let ingress = sample("simple-ingress/ingress.yaml");
    namespace.run(&["create", "-f", &ingress]).unwrap();
    gateway.wait_for("httpbin", "/status/200", 200);
    let hidden = gateway.get("httpbin", "/headers");
    assert_eq!((hidden.status, hidden.header("server")), (404, Some("envoy")));
    assert_eq!(gateway.get("httpbin", "/status/418").status, 418);
    takes(&gateway, "/delay/2", 200, 2);

    let rule = sample("status-route/status-route.yaml");
    namespace.run(&["create", "-f", &rule]).unwrap();
    wait_until("the rule is served", || gateway.get("httpbin", "/delay/5").status == 504);
    takes(&gateway, "/delay/10", 504, 4);
    takes(&gateway, "/delay/2", 200, 2);
    assert_eq!(gateway.get("httpbin", "/status/200").status, 200);

    namespace.run(&["delete", "-f", &rule]).unwrap();
    wait_until("the rule is gone", || gateway.get("httpbin", "/delay/5").status == 200);
    namespace.run(&["delete", "-f", &ingress]).unwrap();
    gateway.wait_for("httpbin", "/status/200", 404);
    assert_eq!(gateway.get("httpbin", "/delay/2").status, 404);
}

fn sample(name: &str) -> String {
    workspace().join("config/samples").join(name).to_str().unwrap().to_owned()
}

/// Asserts the status, and that the response took that long or a little longer.
#[track_caller]
fn takes(gateway: &Gateway, path: &str, status: u16, seconds: u64) {
    let start = Instant::now();
    assert_eq!(gateway.get("httpbin", path).status, status, "{path}");
    // Envoy's timers may fire some milliseconds early.
    let earliest = Duration::from_millis(seconds * 1_000 - 50);
    let took = start.elapsed();
    assert!((earliest..Duration::from_secs(seconds + 3)).contains(&took), "{path}: {took:?}");
}
