//! Measures how fast a change in the API is served, with a real API server and a
//! real Envoy:
//!
//! ```console
//! $ cargo build --release && cargo bench -p ingress-tests --bench kubernetes
//! ```
//!
//! After `--`, words select parts: `few`, `endpoints`, `many`, `services`.
//!
//! All processes share the cores of one machine: API server, etcd, controller,
//! Envoy, the upstream and the benchmark.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use ingress_tests::{ApiServer, Gateway, KeepAlive, Upstream, machine_ip};
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::ApiResource;
use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::time::{MissedTickBehavior, interval};

/// Counts the route tables that Envoy accepted.
const TABLES: &str = "ingressctl_configurations_applied_total{change=\"route_table\"}";

/// The number of concurrent requests to the API.
const CONCURRENCY: usize = 16;

fn main() {
    let api = ApiServer::start(&[]);
    let runtime = Runtime::new().expect("a runtime");
    let bench = Bench { client: runtime.block_on(connect(&api)), runtime, api };
    // The parts that are named, or all.
    let named: Vec<_> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_on = |name: &str| named.is_empty() || named.iter().any(|word| word == name);
    if is_on("few") {
        bench.event_to_traffic();
    }
    if is_on("endpoints") {
        bench.endpoint_changes();
    }
    if is_on("many") {
        bench.many_objects(1_000);
        bench.many_objects(10_000);
    }
    if is_on("services") {
        bench.many_services(10_000);
    }
}

struct Bench {
    api: ApiServer,
    client: Client,
    runtime: Runtime,
}

async fn connect(api: &ApiServer) -> Client {
    let kubeconfig = Kubeconfig::read_from(api.kubeconfig()).expect("a kubeconfig");
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    Client::try_from(config.expect("a configuration")).expect("a client")
}

