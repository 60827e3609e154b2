//! The configuration of an Envoy with a listener for each scenario.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::grpc;
use crate::scenario::Scenario;

fn any(kind: &str, mut value: Value) -> Value {
    value["@type"] = json!(format!("type.googleapis.com/{kind}"));
    value
}

fn string(value: &str) -> Value {
    any("google.protobuf.StringValue", json!({ "value": value }))
}

fn plugin(scenario: &Scenario) -> Value {
    let wasm = wat::parse_str(scenario.module.text())
        .unwrap_or_else(|error| panic!("{}: {error}", scenario.key));
    json!({
        "name": scenario.key,
        "configuration": string(&scenario.configuration),
        "vm_config": {
            "vm_id": scenario.vm_id(),
            "runtime": "envoy.wasm.runtime.v8",
            "configuration": string(&scenario.vm_configuration),
            "code": { "local": { "inline_bytes": BASE64.encode(wasm) } },
        },
    })
}

pub(crate) fn bootstrap(
    scenarios: &[Scenario],
    upstreams: &[SocketAddr],
    grpc: SocketAddr,
) -> Value {
    let own = scenarios
        .iter()
        .zip(upstreams)
        .map(|(scenario, upstream)| cluster(&scenario.key, *upstream, &http1()));
    let grpc = cluster(grpc::CLUSTER, grpc, &json!({ "http2_protocol_options": {} }));
    let clusters: Vec<Value> = own.chain([grpc]).collect();
    let listeners: Vec<Value> = scenarios
        .iter()
        .map(|scenario| {
            json!({
                "name": scenario.key,
                "address": socket_address(0),
                "filter_chains": [{ "filters": filters(scenario) }],
            })
        })
        .collect();
    json!({
        "node": { "id": "the node", "cluster": "the cluster of the node" },
        "admin": { "address": socket_address(0) },
        "static_resources": { "clusters": clusters, "listeners": listeners },
    })
}

fn socket_address(port: u16) -> Value {
    json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } })
}

fn http1() -> Value {
    json!({ "http_protocol_options": { "enable_trailers": true } })
}

fn cluster(name: &str, upstream: SocketAddr, http: &Value) -> Value {
    let protocol = any(
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        json!({ "explicit_http_config": http }),
    );
    json!({
        "name": name,
        "connect_timeout": "5s",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": protocol,
        },
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{
                "lb_endpoints": [{ "endpoint": { "address": socket_address(upstream.port()) } }],
            }],
        },
    })
}

fn filters(scenario: &Scenario) -> Value {
    let key = &scenario.key;
    if scenario.tcp.is_some() {
        return json!([
            {
                "name": key,
                "typed_config": any(
                    "envoy.extensions.filters.network.wasm.v3.Wasm",
                    json!({ "config": plugin(scenario) }),
                ),
            },
            {
                "name": "tcp_proxy",
                "typed_config": any(
                    "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                    json!({ "stat_prefix": key, "cluster": key }),
                ),
            },
        ]);
    }
    let modules = [Some(scenario.clone()), scenario.second()];
    let mut http_filters: Vec<Value> = modules
        .iter()
        .flatten()
        .map(|module| {
            json!({
                "name": module.key,
                "typed_config": any(
                    "envoy.extensions.filters.http.wasm.v3.Wasm",
                    json!({ "config": plugin(module) }),
                ),
            })
        })
        .collect();
    http_filters.push(json!({
        "name": "router",
        "typed_config": any(
            "envoy.extensions.filters.http.router.v3.Router",
            json!({ "suppress_envoy_headers": true }),
        ),
    }));
    json!([{
        "name": "hcm",
        "typed_config": any(
            "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            json!({
                "stat_prefix": key,
                "http_protocol_options": { "enable_trailers": true },
                "generate_request_id": false,
                // What cuts a response off need not wait for the client.
                "delayed_close_timeout": "0.02s",
                "server_header_transformation": "PASS_THROUGH",
                "route_config": {
                    "name": "the routes",
                    "virtual_hosts": [{
                        "name": "the virtual host",
                        "domains": ["*"],
                        "routes": [{ "name": "the route", "match": { "prefix": "/" }, "route": { "cluster": key } }],
                    }],
                },
                "http_filters": http_filters,
            }),
        ),
    }])
}
