//! Names that Envoy resolves.

use std::net::Ipv4Addr;

use ingress_tests::{NameServer, OwnEnvoy, Upstream, compiled, edit_json};
use serde_json::{Value, json};

/// Otherwise the owner of a name under a search domain would get the requests.
#[test]
fn no_search_domain_is_asked_for_a_service() {
    let upstream = Upstream::start("web");
    let server = NameServer::start();
    server.set("web.default.svc.cluster.local", &[Ipv4Addr::LOCALHOST]);
    let manifests = format!(
        "apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{ports: [{{name: http, port: {port}}}]}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: web, annotations: {{kubernetes.io/ingress.class: istio}}}}
spec: {{defaultBackend: {{service: {{name: web, port: {{number: {port}}}}}}}}}
",
        port = upstream.address.port()
    );
    let folder = compiled(&manifests);
    edit_json(&folder.path().join("cds.json"), |response| {
        response["resources"][0]["typed_dns_resolver_config"] = as_resolver(&server);
    });
    // The form that the kubelet writes into a pod's resolv.conf.
    let environment = [("LOCALDOMAIN", "evil.example"), ("RES_OPTIONS", "ndots:5")];
    let envoy = OwnEnvoy::start_in(&folder.path().join("bootstrap.json"), &environment);
    envoy.wait_for("any.example", "/", 200);
    let mut asked = server.asked();
    asked.dedup();
    assert_eq!(asked, ["web.default.svc.cluster.local"]);
}

fn as_resolver(server: &NameServer) -> Value {
    let (ip, port) = (server.address.ip(), server.address.port());
    json!({
        "name": "envoy.network.dns_resolver.cares",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
            "resolvers": [{"socket_address": {"address": ip, "port_value": port}}],
        },
    })
}
