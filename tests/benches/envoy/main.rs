//! What a request costs in Envoy with our filter, beside what it costs without:
//!
//! ```console
//! $ cargo build --release && cargo bench -p ingress-tests --bench envoy
//! ```
//!
//! Behind `--`, numbers choose how many paths there are, and `module=PATH` another
//! build of the module to compare with.
//!
//! One Envoy has a listener for each variant, all with the same connection manager.
//! They are loaded in pairs of one-second slices in turn, and for each pair there is
//! the ratio of the CPU time that Envoy's process takes for a request: what else
//! the machine does changes slowly beside that. Printed are the medians and, of the
//! ratio, the quartiles.

use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use ingress_tests::{OwnEnvoy, Upstream, compiled, edit_json, get, tool};
use serde_json::{Value, json};

/// How many pairs of slices are compared.
const PAIRS: usize = 15;

const HOST: &str = "shop.example.com";

/// Has the callbacks that ours has, and does nothing in them.
const IDLE_MODULE: &str = r#"(module
    (memory (export "memory") 2)
    (func (export "_initialize"))
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 65536)
    (func (export "proxy_on_context_create") (param i32 i32))
    (func (export "proxy_on_vm_start") (param i32 i32) (result i32) i32.const 1)
    (func (export "proxy_on_configure") (param i32 i32) (result i32) i32.const 1)
    (func (export "proxy_on_tick") (param i32))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) i32.const 0)
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) i32.const 0)
    (func (export "proxy_on_delete") (param i32)))"#;

fn main() {
    let words: Vec<_> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let other = words.iter().find_map(|word| word.strip_prefix("module=")).map(PathBuf::from);
    let mut sizes: Vec<usize> = words.iter().filter_map(|word| word.parse().ok()).collect();
    if sizes.is_empty() {
        sizes = vec![10, 1_000, 10_000];
    }
    for paths in sizes {
        println!("\n{paths} paths");
        let bench = Bench::start(paths, other.as_deref());
        bench.compare("a module that does nothing", "idle");
        bench.compare("Envoy's route list", "list");
        if let Some(other) = &other {
            bench.compare(&other.display().to_string(), "other");
        }
    }
}

/// An Envoy with all variants.
struct Bench {
    envoy: OwnEnvoy,
    /// The last path, which a list comes to last.
    path: String,
    _upstream: Upstream,
}

/// What one slice has shown.
struct Slice {
    requests: f64,
    /// Nanoseconds.
    cpu: f64,
}

impl Bench {
    fn start(paths: usize, other: Option<&Path>) -> Self {
        let upstream = Upstream::forgetful([127, 0, 0, 1].into(), "a");
        let folder = compiled(&manifests(paths, upstream.address));
        let idle = folder.path().join("idle.wasm");
        fs::write(&idle, wat::parse_str(IDLE_MODULE).expect("a module"))
            .expect("a module is written");
        edit_json(&folder.path().join("lds.json"), |listeners| {
            let resources = listeners["resources"].as_array_mut().expect("listeners");
            let ours = resources[0].clone();
            let manager = |listener: &mut Value| {
                listener["filter_chains"][0]["filters"][0]["typed_config"].take()
            };
            let mut add = |name: &str, edit: &dyn Fn(&mut Value)| {
                let mut listener = ours.clone();
                let mut config = manager(&mut listener);
                edit(&mut config);
                config["stat_prefix"] = name.into();
                listener["name"] = name.into();
                listener["filter_chains"][0]["filters"][0]["typed_config"] = config;
                resources.push(listener);
            };
            add("list", &|config| {
                config["http_filters"].as_array_mut().expect("filters").remove(0);
                route(config, &(0..paths).collect::<Vec<_>>());
            });
            add("idle", &|config| {
                config["http_filters"][0] = wasm(&idle, &Value::Null);
                route(config, &[paths - 1]);
            });
            if let Some(other) = other {
                let table = read_json(&folder.path().join("route-table.json")).to_string();
                let table = json!({
                    "@type": "type.googleapis.com/google.protobuf.StringValue",
                    "value": table,
                });
                add("other", &|config| config["http_filters"][0] = wasm(other, &table));
            }
        });
        let envoy = OwnEnvoy::start(&folder.path().join("bootstrap.json"));
        Self { envoy, path: path(paths - 1), _upstream: upstream }
    }

    /// Where the listener of this name listens.
    fn address(&self, name: &str) -> SocketAddr {
        let listeners = get(self.envoy.admin, "admin", "/listeners").body;
        let mut listeners = listeners.lines().filter_map(|line| line.split_once("::"));
        let address = listeners.find(|(found, _)| *found == name).expect("a listener").1;
        address.parse().expect("an address")
    }

