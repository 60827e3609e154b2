//! Two owners of one host.

use std::time::SystemTime;

use ingress_tests::{ApiServer, Gateway, Service, Upstream, machine_ip, wait_until};

use crate::setup::{host_to, ingress};

#[test]
fn the_older_object_keeps_a_path_and_the_newer_hears_of_it() {
    let api = ApiServer::shared();
    // By their names, the order would be the other one.
    let older = api.namespace("claims-z");
    let newer = api.namespace("claims-a");
    let upstreams = ["older", "newer"].map(|name| Upstream::start_on(machine_ip(), name));
    for (namespace, upstream) in [&older, &newer].into_iter().zip(&upstreams) {
        namespace.create(&Service::new("web").at(upstream).manifests());
    }
    older.create(&ingress("first", &host_to("claimed.example", "web")));
    // Their age is known to the second.
    let second = || SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let created = second();
    wait_until("the next second", || second() > created + 1);
    newer.create(&ingress("second", &host_to("claimed.example", "web")));
    let gateway = Gateway::start_with(&newer, &["--namespace", "claims-z"]);
    assert_eq!(gateway.get("claimed.example", "/").by(), "older");

    wait_until("an Event names the older", || {
        let events = newer.list("events");
        events.iter().any(|event| {
            let is_about_it = event["involvedObject"]["name"] == "second"
                && event["involvedObject"]["kind"] == "Ingress";
            let message = event["message"].as_str().unwrap_or_default();
            is_about_it && event["type"] == "Warning" && message.contains("claims-z/first")
        })
    });
    assert!(older.list("events").is_empty(), "the older has nothing to hear of");

    older.delete("ingresses.networking.k8s.io", "first");
    wait_until("the newer takes over", || gateway.get("claimed.example", "/").by() == "newer");
    wait_until("nothing is wrong any more, nor said to be", || newer.list("events").is_empty());
}
