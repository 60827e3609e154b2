//! Two namespaces that claim one host.

use std::time::SystemTime;

use ingress_tests::{ApiServer, Gateway, Namespace, Service, Upstream, machine_ip, wait_until};
use serde_json::json;

use crate::setup::{all_to, ingress, path, rule};

#[test]
fn a_host_belongs_to_the_namespace_that_named_it_first() {
    let api = ApiServer::shared();
    // The order of their names is the opposite of their ages.
    let older = api.namespace("claims-z");
    let newer = api.namespace("claims-a");
    let upstreams = ["older", "newer"].map(|name| Upstream::start_on(machine_ip(), name));
    for (namespace, upstream) in [&older, &newer].into_iter().zip(&upstreams) {
        namespace.create(&Service::new("web").at(upstream).manifests());
    }
    let only = path("/shop", "Prefix", "web");
    older.create(&ingress("first", &json!({"rules": [rule("claimed.example", &[only])]})));
    // Creation times have a resolution of one second.
    let second = || SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let created = second();
    wait_until("the next second", || second() > created + 1);
    let challenges = "/.well-known/acme-challenge";
    let wanted = [path("/", "Prefix", "web"), path(challenges, "Prefix", "web")];
    let mut thief = json!({"rules": [rule("claimed.example", &wanted)]});
    thief["defaultBackend"] = all_to("web")["defaultBackend"].clone();
    newer.create(&ingress("second", &thief));
    let gateway = Gateway::start_with(&newer, &["--namespace", "claims-z"]);
    assert_eq!(gateway.get("claimed.example", "/shop").by(), "older");
    for path in ["/", "/.well-known/acme-challenge/token", "/other"] {
        assert_eq!(gateway.get("claimed.example", path).status, 404, "{path}");
    }
    assert_eq!(gateway.get("nobody.example", "/").by(), "newer", "from its default backend");

    tells(&newer, "second", "host `claimed.example` belongs to namespace claims-z");
    tells(&older, "first", "claims-a/second of another namespace");

    older.delete("ingresses.networking.k8s.io", "first");
    wait_until("the newer takes over", || gateway.get("claimed.example", "/").by() == "newer");
    wait_until("all Events are gone", || newer.list("events").is_empty());
}

/// Waits for a warning about an Ingress.
fn tells(namespace: &Namespace<'_>, ingress: &str, text: &str) {
    wait_until(&format!("an Event contains {text}"), || {
        let events = namespace.list("events");
        events.iter().any(|event| {
            let is_about_it = event["involvedObject"]["name"] == ingress
                && event["involvedObject"]["kind"] == "Ingress";
            let message = event["message"].as_str().unwrap_or_default();
            is_about_it && event["type"] == "Warning" && message.contains(text)
        })
    });
}
