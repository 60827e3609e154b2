//! The largest objects that the API accepts.

use std::sync::{Arc, Mutex};

use ingress_tests::{ApiProxy, ApiServer, Asked, Gateway, Service, Upstream, Verdict, machine_ip};
use serde_json::json;

use crate::setup::{host_to, ingress, path, rule};

#[test]
fn twenty_thousand_paths_in_one_object_are_served() {
    const PATHS: usize = 20_000;
    let api = ApiServer::shared();
    let namespace = api.namespace("large");
    let upstream = Upstream::start_on(machine_ip(), "web");
    namespace.create(&Service::new("web").at(&upstream).manifests());
    let gateway = Gateway::start(&namespace);
    let paths = (0..PATHS).map(|index| path(&format!("/{index}"), "Exact", "web"));
    let rules = json!([rule("large.example", &paths.collect::<Vec<_>>())]);
    namespace.create(&ingress("large", &json!({"rules": rules})));
    gateway.wait_for("large.example", "/0", 200);
    for (path, status) in [("/19999", 200), ("/10000", 200), ("/20000", 404), ("/1/", 404)] {
        assert_eq!(gateway.get("large.example", path).status, status, "{path}");
    }
}

/// A cluster has far more Pods than other watched objects, and a gateway needs only
/// little of each.
#[test]
fn of_pods_the_api_server_is_asked_for_metadata_alone() {
    let api = ApiServer::shared();
    let namespace = api.namespace("metadata");
    let upstream = Upstream::start_on(machine_ip(), "web");
    namespace.create(&Service::new("web").at(&upstream).manifests());
    namespace.create(&ingress("web", &host_to("metadata.example", "web")));
    let proxy = ApiProxy::start(&namespace);
    let requests = Arc::new(Mutex::new(Vec::<Asked>::new()));
    let record = Arc::clone(&requests);
    proxy.judge(move |asked| {
        record.lock().unwrap().push(asked.clone());
        Verdict::Pass
    });
    let gateway = Gateway::start_as(&namespace, &proxy.kubeconfig(), &[]);
    gateway.wait_for("metadata.example", "/", 200);
    let requests = requests.lock().unwrap();
    let of = |plural: &str| {
        let asked: Vec<_> = requests.iter().filter(|asked| asked.is_for(plural)).collect();
        assert!(asked.iter().any(|asked| asked.is_watch()), "{plural}");
        asked.iter().all(|asked| asked.accept.contains("as=PartialObjectMetadata"))
    };
    assert!(of("pods") && !of("services"));
}
