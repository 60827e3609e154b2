//! The address in the status of an Ingress.

use ingress_tests::{ApiServer, Gateway, Service, Upstream, machine_ip, wait_until};
use serde_json::{Value, json};

use crate::setup::{host_to, ingress};

#[test]
fn the_address_of_the_published_service_is_the_status() {
    let api = ApiServer::shared();
    let namespace = api.namespace("status");
    let upstream = Upstream::start_on(machine_ip(), "web");
    namespace.create(&Service::new("web").at(&upstream).manifests());
    namespace.create(&Service::new("edge").manifests());
    namespace.create(&ingress("web", &host_to("web.example", "web")));
    let addresses = |addresses: Value| {
        let mut service = namespace.get("service", "edge");
        service["status"] = json!({"loadBalancer": {"ingress": addresses}});
        let path = "/api/v1/namespaces/status/services/edge/status";
        namespace.run_with(&["replace", "--raw", path, "-f", "-"], &service.to_string()).unwrap();
    };
    namespace
        .run(&["patch", "service", "edge", "-p", "{\"spec\": {\"type\": \"LoadBalancer\"}}"])
        .unwrap();
    addresses(json!([{"ip": "203.0.113.8"}]));
    let _gateway = Gateway::start_with(&namespace, &["--publish-service", "status/edge"]);
    let shows = |expected: Value| {
        wait_until(&expected.to_string(), || {
            let ingress = namespace.get("ingresses.networking.k8s.io", "web");
            ingress["status"]["loadBalancer"]["ingress"] == expected
        });
    };
    shows(json!([{"ip": "203.0.113.8"}]));
    addresses(json!([{"hostname": "edge.example"}]));
    shows(json!([{"hostname": "edge.example"}]));
}