    fn compare(&self, what: &str, name: &str) {
        let (ours, other) = (self.address("http"), self.address(name));
        for address in [ours, other] {
            assert_eq!(get(address, HOST, &self.path).by(), "a", "{what}");
            self.slice(address);
        }
        let pairs: Vec<_> = (0..PAIRS).map(|_| (self.slice(ours), self.slice(other))).collect();
        let of = |value: &dyn Fn(&(Slice, Slice)) -> f64| {
            let mut values: Vec<_> = pairs.iter().map(value).collect();
            values.sort_by(f64::total_cmp);
            [1, 2, 3].map(|quarter| values[(values.len() - 1) * quarter / 4])
        };
        let [low, median, high] = of(&|(ours, other)| ours.cost() / other.cost());
        let [_, ours, _] = of(&|(ours, _)| ours.cost());
        let [_, other, _] = of(&|(_, other)| other.cost());
        println!(
            "  ours / {what}: {median:.2} ({low:.2} to {high:.2}); {ours:.1} and {other:.1} µs a request"
        );
    }

    fn slice(&self, address: SocketAddr) -> Slice {
        let before = self.cpu();
        let output = Command::new(tool("wrk"))
            .args(["-t1", "-c16", "-d1s", "-H", &format!("Host: {HOST}")])
            .arg(format!("http://{address}{}", self.path))
            .output()
            .expect("wrk runs");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(!said.contains("Non-2xx"), "{said}");
        let requests = said.lines().find_map(|line| line.split_once(" requests in "));
        let requests = requests.and_then(|(number, _)| number.trim().parse().ok());
        Slice { requests: requests.expect("a number of requests"), cpu: self.cpu() - before }
    }

    /// What Envoy's threads have run, in nanoseconds.
    fn cpu(&self) -> f64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.envoy.pid())).expect("threads");
        tasks
            .filter_map(|task| {
                let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
                text.split(' ').next()?.parse::<f64>().ok()
            })
            .sum()
    }
}

impl Slice {
    /// Microseconds of a request.
    fn cost(&self) -> f64 {
        self.cpu / self.requests / 1_000.0
    }
}

fn path(index: usize) -> String {
    format!("/tenant-{:04}/service-{:02}", index / 100, index % 100)
}

fn cluster(index: usize) -> String {
    format!("s{}.default.svc.cluster.local|80", index / 100)
}

/// One host with so many paths, to as many services as there are hundreds.
fn manifests(paths: usize, upstream: SocketAddr) -> String {
    let mut text = String::new();
    for service in 0..paths.div_ceil(100) {
        let metadata = json!({"name": format!("s{service}")});
        let ports = json!([{"name": "http", "port": 80}]);
        let addresses = json!({
            "addresses": [{"ip": upstream.ip()}],
            "ports": [{"name": "http", "port": upstream.port()}],
        });
        let objects = [
            json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": ports}}),
            json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": [addresses]}),
        ];
        for object in objects {
            writeln!(text, "---\n{object}").expect("text");
        }
    }
    let paths = (0..paths).map(|index| {
        let service = json!({"name": format!("s{}", index / 100), "port": {"number": 80}});
        json!({"path": path(index), "pathType": "Prefix", "backend": {"service": service}})
    });
    let ingress = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "shop", "annotations": {"kubernetes.io/ingress.class": "istio"}},
        "spec": {"rules": [{"host": HOST, "http": {"paths": paths.collect::<Vec<_>>()}}]},
    });
    writeln!(text, "---\n{ingress}").expect("text");
    text
}

/// Has a connection manager choose among these paths by a list of Envoy's own.
fn route(config: &mut Value, paths: &[usize]) {
    let routes = paths.iter().map(|index| {
        json!({
            "match": {"path_separated_prefix": path(*index)},
            "route": {"cluster": cluster(*index), "timeout": "0s"},
        })
    });
    let virtual_host =
        json!({"name": "shop", "domains": [HOST], "routes": routes.collect::<Vec<_>>()});
    config.as_object_mut().expect("a configuration").remove("rds");
    config["route_config"] = json!({"name": "list", "virtual_hosts": [virtual_host]});
}

/// A filter that runs the module at `path`.
fn wasm(path: &Path, configuration: &Value) -> Value {
    let vm = json!({
        "vm_id": path,
        "runtime": "envoy.wasm.runtime.v8",
        "code": {"local": {"filename": path}},
    });
    let mut plugin = json!({"name": "other", "root_id": "other", "vm_config": vm});
    if !configuration.is_null() {
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

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON")
}
