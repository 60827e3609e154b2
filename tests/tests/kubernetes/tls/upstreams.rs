//! Upstreams with TLS, whose Services name Secrets.

use ingress_tests::{
    ApiServer, Authority, Gateway, Issued, TlsFront, Upstream, machine_ip, raw, wait_until,
};
use serde_json::{Value, json};

use super::site::Site;
use crate::setup::{host_to, ingress, object};

/// An upstream with TLS, which requires a client certificate, and the Secrets for it.
struct Secured {
    authority: Authority,
    clients: Authority,
    web: Upstream,
    front: TlsFront,
}

impl Secured {
    fn start() -> Self {
        let (authority, clients) = (Authority::new(), Authority::new());
        let web = Upstream::start_on(machine_ip(), "secured");
        let front = front(&authority.issue(&["secured.example"]), &clients, &web);
        Self { authority, clients, web, front }
    }

    /// The Service `secured`.
    fn service() -> String {
        let annotations = json!({
            "ingressctl/upstream-ca-secret": "secured-ca",
            "ingressctl/upstream-client-secret": "secured-client",
            "ingressctl/upstream-server-name": "secured.example",
            "example.com/other": "x",
        });
        let metadata = json!({"name": "secured", "annotations": annotations});
        object("v1", "Service", &metadata, &json!({"ports": [{"name": "https", "port": 80}]}))
    }

    /// Its endpoint.
    fn endpoints(front: &TlsFront) -> Value {
        json!({
            "apiVersion": "discovery.k8s.io/v1beta1", "kind": "EndpointSlice",
            "metadata": {"name": "secured", "labels": {"kubernetes.io/service-name": "secured"}},
            "addressType": "IPv4", "ports": [{"name": "https", "port": front.address.port()}],
            "endpoints": [{"addresses": [front.address.ip()], "conditions": {"ready": true}}],
        })
    }
}

fn front(certificate: &Issued, clients: &Authority, web: &Upstream) -> TlsFront {
    TlsFront::start_on(machine_ip(), certificate, web.address, Some(clients))
}

/// The upstream that responds, on a connection that it then closes.
fn answer(gateway: &Gateway) -> String {
    let request = "GET / HTTP/1.1\r\nhost: secured.example\r\nx-answer-connection: close\r\n\r\n";
    raw(gateway.http, request.as_bytes()).by()
}

#[test]
fn secrets_of_services_are_read_with_the_permissions_that_are_printed() {
    let api = ApiServer::shared();
    let site = Site::create(api, "upstream-secrets");
    let namespace = &site.namespace;
    let Secured { authority, clients, web, front } = Secured::start();
    namespace.create(&Secured::service());
    namespace.create(&Secured::endpoints(&front).to_string());
    namespace.create(&ingress("secured", &host_to("secured.example", "secured")));
    namespace.create(&ingress("web", &host_to("web.example", "web")));
    let secret =
        |authority: &Authority| authority.secret(&namespace.name, "secured-ca").to_string();
    namespace.create(&secret(&authority));
    let own = clients.issue(&["gateway"]);
    namespace.create(&own.secret(&namespace.name, "secured-client").to_string());
    // Other Secrets of the namespace are not needed.
    namespace.create(&own.secret(&namespace.name, "other").to_string());

    // First without permissions, which only affects this service.
    let mut gateway = Gateway::start_with(namespace, &site.flags());
    gateway.wait_for("web.example", "/", 200);
    for secret in ["secured-ca", "secured-client"] {
        let expected = format!("`{}/{secret}` may not be read", namespace.name);
        wait_until(&format!("an Event contains {expected}"), || {
            namespace.events_on("Service", "secured").iter().any(|it| it.contains(&expected))
        });
    }
    assert_eq!(answer(&gateway), "503");
    site.allow(&[ingress("secured", &host_to("secured.example", "secured")), Secured::service()]);
    let role = namespace.get("role", "istio-ingress-certificates");
    let names = json!(["default", "secured-ca", "secured-client"]);
    assert_eq!(role["rules"][0]["resourceNames"], names);
    wait_until("it is served", || answer(&gateway) == "secured");
    wait_until("the findings are resolved", || {
        namespace.events_on("Service", "secured").is_empty()
    });
    assert_eq!(front.take_handshakes().last().expect("one").client, Some(own.der()));

    // Another authority, then a new one that the upstream has, too.
    let clusters = gateway.stat("cluster_manager.cluster_modified");
    site.replace(&secret(&Authority::new()));
    wait_until("another authority is not trusted", || answer(&gateway) == "503");
    site.replace(&secret(&authority));
    wait_until("it is trusted again", || answer(&gateway) == "secured");
    let renewed = clients.issue(&["gateway"]);
    site.replace(&renewed.secret(&namespace.name, "secured-client").to_string());
    wait_until("the new client certificate is shown", || {
        assert_eq!(answer(&gateway), "secured");
        front.take_handshakes().iter().any(|it| it.client == Some(renewed.der()))
    });
    assert_eq!(gateway.stat("cluster_manager.cluster_modified"), clusters);

    // A restarted controller, and a restarted Envoy.
    gateway.kill_controller();
    gateway.start_controller();
    assert_eq!(answer(&gateway), "secured");
    gateway.restart_envoy();
    wait_until("it is served again", || answer(&gateway) == "secured");

    // A Secret that is deleted, and an annotation that is removed.
    namespace.run(&["delete", "secret", "secured-ca"]).unwrap();
    wait_until("it is not served", || answer(&gateway) == "503");
    wait_until("an Event reports it", || {
        let events = namespace.events_on("Service", "secured");
        events.iter().any(|event| event.contains("upstream-secret-not-found"))
    });
    namespace.create(&secret(&authority));
    wait_until("it is served again", || answer(&gateway) == "secured");
    let annotations = ["ingressctl/upstream-ca-secret-", "ingressctl/upstream-verify=false"];
    namespace.run(&[&["annotate", "service", "secured"], &annotations[..]].concat()).unwrap();
    site.replace(&secret(&Authority::new()));
    wait_until("an Event warns", || {
        let events = namespace.events_on("Service", "secured");
        events.iter().any(|event| event.contains("upstream-not-verified"))
    });
    assert_eq!(answer(&gateway), "secured");
    assert!(!web.take_received().is_empty());
}
