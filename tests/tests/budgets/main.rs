//! The budgets that must repeat exactly: host calls, instructions (wasmtime
//! fuel), memory, imports and the module's size.
//!
//! `cargo test -p ingress-tests --test budgets -- --nocapture` prints them.

mod rules;
mod tls;

use std::fmt::Write;
use std::time::Instant;

use ingress_filter::table::{
    Backend, Forward, PathMatch, Property, Route, Rule, RuleMatch, VirtualHost,
};
use ingress_filter::{FlatTable, RouteTable};
use ingress_tests::Offline;
use proxy_wasm_test::Plugin;

/// The imports that the module may have: Envoy rejects a module with any import
/// that it does not know. The SDK links the last group and never calls it.
const ALLOWED_IMPORTS: &[&str] = &[
    "env.proxy_add_header_map_value",
    "env.proxy_define_metric",
    "env.proxy_get_buffer_bytes",
    "env.proxy_get_header_map_pairs",
    "env.proxy_get_header_map_value",
    "env.proxy_increment_metric",
    "env.proxy_get_property",
    "env.proxy_log",
    "env.proxy_remove_header_map_value",
    "env.proxy_replace_header_map_value",
    "env.proxy_send_local_response",
    "env.proxy_set_effective_context",
    "env.proxy_set_property",
    "env.proxy_set_tick_period_milliseconds",
    // Used by Rust's standard library (WASI).
    "wasi_snapshot_preview1.environ_get",
    "wasi_snapshot_preview1.environ_sizes_get",
    "wasi_snapshot_preview1.fd_write",
    "wasi_snapshot_preview1.proc_exit",
    "wasi_snapshot_preview1.random_get",
    // Unused.
    "env.proxy_call_foreign_function",
    "env.proxy_close_stream",
    "env.proxy_continue_stream",
    "env.proxy_dequeue_shared_queue",
    "env.proxy_done",
    "env.proxy_enqueue_shared_queue",
    "env.proxy_get_current_time_nanoseconds",
    "env.proxy_get_shared_data",
    "env.proxy_get_status",
    "env.proxy_grpc_call",
    "env.proxy_grpc_cancel",
    "env.proxy_grpc_close",
    "env.proxy_grpc_send",
    "env.proxy_grpc_stream",
    "env.proxy_http_call",
    "env.proxy_register_shared_queue",
    "env.proxy_resolve_shared_queue",
    "env.proxy_set_buffer_bytes",
    "env.proxy_set_header_map_pairs",
    "env.proxy_set_shared_data",
];

/// The exports that the module may have: Envoy calls each callback that a module
/// exports, also for each piece of a body.
const EXPORTS: [&str; 11] = [
    "_initialize",
    "memory",
    "proxy_abi_version_0_2_1",
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_delete",
    "proxy_on_memory_allocate",
    "proxy_on_request_headers",
    "proxy_on_response_headers",
    "proxy_on_tick",
    "proxy_on_vm_start",
];

const MAX_SIZE: usize = 600 * 1024;

#[test]
fn the_module_imports_only_what_is_allowed() {
    let imports = Offline::module().imports();
    let unknown: Vec<_> = imports
        .iter()
        .map(|import| format!("{}.{}", import.module, import.name))
        .filter(|import| !ALLOWED_IMPORTS.contains(&import.as_str()))
        .collect();
    assert!(unknown.is_empty(), "not on the allow-list: {unknown:?}");
}

#[test]
fn the_module_exports_only_what_is_used() {
    let mut exports = Offline::module().exports();
    exports.sort_unstable();
    assert_eq!(exports, EXPORTS);
}

#[test]
fn the_module_is_small() {
    let size = ingressctl::MODULE.len();
    println!("ingress_filter.wasm: {size} bytes of {MAX_SIZE}");
    assert!(size <= MAX_SIZE);
}

/// A host with this many paths, each of two segments; each hundred paths lead to
/// one service.
fn table(paths: usize) -> RouteTable {
    let backend = |index: usize| Backend {
        name: format!("default/service-{index}:80"),
        ports: Vec::new(),
        rules: Vec::new(),
        default: Forward::to(format!("service-{index}.default.svc.cluster.local|80")).into(),
    };
    let route = |index: usize| Route {
        path: PathMatch::Prefix(path(index)),
        backend: format!("default/service-{}:80", index / 100),
        port: None,
        source: format!("default/ingress-{}#0.{}", index / 100, index % 100),
        count_as: String::new(),
        plaintext: None,
    };
    RouteTable {
        sanitized_by_envoy: true,
        backends: (0..=paths / 100).map(backend).collect(),
        virtual_hosts: vec![VirtualHost {
            hosts: vec!["shop.example.com".into()],
            routes: (0..paths).map(route).collect(),
            no_default_backend: false,
        }],
        ..RouteTable::empty()
    }
}

fn path(index: usize) -> String {
    format!("/tenant-{:04}/service-{:02}", index / 100, index % 100)
}

fn offline(table: &RouteTable) -> Offline {
    Offline::of_table(table)
}

/// The request headers that Envoy passes for a plain request from curl.
fn request(path: &str) -> [(&str, &[u8]); 9] {
    [
        (":authority", b"shop.example.com"),
        (":path", path.as_bytes()),
        (":method", b"GET"),
        (":scheme", b"http"),
        ("user-agent", b"curl/7.88.1"),
        ("accept", b"*/*"),
        ("x-forwarded-for", b"192.0.2.2"),
        ("x-forwarded-proto", b"http"),
        ("x-request-id", b"0f6780aa-35b5-45af-af47-e3c5d82bd3f7"),
    ]
}

