//! A cluster that Envoy rejects affects only its own service.

use std::time::{Duration, Instant};

use ingress_tests::{ApiServer, Gateway, Service, Upstream, machine_ip, meanwhile, wait_until};
use serde_json::json;

use crate::setup::{host_to, ingress, object};

/// The time limit for a neighbour's change, including kubectl, which takes some
/// hundred milliseconds.
const SOON: Duration = Duration::from_secs(2);

#[test]
fn a_refused_cluster_gets_an_event_and_its_neighbours_go_on() {
    let api = ApiServer::shared();
    let namespace = api.namespace("refused-cluster");
    let upstream = Upstream::start_on(machine_ip(), "web");
    namespace.create(&Service::new("web").at(&upstream).manifests());
    namespace.create(&ingress("web", &host_to("web.example", "web")));
    let refused = |name: &str| format!("{name}.example");
    let create_refused = |name: &str| {
        let spec = json!({"ports": [{"name": "grpc", "port": 80}]});
        namespace.create(&object("v1", "Service", &json!({"name": name}), &spec));
        namespace.create(&ingress(name, &host_to(&refused(name), name)));
    };
    create_refused("at-start");
    let gateway = Gateway::start_without_http2(&namespace);
    gateway.wait_for("web.example", "/", 200);

    let ask_neighbour = || {
        assert_eq!(gateway.get("web.example", "/").by(), "web");
    };
    let ((), asked) = meanwhile(1, ask_neighbour, || {
        create_refused("later");
        for name in ["at-start", "later"] {
            wait_until("an Event on its Service", || {
                let events = namespace.events_on("Service", name);
                events.iter().any(|event| event.contains("Envoy refuses the cluster"))
            });
            assert_eq!(gateway.get(&refused(name), "/").status, 503);
        }
        for index in 0..3 {
            let (name, host) = (format!("next-{index}"), format!("next-{index}.example"));
            let start = Instant::now();
            namespace.create(&ingress(&name, &host_to(&host, "web")));
            gateway.wait_for(&host, "/", 200);
            let took = start.elapsed();
            println!("a neighbour's change, kubectl included: {took:?}");
            assert!(took < SOON, "{took:?}");
        }
        for name in ["at-start", "later"] {
            namespace.delete("services", name);
            namespace.create(&Service::new(name).at(&upstream).manifests());
            gateway.wait_for(&refused(name), "/", 200);
            wait_until("the Event is gone", || namespace.events_on("Service", name).is_empty());
        }
    });
    println!("{asked} requests to a neighbour, none failed");
}
