//! As much as fits in one object.

use ingress_tests::{ApiServer, Gateway, Service, Upstream, machine_ip};
use serde_json::json;

use crate::setup::{ingress, path, rule};

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
