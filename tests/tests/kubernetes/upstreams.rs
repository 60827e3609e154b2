//! Endpoints with which a tenant tries to reach addresses of others.

use std::net::{IpAddr, Ipv4Addr};

use ingress_tests::{ApiServer, Gateway, NameServer, Service, Upstream, machine_ip, wait_until};
use serde_json::json;

use crate::setup::{host_to, ingress, object};

#[test]
fn nothing_is_served_that_only_the_gateway_can_reach() {
    let api = ApiServer::shared();
    let namespace = api.namespace("inward");
    let inside = Upstream::start("inside");
    let web = Upstream::start_on(machine_ip(), "web");
    let port = inside.address.port();
    for (name, address) in [("loopback", "127.0.0.1"), ("unspecified", "0.0.0.0")] {
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1beta1", "kind": "EndpointSlice",
            "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4", "endpoints": [{"addresses": [address]}],
            "ports": [{"name": "http", "port": port}],
        });
        let spec = json!({"ports": [{"name": "http", "port": 80}]});
        namespace.create(&object("v1", "Service", &json!({"name": name}), &spec));
        namespace.create(&slice.to_string());
    }
    let spec = json!({
        "type": "ExternalName", "externalName": "localhost",
        "ports": [{"name": "http", "port": 80}],
    });
    namespace.create(&object("v1", "Service", &json!({"name": "by-name"}), &spec));
    namespace.create(&Service::new("web").at(&web).manifests());
    for name in ["loopback", "unspecified", "by-name", "web"] {
        namespace.create(&ingress(name, &host_to(&format!("{name}.example"), name)));
    }
    let gateway = Gateway::start_with(&namespace, &["--external-name-services"]);
    gateway.wait_for("web.example", "/", 200);
    for name in ["loopback", "unspecified", "by-name"] {
        assert_eq!(gateway.get(&format!("{name}.example"), "/").status, 503, "{name}");
    }
    for (kind, name, expected) in [
        ("EndpointSlice", "loopback", "127.0.0.1 is a loopback address"),
        ("EndpointSlice", "unspecified", "0.0.0.0 is an unspecified address"),
        ("Ingress", "by-name", "the DNS name `localhost` resolves to 127.0.0.1"),
    ] {
        wait_until(&format!("an Event contains {expected}"), || {
            namespace.events_on(kind, name).iter().any(|event| event.contains(expected))
        });
    }
    assert!(inside.take_received().is_empty(), "a request arrived");
}

/// The owner of a DNS name may change its address at any time.
#[test]
fn a_name_that_turns_inward_leads_nowhere() {
    let api = ApiServer::shared();
    let namespace = api.namespace("by-name");
    let IpAddr::V4(outside) = machine_ip() else { panic!("an address of IPv4") };
    let upstream = Upstream::start_on(outside.into(), "web");
    let server = NameServer::start();
    server.set("web.outside.example", &[outside]);
    let port = upstream.address.port();
    let spec = json!({
        "type": "ExternalName", "externalName": "web.outside.example",
        "ports": [{"name": "http", "port": port}],
    });
    namespace.create(&object("v1", "Service", &json!({"name": "web"}), &spec));
    let mut spec = host_to("web.example", "web");
    spec["rules"][0]["http"]["paths"][0]["backend"]["service"]["port"]["number"] = port.into();
    namespace.create(&ingress("web", &spec));
    let flags = ["--external-name-services", "--name-servers", &server.address.to_string()]
        .map(str::to_owned);
    let gateway = Gateway::start_with(&namespace, &flags.each_ref().map(String::as_str));
    gateway.wait_for("web.example", "/", 200);

    server.set("web.outside.example", &[Ipv4Addr::LOCALHOST]);
    gateway.wait_for("web.example", "/", 503);
    let expected = "the DNS name `web.outside.example` resolves to 127.0.0.1, which is a loopback";
    wait_until(&format!("an Event contains {expected}"), || {
        namespace.events_on("Ingress", "web").iter().any(|event| event.contains(expected))
    });

    server.set("web.outside.example", &[Ipv4Addr::LOCALHOST, outside]);
    gateway.wait_for("web.example", "/", 200);
    let mut asked = server.asked();
    asked.dedup();
    assert_eq!(asked, ["web.outside.example"], "no search domain");
}
