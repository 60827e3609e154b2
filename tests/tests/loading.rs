//! `docs/loading.md`: the Envoy configuration that it makes Istio and Envoy Gateway
//! generate, on a real Envoy. This does not test Istio and Envoy Gateway
//! themselves.

use std::fs;
use std::path::PathBuf;

use ingress_tests::{OwnEnvoy, Upstream, raw, workspace};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

const CONNECTION_MANAGER: &str = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";

/// The objects in all YAML blocks of the page.
fn objects() -> Vec<Value> {
    let page = fs::read_to_string(workspace().join("docs/loading.md")).unwrap();
    let blocks = page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let documents = blocks.flat_map(|block| block.split("\n---\n"));
    documents
        .map(|text| serde_saphyr::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}")))
        .collect()
}

#[track_caller]
fn the(kind: &str) -> Value {
    let mut objects = objects().into_iter().filter(|object| object["kind"] == kind);
    let object = objects.next().unwrap_or_else(|| panic!("a {kind}"));
    assert!(objects.next().is_none(), "one {kind}");
    object["spec"].clone()
}

/// The page's configuration, in the form in which Envoy receives it.
struct Told {
    table: Value,
    route: Value,
    /// Fields of the connection manager.
    fields: Map<String, Value>,
}

fn by_istio() -> Told {
    let filter = the("EnvoyFilter");
    let patch = |target: &str| {
        let patches = filter["configPatches"].as_array().unwrap();
        let patch = patches.iter().find(|patch| patch["applyTo"] == target).unwrap();
        patch["patch"]["value"].clone()
    };
    let fields = patch("NETWORK_FILTER")["typed_config"].clone();
    assert_eq!(fields["@type"], CONNECTION_MANAGER);
    Told {
        table: the("WasmPlugin")["pluginConfig"].clone(),
        route: patch("HTTP_ROUTE"),
        fields: fields.as_object().unwrap().clone(),
    }
}

fn by_envoy_gateway() -> Told {
    let patches = the("EnvoyPatchPolicy")["jsonPatches"].as_array().unwrap().clone();
    let mut route = json!({"match": {"prefix": "/"}});
    // The part that Envoy Gateway adds itself.
    let mut fields = Map::from_iter([
        ("use_remote_address".to_owned(), json!(true)),
        ("normalize_path".to_owned(), json!(true)),
        ("merge_slashes".to_owned(), json!(true)),
        ("path_with_escaped_slashes_action".to_owned(), json!("REJECT_REQUEST")),
    ]);
    for patch in patches {
        let operation = &patch["operation"];
        match operation["path"].as_str() {
            None => route["route"] = operation["value"].clone(),
            Some(path) => {
                let field = path.strip_prefix("/default_filter_chain/filters/0/typed_config/");
                fields.insert(field.unwrap().to_owned(), operation["value"].clone());
            }
        }
    }
    let modifier = &the("HTTPRoute")["rules"][0]["filters"][0]["requestHeaderModifier"];
    route["request_headers_to_remove"] = modifier["remove"].clone();
    let table = the("EnvoyExtensionPolicy")["wasm"][0]["config"].clone();
    Told { table, route, fields }
}

/// An Envoy with that configuration, with its one cluster at `upstream`.
fn configuration(told: &Told, upstream: &Upstream) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let module = folder.path().join("filter.wasm");
    fs::write(&module, ingressctl::MODULE).unwrap();
    let address =
        |port: u16| json!({"socket_address": {"address": "127.0.0.1", "port_value": port}});
    let plugin = json!({
        "name": "ingress", "failure_policy": "FAIL_RELOAD",
        "vm_config": {
            "runtime": "envoy.wasm.runtime.v8", "code": {"local": {"filename": module}},
        },
        "configuration": {
            "@type": "type.googleapis.com/google.protobuf.StringValue", "value": told.table.to_string(),
        },
    });
    let mut manager = json!({
        "@type": CONNECTION_MANAGER,
        "stat_prefix": "ingress",
        "route_config": {
            "virtual_hosts": [{"name": "*:80", "domains": ["*"], "routes": [told.route]}],
        },
        "http_filters": [
            {"name": "ingress", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
                "config": plugin,
            }},
            {"name": "router", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
            }},
        ],
    });
    manager.as_object_mut().unwrap().extend(told.fields.clone());
    let cluster = &told.table["backends"][0]["default"]["forward"]["cluster"];
    let endpoint = json!({"endpoint": {"address": address(upstream.address.port())}});
    let bootstrap = json!({
        "admin": {"address": address(0)},
        "static_resources": {
            "listeners": [{"name": "http", "address": address(0), "filter_chains": [{"filters": [
                {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager},
            ]}]}],
            "clusters": [{
                "name": cluster, "type": "STATIC",
                "load_assignment": {
                    "cluster_name": cluster, "endpoints": [{"lb_endpoints": [endpoint]}],
                },
            }],
        },
    });
    let path = folder.path().join("envoy.json");
    fs::write(&path, bootstrap.to_string()).unwrap();
    (folder, path)
}

#[track_caller]
fn serves_what_the_table_says(told: &Told) {
    let upstream = Upstream::start("httpbin");
    let (_folder, path) = configuration(told, &upstream);
    let envoy = OwnEnvoy::start(&path);
    let cluster = told.table["backends"][0]["default"]["forward"]["cluster"].as_str().unwrap();
    for (path, expected) in [
        ("/status/200", "httpbin"),
        ("/delay/1", "httpbin"),
        ("//status//200", "httpbin"),
        ("/headers", "404"),
        ("/status/../headers", "404"),
        ("/status/%2e%2e/headers", "404"),
        ("/status/..%2fheaders", "400"),
    ] {
        for header in [&format!("x-ingress-cluster: {cluster}"), "X-Ingress-Mirror: any", "x-a: b"]
        {
            let request = format!(
                "GET {path} HTTP/1.1\r\nhost: any\r\n{header}\r\nx-envoy-upstream-rq-timeout-ms: 1\r\n\r\n"
            );
            assert_eq!(raw(envoy.http, request.as_bytes()).by(), expected, "{path} {header}");
        }
    }
    for received in upstream.take_received() {
        let names = received.header_names();
        let is_internal =
            |name: &str| name.starts_with("x-ingress-") || name.ends_with("-timeout-ms");
        assert!(!names.iter().any(|name| is_internal(name)), "{names:?}");
    }
}

#[test]
fn what_istio_is_told_makes_an_ingress_of_envoy() {
    serves_what_the_table_says(&by_istio());
}

#[test]
fn what_envoy_gateway_is_told_makes_an_ingress_of_envoy() {
    serves_what_the_table_says(&by_envoy_gateway());
}

#[test]
fn the_page_names_the_cluster_as_they_do() {
    let route = &objects().into_iter().find(|object| object["kind"] == "HTTPRoute").unwrap();
    let [name, namespace] =
        ["name", "namespace"].map(|key| route["metadata"][key].as_str().unwrap());
    let cluster = format!("httproute/{namespace}/{name}/rule/0");
    assert_eq!(by_envoy_gateway().table["backends"][0]["default"]["forward"]["cluster"], cluster);
    let path = the("EnvoyPatchPolicy")["jsonPatches"][0]["operation"]["jsonPath"].clone();
    assert!(path.as_str().unwrap().contains(&cluster), "{path}");
}
