//! A real Envoy with a Proxy-Wasm module of any kind, and modules in other languages.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::made::{made_by, needed};
use crate::own_envoy::{OwnEnvoy, validate};

/// The folder with filters in Go, C++ and `AssemblyScript`, built from `tests/languages`; the first
/// call on a machine downloads their compilers.
///
/// # Panics
/// If they cannot be built.
pub fn foreign_modules() -> &'static Path {
    static FOLDER: LazyLock<Result<PathBuf, String>> =
        LazyLock::new(|| made_by("tests/languages/modules.sh"));
    needed("filters in other languages", &FOLDER)
}

/// An Envoy with a module as its only filter, and with these clusters; requests are routed to the
/// one named `upstream`.
///
/// # Panics
/// If it does not start.
pub fn module_envoy(
    module: &Path,
    configuration: &str,
    clusters: &[(&str, SocketAddr)],
) -> (OwnEnvoy, TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("bootstrap.json");
    fs::write(&path, bootstrap(module, configuration, clusters).to_string()).expect("a file");
    (OwnEnvoy::start(&path), folder)
}

/// Whether Envoy loads this module, which starts without a configuration, and what it writes.
///
/// # Panics
/// If Envoy cannot be run.
pub fn loads_in_envoy(module: &Path) -> (bool, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("bootstrap.json");
    // Nothing connects to it.
    let clusters = [("upstream", ([127, 0, 0, 1], 9).into())];
    fs::write(&path, bootstrap(module, "", &clusters).to_string()).expect("a file");
    let output = validate(&path);
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn bootstrap(module: &Path, configuration: &str, clusters: &[(&str, SocketAddr)]) -> Value {
    let any = |of: &str, mut value: Value| {
        value["@type"] = format!("type.googleapis.com/{of}").into();
        value
    };
    let wasm = any(
        "envoy.extensions.filters.http.wasm.v3.Wasm",
        json!({"config": {
            "configuration": any("google.protobuf.StringValue", json!({"value": configuration})),
            "vm_config": {
                "runtime": "envoy.wasm.runtime.v8",
                "code": {"local": {"filename": module}},
            },
        }}),
    );
    let router = any("envoy.extensions.filters.http.router.v3.Router", json!({}));
    let manager = any(
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        json!({
            "stat_prefix": "http",
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
                {"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}]}]},
            "http_filters": [
                {"name": "wasm", "typed_config": wasm},
                {"name": "router", "typed_config": router},
            ],
        }),
    );
    let chain = json!({"filters": [{"name": "manager", "typed_config": manager}]});
    let clusters: Vec<Value> =
        clusters.iter().map(|(name, address)| cluster(name, *address)).collect();
    json!({
        "admin": {"address": socket(0)},
        "static_resources": {
            "listeners": [{"name": "http", "address": socket(0), "filter_chains": [chain]}],
            "clusters": clusters,
        },
    })
}

fn socket(port: u16) -> Value {
    json!({"socket_address": {"address": "127.0.0.1", "port_value": port}})
}

fn cluster(name: &str, address: SocketAddr) -> Value {
    let endpoint = json!({"endpoint": {"address": socket(address.port())}});
    json!({
        "name": name,
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    })
}