fn calls(table: &RouteTable, path: &str) -> Vec<String> {
    let record = offline(table).request(&request(path));
    record.activity.host_calls.iter().map(ToString::to_string).collect()
}

#[test]
fn a_plain_route_costs_three_host_calls() {
    assert_eq!(
        calls(&table(100), "/tenant-0000/service-42/x"),
        [
            "proxy_get_header_map_value(request_headers, :path) = 0",
            "proxy_get_header_map_value(request_headers, :authority) = 0",
            "proxy_replace_header_map_value(request_headers, x-ingress-cluster) = 0",
        ]
    );
}

#[test]
fn a_path_that_is_not_exposed_costs_five_host_calls() {
    assert_eq!(
        calls(&table(100), "/nothing"),
        [
            "proxy_get_header_map_value(request_headers, :path) = 0",
            "proxy_get_header_map_value(request_headers, :authority) = 0",
            "proxy_get_header_map_value(request_headers, :method) = 0",
            "proxy_get_header_map_value(request_headers, upgrade) = 1",
            "proxy_send_local_response() = 0",
        ]
    );
}

#[test]
fn recording_the_source_costs_one_more() {
    let table = RouteTable { record: Property::ALL.to_vec(), ..table(100) };
    assert_eq!(calls(&table, "/tenant-0000/service-42/x").len(), 4);
    let record = offline(&table).request(&request("/tenant-0000/service-42/x"));
    assert_eq!(record.property(&["ingress_route"]), Some(&b"default/ingress-0#0.42"[..]));
}

#[test]
fn a_name_to_count_by_costs_one_more() {
    let mut table = table(100);
    for route in table.virtual_hosts.iter_mut().flat_map(|host| &mut host.routes) {
        route.count_as = "default/ingress-0".to_owned();
    }
    assert_eq!(calls(&table, "/tenant-0000/service-42/x").len(), 4);
    let counted = offline(&table).request(&request("/tenant-0000/service-42/x"));
    assert_eq!(counted.property(&["count_as"]), Some(&b"default/ingress-0"[..]));
}

/// Otherwise, the rules of what is counted together would use up the limit of all others.
#[test]
fn only_an_ingress_of_its_own_is_counted_by_rule() {
    let mut table = table(100);
    for backend in &mut table.backends {
        let (matches, action) = (RuleMatch::default(), backend.default.clone());
        backend.rules = vec![Rule { name: "default/all".to_owned(), matches, action }];
    }
    for (name, counted) in [("default/web", "default/web default/all"), ("other", "other")] {
        for route in table.virtual_hosts.iter_mut().flat_map(|host| &mut host.routes) {
            name.clone_into(&mut route.count_as);
        }
        let record = offline(&table).request(&request("/tenant-0000/service-42/x"));
        assert_eq!(record.property(&["count_as"]), Some(counted.as_bytes()), "{name}");
    }
}

#[test]
fn sanitising_reads_all_headers_in_one_call() {
    let table = RouteTable { sanitized_by_envoy: false, ..table(100) };
    assert_eq!(
        calls(&table, "/tenant-0000/service-42/x"),
        [
            "proxy_get_header_map_pairs(request_headers) = 0",
            "proxy_replace_header_map_value(request_headers, x-ingress-cluster) = 0",
        ]
    );
}

#[test]
fn counting_costs_a_request_no_host_call() {
    let offline = offline(&table(10));
    for path in [path(1), path(2), "/nothing".into()] {
        offline.request(&request(&path));
    }
    assert_eq!(offline.plugin().metric("ingress.requests.routed"), Some(0), "not before the timer");
    offline.plugin().tick().unwrap();
    assert_eq!(offline.plugin().metric("ingress.requests.routed"), Some(2));
    assert_eq!(offline.plugin().metric("ingress.requests.no_route"), Some(1));
}

#[test]
fn a_request_costs_the_same_however_many_paths_there_are() {
    let mut report = String::new();
    let mut fuel_at = Vec::new();
    for paths in [10, 1_000, 100_000] {
        let flat = FlatTable::encode(&table(paths)).unwrap();
        let plugin = Plugin::new(Offline::module()).unwrap();
        let start = Instant::now();
        assert!(plugin.configure(flat.bytes()).unwrap());
        let load = start.elapsed();
        let fuel = median_fuel(&plugin, paths);
        let _ = writeln!(
            report,
            "{paths:>7} paths: {fuel} instructions a request; table of {} KiB loaded in {} ms (compiled without \
             optimisation); VM memory {} KiB",
            flat.bytes().len() / 1024,
            load.as_millis(),
            plugin.memory_size() / 1024,
        );
        assert!(plugin.memory_size() <= 32 << 20, "VM memory: {report}");
        fuel_at.push(fuel);
    }
    println!("{report}");
    let (least, most) = (fuel_at.iter().min().unwrap(), fuel_at.iter().max().unwrap());
    assert!(most * 100 <= least * 110, "more than 10 % apart:\n{report}");
}

/// The instructions per request, over paths from the whole table.
fn median_fuel(plugin: &Plugin, paths: usize) -> u64 {
    let mut fuel: Vec<_> = (0..25)
        .map(|sample| {
            let path = path(sample * (paths - 1) / 24) + "/item/4711?x=y";
            let mut exchange = plugin.exchange().unwrap();
            exchange.request_headers(request(&path), true).unwrap();
            let record = exchange.finish().unwrap();
            assert!(record.request.headers.contains("x-ingress-cluster"), "{path}");
            record.activity.fuel_used()
        })
        .collect();
    fuel.sort_unstable();
    fuel[fuel.len() / 2]
}
