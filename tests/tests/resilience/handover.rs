//! Ingresses that move from our class to that of another controller.

use std::time::Duration;

use ingress_tests::{ApiServer, Gateway, Namespace};
use serde_json::{Value, json};

use crate::setup::{BUSY, Ruled, ingress, wait};

const PATIENCE: Duration = Duration::from_secs(20);

/// The address of the gateway in the status (RFC 5737).
const ADDRESS: &str = "192.0.2.1";

/// The address that the other controller writes.
const FOREIGN: &str = "198.51.100.7";

fn address(namespace: &Namespace<'_>, name: &str) -> Option<String> {
    let status = &namespace.get("ingress", name)["status"]["loadBalancer"]["ingress"];
    status[0]["ip"].as_str().map(str::to_owned)
}

/// Waits until an Ingress has this address in its status.
#[track_caller]
fn wait_for_address(namespace: &Namespace<'_>, name: &str, wanted: Option<&str>) {
    let what = format!("{name} has {wanted:?}");
    wait(PATIENCE, &what, || address(namespace, name).as_deref() == wanted);
}

/// Writes the status as another controller does.
fn publish(ruled: &Ruled, namespace: &Namespace<'_>, name: &str, address: &str) {
    let path =
        format!("/apis/networking.k8s.io/v1/namespaces/{}/ingresses/{name}/status", namespace.name);
    let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": address}]}}});
    let uri = path + "?fieldManager=another-controller";
    let merge = Some("application/merge-patch+json");
    ruled.writer.send("PATCH", uri, merge, status.to_string()).unwrap();
}

fn of_class(mut ingress: Value, annotation: Option<&str>, class: Option<&str>) -> Value {
    let metadata = &mut ingress["metadata"];
    metadata["annotations"] =
        annotation.map_or(json!({}), |class| json!({"kubernetes.io/ingress.class": class}));
    if let Some(class) = class {
        ingress["spec"]["ingressClassName"] = json!(class);
    }
    ingress
}

#[test]
fn an_ingress_that_is_given_away_fails_no_request() {
    let api = ApiServer::shared();
    let namespace = api.namespace("given-away");
    let ruled = Ruled::create(&namespace);
    let gateway = Gateway::start_with(&namespace, &["--publish-address", ADDRESS]);
    let load = Ruled::load(&gateway);
    wait_for_address(&namespace, "busy", Some(ADDRESS));
    // Another Ingress takes over the host and path, then the first one changes its
    // class, and so on.
    for round in 0..10 {
        let [from, to] = [["busy", "heir"], ["heir", "busy"]][round % 2];
        // An Ingress whose path another one has is not served.
        let ours = ingress(to, BUSY, &[("/", "busy"), (&format!("/{to}"), "other")]);
        ruled.writer.apply(&ours);
        wait_for_address(&namespace, to, Some(ADDRESS));
        let away = of_class(ingress(from, BUSY, &[("/", "other")]), Some("nginx"), None);
        ruled.writer.apply(&away);
        wait_for_address(&namespace, from, None);
        publish(&ruled, &namespace, from, FOREIGN);
    }
    // After several status updates, the status of the other controller is
    // unchanged.
    ruled.add_host(&gateway, "after.example", PATIENCE);
    wait_for_address(&namespace, "after.example", Some(ADDRESS));
    assert_eq!(address(&namespace, "busy").as_deref(), Some(ADDRESS));
    assert_eq!(address(&namespace, "heir").as_deref(), Some(FOREIGN));
    println!("10 Ingresses changed their class, {} requests, none failed", load.stop());
}

fn class(name: &str, controller: &str) -> String {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
        "metadata": {"name": name}, "spec": {"controller": controller},
    })
    .to_string()
}

#[test]
fn a_class_that_changes_hands_fails_no_request() {
    const CLASS: &str = "changes-hands";
    const OURS: &str = "istio.io/ingress-controller";
    let api = ApiServer::shared();
    let namespace = api.namespace("class-that-changes-hands");
    let ruled = Ruled::create(&namespace);
    namespace.create(&class(CLASS, OURS));
    let of_the_class = of_class(ingress("busy", BUSY, &[("/", "busy")]), None, Some(CLASS));
    ruled.writer.delete(&of_the_class);
    ruled.writer.apply(&of_the_class);
    let gateway = Gateway::start_with(&namespace, &["--publish-address", ADDRESS]);
    let load = Ruled::load(&gateway);
    wait_for_address(&namespace, "busy", Some(ADDRESS));
    ruled.writer.apply(&ingress("heir", BUSY, &[("/", "busy"), ("/heir", "other")]));
    wait_for_address(&namespace, "heir", Some(ADDRESS));

    // The API does not allow a change of the controller, but the class can be
    // created again.
    let refused = namespace.run_with(&["apply", "-f", "-"], &class(CLASS, "example.com/another"));
    assert!(refused.unwrap_err().contains("immutable"));
    namespace.delete("ingressclass", CLASS);
    namespace.create(&class(CLASS, "example.com/another"));
    wait_for_address(&namespace, "busy", None);
    publish(&ruled, &namespace, "busy", FOREIGN);

    // The Ingress is served again, so the other controller's status is overwritten.
    namespace.delete("ingressclass", CLASS);
    namespace.create(&class(CLASS, OURS));
    wait_for_address(&namespace, "busy", Some(ADDRESS));
    ruled.writer.delete(&ingress("heir", BUSY, &[]));
    ruled.add_host(&gateway, "after.example", PATIENCE);
    println!("a class changed its controller twice, {} requests, none failed", load.stop());
}
