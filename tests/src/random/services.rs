//! The Services of random rules, each with two versions.

use std::net::SocketAddr;

use serde_json::{Value, json};

/// The services `one` and `two`, whose names begin with `prefix`, with their
/// endpoints and pods. `address` returns the endpoint of a version.
pub fn services(prefix: &str, address: impl Fn(&str, u8) -> SocketAddr) -> Vec<Value> {
    ["one", "two"].iter().flat_map(|service| objects(prefix, service, &address)).collect()
}

fn objects(prefix: &str, service: &str, address: &impl Fn(&str, u8) -> SocketAddr) -> [Value; 4] {
    let name = format!("{prefix}{service}");
    let endpoint = |version: u8| {
        let address = address(service, version);
        json!({"addresses": [{"ip": address.ip(), "targetRef": {"kind": "Pod", "name": format!("{name}-v{version}")}}],
               "ports": [{"name": "http", "port": address.port()}]})
    };
    let pod = |version: u8| {
        json!({"apiVersion": "v1", "kind": "Pod",
               "metadata": {"name": format!("{name}-v{version}"), "labels": {"version": format!("v{version}")}}})
    };
    [
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"ports": [{"name": "http", "port": 80}]}}),
        json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": name}, "subsets": [endpoint(1), endpoint(2)]}),
        pod(1),
        pod(2),
    ]
}

/// A file of manifests with these objects.
pub fn file<'a>(objects: impl IntoIterator<Item = &'a Value>) -> String {
    objects.into_iter().flat_map(|object| [object.to_string(), "\n---\n".to_owned()]).collect()
}
