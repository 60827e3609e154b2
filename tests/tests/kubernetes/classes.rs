//! Which Ingresses belong to the gateway's class.

use ingress_tests::{ApiServer, Gateway, Kubectl, Service, Upstream, machine_ip, wait_until};
use serde_json::{Value, json};

use crate::setup::{host_to, ingress, ingress_of, object, unclassed};

const ADDRESS: &str = "203.0.113.7";

#[test]
fn only_ingresses_of_our_classes_are_served_and_get_a_status() {
    let api = ApiServer::shared();
    let namespace = api.namespace("classes");
    let upstream = Upstream::start_on(machine_ip(), "web");
    namespace.create(&Service::new("web").at(&upstream).manifests());
    let class = |name: &str, controller: &str, is_default: bool| {
        let is_default = is_default.to_string();
        let annotations = json!({"ingressclass.kubernetes.io/is-default-class": is_default});
        let metadata = json!({"name": name, "annotations": annotations});
        let spec = json!({"controller": controller});
        namespace.create(&object("networking.k8s.io/v1", "IngressClass", &metadata, &spec));
    };
    class("classes-another", "example.com/another", false);
    class("classes-second", "istio.io/ingress-controller", false);
    namespace.create(&ingress_of("classes-missing", "missing", &host_to("missing.example", "web")));
    namespace.create(&ingress_of("classes-another", "another", &host_to("another.example", "web")));
    namespace.create(&unclassed("none", &host_to("none.example", "web")));
    namespace.create(&ingress("ours", &host_to("ours.example", "web")));
    namespace.create(&ingress_of("classes-second", "second", &host_to("second.example", "web")));
    let gateway = Gateway::start_with(&namespace, &["--publish-address", ADDRESS]);
    let served = || {
        let names = ["missing", "another", "none", "ours", "second"];
        names.into_iter().filter(|name| gateway.get(&format!("{name}.example"), "/").status == 200)
    };
    assert_eq!(served().collect::<Vec<_>>(), ["ours", "second"]);

    // An IngressClass may be created after its Ingress.
    class("classes-missing", "istio.io/ingress-controller", false);
    gateway.wait_for("missing.example", "/", 200);

    // The API server sets the default class.
    class("classes-default", "istio.io/ingress-controller", true);
    namespace.create(&unclassed("filled-in", &host_to("filled-in.example", "web")));
    gateway.wait_for("filled-in.example", "/", 200);
    let filled_in = namespace.get("ingresses.networking.k8s.io", "filled-in");
    assert_eq!(filled_in["spec"]["ingressClassName"], "classes-default");
    // Only for new Ingresses: existing ones are not exposed by a new default.
    assert_eq!(served().collect::<Vec<_>>(), ["missing", "ours", "second"]);
    namespace.delete("ingressclass", "classes-default");
    gateway.wait_for("filled-in.example", "/", 404);

    // By now the others would have a status, too.
    wait_until("the last Ingress has a status", || has_status(&namespace, "missing"));
    assert!(has_status(&namespace, "ours") && has_status(&namespace, "second"));
    assert!(!has_status(&namespace, "another") && !has_status(&namespace, "none"));

    // An Ingress that moves to another class is no longer served.
    namespace.apply(&ingress_of("classes-another", "ours", &host_to("ours.example", "web")));
    gateway.wait_for("ours.example", "/", 404);
    assert_eq!(served().collect::<Vec<_>>(), ["missing", "second"]);
    wait_until("its status is cleared", || !has_status(&namespace, "ours"));
}

fn has_status(kubectl: &Kubectl, ingress: &str) -> bool {
    let ingress = kubectl.get("ingresses.networking.k8s.io", ingress);
    match &ingress["status"]["loadBalancer"]["ingress"] {
        Value::Null => false,
        status => {
            assert_eq!(*status, json!([{"ip": ADDRESS}]));
            true
        }
    }
}
