//! The contenders inside Envoy, each with its own listener.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use ingress_tests::bench::Shape;
use ingress_tests::{OwnEnvoy, edit_json};
use serde_json::{Map, Value, json};

use crate::contender::Contender;

/// Adds a listener for each contender to those in the compiled `folder`.
pub(crate) fn add(
    folder: &Path,
    shape: Shape,
    size: usize,
    contenders: &[Contender],
    module: Option<&Path>,
) {
    let idle = folder.join("idle.wasm");
    let code = wat::parse_str(include_str!("idle.wat")).expect("a module");
    fs::write(&idle, code).expect("a module is written");
    let filter = read_json(&folder.join("ecds.json"));
    edit_json(&folder.join("lds.json"), |listeners| {
        let resources = listeners["resources"].as_array_mut().expect("listeners");
        let ours = resources[0].clone();
        for contender in contenders {
            let mut listener = ours.clone();
            let config = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
            match contender {
                Contender::List => {
                    without_filter(config);
                    route(config, &route_list(shape, size));
                }
                Contender::Matcher => {
                    without_filter(config);
                    route(config, &matcher_tree(shape, size));
                }
                Contender::Idle => {
                    config["http_filters"][0] = wasm(&idle, None);
                    route(config, &last_route(shape, size));
                }
                Contender::OtherModule => {
                    let module = module.expect("the module of module=PATH");
                    config["http_filters"][0] = wasm(module, plugin_configuration(&filter));
                }
                Contender::Nginx | Contender::Haproxy => continue,
            }
            config["stat_prefix"] = contender.key().into();
            listener["name"] = contender.key().into();
            resources.push(listener);
        }
    });
}

/// The address of the listener with this name.
pub(crate) fn address(envoy: &OwnEnvoy, name: &str) -> SocketAddr {
    let listeners = envoy.admin.get("/listeners").body;
    let mut listeners = listeners.lines().filter_map(|line| line.split_once("::"));
    let address = listeners.find(|(found, _)| *found == name).expect("a listener").1;
    address.parse().expect("an address")
}

fn without_filter(config: &mut Value) {
    config["http_filters"].as_array_mut().expect("filters").remove(0);
}

/// Replaces the routes of a connection manager with these virtual hosts.
fn route(config: &mut Value, virtual_hosts: &[Value]) {
    config.as_object_mut().expect("a configuration").remove("rds");
    config["route_config"] = json!({"name": "routes", "virtual_hosts": virtual_hosts});
}

fn cluster(index: usize) -> String {
    format!("s{}.default.svc.cluster.local|80", index / 100)
}

fn forward(condition: &Value, index: usize) -> Value {
    json!({"match": condition, "route": {"cluster": cluster(index), "timeout": "0s"}})
}

/// Virtual hosts with this many routes, which Envoy tries one after another. Envoy
/// selects hosts with a hash map.
fn route_list(shape: Shape, size: usize) -> Vec<Value> {
    let route = |index: usize| {
        let (host, path) = shape.route(index);
        (host, forward(&json!({"path_separated_prefix": path}), index))
    };
    let virtual_host =
        |name: &str, routes: &[Value]| json!({"name": name, "domains": [name], "routes": routes});
    match shape {
        Shape::Paths => {
            let (hosts, routes): (Vec<_>, Vec<_>) = (0..size).map(route).unzip();
            vec![virtual_host(&hosts[0], &routes)]
        }
        Shape::Hosts => (0..size)
            .map(|index| {
                let (host, route) = route(index);
                virtual_host(&host, &[route])
            })
            .collect(),
    }
}

/// Only the route of the requests.
fn last_route(shape: Shape, size: usize) -> Vec<Value> {
    let (host, path) = shape.route(size - 1);
    let route = forward(&json!({"path_separated_prefix": path}), size - 1);
    vec![json!({"name": host, "domains": [host], "routes": [route]})]
}

/// A virtual host with a map of path prefixes, or a map of hosts.
fn matcher_tree(shape: Shape, size: usize) -> Vec<Value> {
    let (header, map_name) = match shape {
        Shape::Paths => (":path", "prefix_match_map"),
        Shape::Hosts => (":authority", "exact_match_map"),
    };
    let entry = |index: usize| {
        let (host, path) = shape.route(index);
        let (key, prefix) = if shape == Shape::Paths { (path, "/".into()) } else { (host, path) };
        let mut route = forward(&json!({"prefix": prefix}), index);
        route["@type"] = "type.googleapis.com/envoy.config.route.v3.Route".into();
        (key, json!({"action": {"name": "route", "typed_config": route}}))
    };
    let map: Map<_, _> = (0..size).map(entry).collect();
    let input = json!({
        "name": "header",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput",
            "header_name": header,
        },
    });
    let tree = json!({"input": input, map_name: {"map": map}});
    vec![json!({"name": "shop", "domains": ["*"], "matcher": {"matcher_tree": tree}})]
}

/// A filter that runs the module at `path`.
fn wasm(path: &Path, configuration: Option<&Value>) -> Value {
    let vm = json!({
        "vm_id": path,
        "runtime": "envoy.wasm.runtime.v8",
        "code": {"local": {"filename": path}},
    });
    let mut plugin = json!({"name": "other", "root_id": "other", "vm_config": vm});
    if let Some(configuration) = configuration {
        plugin["configuration"] = configuration.clone();
    }
    json!({
        "name": "other",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": plugin,
        },
    })
}

/// The configuration of this project's filter, in any form.
fn plugin_configuration(filter: &Value) -> Option<&Value> {
    filter.pointer("/resources/0/typed_config/config/configuration")
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON")
}