impl Bench {
    fn api(&self, namespace: &str, kind: &Kind) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &kind.resource())
    }

    /// Creates objects of one kind, many at a time.
    fn create(&self, namespace: &str, kind: &Kind, objects: impl Iterator<Item = Value>) {
        let api = self.api(namespace, kind);
        let creating = stream::iter(objects).for_each_concurrent(CONCURRENCY, |object| {
            let api = api.clone();
            async move {
                let object = serde_json::from_value(object).expect("an object");
                api.create(&PostParams::default(), &object).await.expect("a new object");
            }
        });
        self.runtime.block_on(creating);
    }

    fn patch(&self, api: &Api<DynamicObject>, name: &str, patch: &Value) {
        let patching = async {
            api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.expect("a change");
        };
        self.runtime.block_on(patching);
    }

    /// From the API server's response to a change until a request is served
    /// accordingly.
    fn event_to_traffic(&self) {
        const ROUNDS: usize = 300;
        println!("\nevent to traffic, 1,000 Ingresses of 100 services in place, {ROUNDS} changes");
        let namespace = self.api.namespace("latency");
        let upstream = Upstream::start_on(machine_ip(), "a");
        self.create("latency", &SERVICES, services(100));
        self.create("latency", &SLICES, slices(100, upstream.address));
        self.create("latency", &INGRESSES, (0..1_000).map(|index| ingress(index, 100)));
        self.create("latency", &INGRESSES, std::iter::once(probe("/start", "s0")));
        let gateway = Gateway::start(&namespace);
        let mut client = KeepAlive::connect(gateway.http);

        let ingresses = self.api("latency", &INGRESSES);
        let mut routes: Vec<_> = (0..ROUNDS)
            .map(|round| {
                let path = format!("/route-{round}");
                self.patch(&ingresses, "probe", &probe(&path, "s0"));
                until(|| client.get("probe.example.com", &path).status == 200)
            })
            .collect();
        report("a path of an Ingress", &mut routes, Some((300, 1_000)));

        let mut clusters: Vec<_> = (0..100)
            .map(|round| {
                let (name, path) = (format!("new-{round}"), format!("/cluster-{round}"));
                self.create("latency", &SERVICES, std::iter::once(service(&name)));
                self.create("latency", &SLICES, std::iter::once(slice(&name, upstream.address)));
                self.patch(&ingresses, "probe", &probe(&path, &name));
                until(|| client.get("probe.example.com", &path).status == 200)
            })
            .collect();
        report("a path to a service that is new", &mut clusters, Some((300, 1_000)));

        let other = Upstream::start_on(machine_ip(), "b");
        let slices = self.api("latency", &SLICES);
        let mut endpoints: Vec<_> = (0..ROUNDS)
            .map(|round| {
                let upstream = if round.is_multiple_of(2) { &other } else { &upstream };
                let want = if round.is_multiple_of(2) { "b" } else { "a" };
                self.patch(&slices, "s1", &slice("s1", upstream.address));
                until(|| client.get("h1.example.com", "/").header("x-upstream") == Some(want))
            })
            .collect();
        report("the endpoint of a service", &mut endpoints, Some((300, 1_000)));
    }

    /// A thousand changes of endpoints a second, for ten seconds, under load.
    fn endpoint_changes(&self) {
        const SERVICES_COUNT: usize = 100;
        const PER_SECOND: usize = 1_000;
        const SECONDS: usize = 10;
        println!(
            "\n{PER_SECOND} endpoint changes a second for {SECONDS} s, at {SERVICES_COUNT} services"
        );
        let namespace = self.api.namespace("endpoints");
        let (a, b) = (Upstream::start_on(machine_ip(), "a"), Upstream::start_on(machine_ip(), "b"));
        self.create("endpoints", &SERVICES, services(SERVICES_COUNT));
        self.create("endpoints", &SLICES, slices(SERVICES_COUNT, a.address));
        let ingresses = (0..SERVICES_COUNT).map(|index| ingress(index, SERVICES_COUNT));
        self.create("endpoints", &INGRESSES, ingresses);
        let gateway = Gateway::start(&namespace);
        // Envoy may serve the first table shortly before it is counted.
        until(|| count(&gateway, TABLES) == 1);
        let load = Load::start(gateway.http, SERVICES_COUNT);

        let api = self.api("endpoints", &SLICES);
        let start = Instant::now();
        let done = self.runtime.block_on(async {
            let mut ticks = interval(Duration::from_micros(1_000_000 / PER_SECOND as u64));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
            let changes = stream::unfold((ticks, 0), |(mut ticks, index)| async move {
                ticks.tick().await;
                (index < PER_SECOND * SECONDS).then_some((index, (ticks, index + 1)))
            });
            changes
                .for_each_concurrent(64, |index| {
                    let name = format!("s{}", index % SERVICES_COUNT);
                    let at = if (index / SERVICES_COUNT).is_multiple_of(2) {
                        b.address
                    } else {
                        a.address
                    };
                    let (api, patch) = (api.clone(), slice(&name, at));
                    async move {
                        let parameters = PatchParams::default();
                        api.patch(&name, &parameters, &Patch::Merge(&patch))
                            .await
                            .expect("a change");
                    }
                })
                .await;
            Instant::now()
        });
        let rate = (PER_SECOND * SECONDS) as u128 * 1_000 / (done - start).as_millis();
        // The last change leads to a separate upstream, which marks the end.
        let last = Upstream::start_on(machine_ip(), "last");
        self.patch(&api, "s0", &slice("s0", last.address));
        let mut client = KeepAlive::connect(gateway.http);
        let lag = until(|| client.get("h0.example.com", "/").header("x-upstream") == Some("last"));
        let (requests, failed) = load.stop();
        let tables = count(&gateway, TABLES) - 1;
        println!("  reached                  {rate:8} changes/s");
        println!("  route tables applied     {tables:8} (want 0)");
        println!("  requests meanwhile       {requests:8}, failed {failed} (want 0)");
        println!(
            "  a change after the last  {:8} ms until served, so there is no queue",
            lag.as_millis()
        );
        println!("  controller memory        {:8} MiB at most", memory(gateway.controller_pid()));
    }

    /// The start time of a controller with many existing objects.
    fn many_objects(&self, number: usize) {
        let name = format!("many-{number}");
        let namespace = self.api.namespace(&name);
        let services_count = number / 10;
        println!("\n{number} Ingresses and {number} RouteRules of {services_count} services");
        let upstream = Upstream::start_on(machine_ip(), "a");
        self.create(&name, &SERVICES, services(services_count));
        self.create(&name, &SLICES, slices(services_count, upstream.address));
        self.create(&name, &INGRESSES, (0..number).map(|index| ingress(index, services_count)));
        self.create(&name, &RULES, (0..number).map(|index| rule(index, services_count)));
        let start = Instant::now();
        let gateway = Gateway::start(&namespace);
        let mut client = KeepAlive::connect(gateway.http);
        let host = format!("h{}.example.com", number - 1);
        until(|| client.get(&host, "/").status == 200);
        println!(
            "  start to serving         {:8} ms (10,000: want < 10,000)",
            start.elapsed().as_millis()
        );
        println!(
            "  controller memory        {:8} MiB at most (want < 512)",
            memory(gateway.controller_pid())
        );
        println!("  Envoy memory             {:8} MiB at most", memory(gateway.envoy_pid()));
        let ingresses = self.api(&name, &INGRESSES);
        self.create(&name, &INGRESSES, std::iter::once(probe("/start", "s0")));
        let mut changes = self.path_changes(&ingresses, &mut client);
        let wanted = (number == 10_000).then_some((100, 200));
        report("a path of an Ingress", &mut changes, wanted);
    }
}

impl Bench {
    /// The delay of changes of the probe's path, after it is served.
    fn path_changes(
        &self,
        ingresses: &Api<DynamicObject>,
        client: &mut KeepAlive,
    ) -> Vec<Duration> {
        const ROUNDS: usize = 100;
        until(|| client.get("probe.example.com", "/start").status == 200);
        (0..ROUNDS)
            .map(|round| {
                let path = format!("/route-{round}");
                self.patch(ingresses, "probe", &probe(&path, "s0"));
                until(|| client.get("probe.example.com", &path).status == 200)
            })
            .collect()
    }

    /// The delay of a change with many services.
    fn many_services(&self, number: usize) {
        println!("\n{number} services, an Ingress for each");
        let namespace = self.api.namespace("services");
        let (a, b) = (Upstream::start_on(machine_ip(), "a"), Upstream::start_on(machine_ip(), "b"));
        self.create("services", &SERVICES, services(number));
        self.create("services", &SLICES, slices(number, a.address));
        self.create("services", &INGRESSES, (0..number).map(|index| ingress(index, number)));
        self.create("services", &INGRESSES, std::iter::once(probe("/start", "s0")));
        let gateway = Gateway::start(&namespace);
        let mut client = KeepAlive::connect(gateway.http);
        until(|| client.get(&format!("h{}.example.com", number - 1), "/").status == 200);
        let ingresses = self.api("services", &INGRESSES);
        let mut paths = self.path_changes(&ingresses, &mut client);
        report("a path of an Ingress", &mut paths, Some((200, 400)));
        let slices = self.api("services", &SLICES);
        let mut endpoints: Vec<_> = (0..30)
            .map(|round: usize| {
                let (upstream, want) = if round.is_multiple_of(2) { (&b, "b") } else { (&a, "a") };
                self.patch(&slices, "s1", &slice("s1", upstream.address));
                until(|| client.get("h1.example.com", "/").header("x-upstream") == Some(want))
            })
            .collect();
        report("the endpoint of a service", &mut endpoints, None);
        println!("  controller memory        {:8} MiB at most", memory(gateway.controller_pid()));
    }
}

/// Clients that send requests without pause.
struct Load {
    is_over: Arc<AtomicBool>,
    requests: Arc<AtomicUsize>,
    failed: Arc<AtomicUsize>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Load {
    fn start(edge: SocketAddr, services: usize) -> Self {
        let mut load = Self {
            is_over: Arc::default(),
            requests: Arc::default(),
            failed: Arc::default(),
            threads: Vec::new(),
        };
        for _ in 0..2 {
            let (is_over, requests, failed) =
                (Arc::clone(&load.is_over), Arc::clone(&load.requests), Arc::clone(&load.failed));
            load.threads.push(thread::spawn(move || {
                let mut client = KeepAlive::connect(edge);
                for index in 0.. {
                    if is_over.load(Ordering::Relaxed) {
                        return;
                    }
                    let answer = client.get(&format!("h{}.example.com", index % services), "/");
                    requests.fetch_add(1, Ordering::Relaxed);
                    failed.fetch_add(usize::from(answer.status != 200), Ordering::Relaxed);
                }
            }));
        }
        load
    }

    /// The number of requests, and of failed ones.
    fn stop(self) -> (usize, usize) {
        self.is_over.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().expect("a client"));
        (self.requests.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }
}

/// Waits until a condition is true, and returns how long that took.
fn until(mut holds: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_mins(1), "not served within a minute");
        thread::sleep(Duration::from_millis(1));
    }
    start.elapsed()
}

/// Prints the quantiles, and the targets of the median and the 99th percentile.
fn report(what: &str, times: &mut [Duration], wanted: Option<(u32, u32)>) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_millis();
    let wanted = wanted
        .map_or_else(String::new, |(median, most)| format!(" (want < {median}, 99th < {most})"));
    println!(
        "  {what:32} median {:4} ms, 99th {:4} ms, slowest {:4} ms{wanted}",
        at(50),
        at(99),
        at(100)
    );
}

/// The peak of a process's resident memory, in MiB.
fn memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a running process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib / 1024
}

/// The value of one of the controller's metrics; 0 if it does not exist yet.
fn count(gateway: &Gateway, name: &str) -> u64 {
    let text = gateway.health("/metrics").body;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}

struct Kind {
    group: &'static str,
    version: &'static str,
    name: &'static str,
    plural: &'static str,
}

const SERVICES: Kind = Kind { group: "", version: "v1", name: "Service", plural: "services" };
const SLICES: Kind = Kind {
    group: "discovery.k8s.io",
    version: "v1beta1",
    name: "EndpointSlice",
    plural: "endpointslices",
};
const INGRESSES: Kind =
    Kind { group: "networking.k8s.io", version: "v1", name: "Ingress", plural: "ingresses" };
const RULES: Kind =
    Kind { group: "config.istio.io", version: "v1alpha2", name: "RouteRule", plural: "routerules" };

impl Kind {
    fn resource(&self) -> ApiResource {
        let Self { group, version, name, plural } = *self;
        let api_version =
            if group.is_empty() { version.into() } else { format!("{group}/{version}") };
        ApiResource {
            group: group.into(),
            version: version.into(),
            api_version,
            kind: name.into(),
            plural: plural.into(),
        }
    }
}

fn services(number: usize) -> impl Iterator<Item = Value> {
    (0..number).map(|index| service(&format!("s{index}")))
}

/// Headless, because the API server has few addresses to assign.
fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"clusterIP": "None", "ports": [{"name": "http", "port": 80}]},
    })
}

fn slices(number: usize, address: SocketAddr) -> impl Iterator<Item = Value> {
    (0..number).map(move |index| slice(&format!("s{index}"), address))
}

fn slice(name: &str, address: SocketAddr) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1beta1", "kind": "EndpointSlice",
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4", "ports": [{"name": "http", "port": address.port()}],
        "endpoints": [{"addresses": [address.ip()], "conditions": {"ready": true}}],
    })
}

fn ingress(index: usize, services: usize) -> Value {
    let host = format!("h{index}.example.com");
    ingress_of(&format!("i{index}"), &host, "/", &format!("s{}", index % services))
}

fn probe(path: &str, service: &str) -> Value {
    ingress_of("probe", "probe.example.com", path, service)
}

fn ingress_of(name: &str, host: &str, path: &str, service: &str) -> Value {
    let backend = json!({"service": {"name": service, "port": {"number": 80}}});
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": name, "annotations": {"kubernetes.io/ingress.class": "istio"}},
        "spec": {"rules": [{"host": host, "http": {"paths": [
            {"path": path, "pathType": "Prefix", "backend": backend},
        ]}}]},
    })
}

fn rule(index: usize, services: usize) -> Value {
    json!({
        "apiVersion": "config.istio.io/v1alpha2", "kind": "RouteRule",
        "metadata": {"name": format!("r{index}")},
        "spec": {
            "destination": {"name": format!("s{}", index % services)},
            "precedence": index / services + 1,
            "match": {"request": {"headers": {"x-user": {"exact": format!("u{index}")}}}},
            "httpReqTimeout": {"simpleTimeout": {"timeout": "5s"}},
        },
    })
}
