//! More requests than fit into Envoy's memory.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ingress_tests::{OwnEnvoy, Upstream, compiled_with, h2_flood};
use serde_json::{Value, json};

/// The memory limit of Envoy, in MiB.
const MEMORY: u64 = 512;

/// The duration of the flood.
const FLOOD: Duration = Duration::from_secs(15);

/// The number of flooding clients, and the connections of each.
const CLIENTS: usize = 8;
const CONNECTIONS: usize = 15;

/// The time for which each of them keeps its connections.
const HOLD: Duration = Duration::from_secs(5);

/// Without a limit, each connection takes about 9 MiB, for 12 KB from the client.
#[test]
fn a_flood_of_headers_stays_within_the_memory_and_others_are_served() {
    let (victim, slow) = (Upstream::start("victim"), silent_upstream());
    let manifests = victim.manifests("victim", "http", 80) + &manifests(slow);
    let folder = compiled_with(&manifests, &["--envoy-memory", &format!("{MEMORY}Mi")]);
    let envoy = OwnEnvoy::start(&folder.path().join("bootstrap.json"));
    envoy.wait_for("victim.example", "/", 200);
    let idle = resident_mib(envoy.pid());

    let is_over = AtomicBool::new(false);
    let (http, pid) = (envoy.http, envoy.pid());
    let seen = thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| flood(http, &is_over));
        }
        let peak = scope.spawn(|| {
            let mut peak = 0;
            while !is_over.load(Ordering::Relaxed) {
                peak = peak.max(resident_mib(pid));
                thread::sleep(Duration::from_millis(20));
            }
            peak
        });
        let served = be_a_client(http, FLOOD);
        is_over.store(true, Ordering::Relaxed);
        (peak.join().expect("a healthy test"), served)
    });
    let (peak, Served { tries, answered, longest_gap }) = seen;
    println!(
        "{idle} MiB before, {peak} MiB at most; {answered} of {tries} requests of another client \
         answered with 200, the longest time without was {longest_gap:?}"
    );
    assert!(peak < MEMORY, "Envoy used {peak} MiB");
    // The number depends on how busy the machine is with the flood.
    assert!(answered > 0, "{answered} of {tries}");
    envoy.wait_for("victim.example", "/", 200);
    let given_up = envoy.stat("http.ingress_http.downstream_rq_idle_timeout");
    assert!(given_up > 0, "the limit was never reached");
}

/// By the counter that `/metrics` has as `ingress_requests_shed_total`. The fill level of the
/// heap comes from a file, between the levels for requests and for connections.
#[test]
fn rejected_requests_are_counted() {
    let (victim, slow) = (Upstream::start("victim"), silent_upstream());
    let manifests = victim.manifests("victim", "http", 80) + &manifests(slow);
    let folder = compiled_with(&manifests, &["--envoy-memory", &format!("{MEMORY}Mi")]);
    let level = folder.path().join("level");
    fs::write(&level, "0.93").expect("a file");
    let file = folder.path().join("bootstrap.json");
    let bootstrap = fs::read_to_string(&file).expect("a bootstrap");
    let mut bootstrap: Value = serde_json::from_str(&bootstrap).expect("JSON");
    let monitors = bootstrap["overload_manager"]["resource_monitors"].as_array_mut();
    for monitor in monitors.expect("monitors") {
        if monitor["name"] == "envoy.resource_monitors.fixed_heap" {
            monitor["typed_config"] = json!({
                "@type": "type.googleapis.com/envoy.extensions.resource_monitors.injected_resource.v3.InjectedResourceConfig",
                "filename": level,
            });
        }
    }
    fs::write(&file, bootstrap.to_string()).expect("a bootstrap");
    let envoy = OwnEnvoy::start(&file);
    envoy.wait_for("victim.example", "/", 503);
    assert!(envoy.stat("http.ingress_http.downstream_rq_overload_close") > 0);
    assert_eq!(envoy.stat("http.ingress_http.rq_overload_local_reply"), 0);
}

fn manifests(slow: SocketAddr) -> String {
    format!(
        "
apiVersion: v1
kind: Service
metadata: {{name: slow}}
spec: {{ports: [{{name: http, port: 80}}]}}
---
apiVersion: v1
kind: Endpoints
metadata: {{name: slow}}
subsets: [{{addresses: [{{ip: {}}}], ports: [{{name: http, port: {}}}]}}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: web, annotations: {{kubernetes.io/ingress.class: istio}}}}
spec:
  rules:
  - host: victim.example
    http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: victim, port: {{number: 80}}}}}}}}]}}
  - host: slow.example
    http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: slow, port: {{number: 80}}}}}}}}]}}
",
        slow.ip(),
        slow.port()
    )
}

/// Accepts requests and never responds.
fn silent_upstream() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            listener.set_nonblocking(true).expect("a listener");
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
                });
            }
        });
    });
    address
}

/// Repeatedly opens connections, each with the maximum number of requests.
fn flood(address: SocketAddr, is_over: &AtomicBool) {
    let requests = h2_flood(100, b"slow.example");
    while !is_over.load(Ordering::Relaxed) {
        let connections = (0..CONNECTIONS).filter_map(|_| {
            let mut stream = TcpStream::connect(address).ok()?;
            stream.set_write_timeout(Some(HOLD)).ok()?;
            stream.write_all(&requests).ok()?;
            Some(stream)
        });
        let connections: Vec<_> = connections.collect();
        thread::sleep(HOLD);
        drop(connections);
    }
}

/// The results of a client that sends requests during the flood.
struct Served {
    tries: u32,
    answered: u32,
    longest_gap: Duration,
}

fn be_a_client(address: SocketAddr, how_long: Duration) -> Served {
    let start = Instant::now();
    let mut served = Served { tries: 0, answered: 0, longest_gap: Duration::ZERO };
    let mut last = start;
    while start.elapsed() < how_long {
        served.tries += 1;
        if is_answered(address) {
            served.answered += 1;
            served.longest_gap = served.longest_gap.max(last.elapsed());
            last = Instant::now();
        }
        thread::sleep(Duration::from_millis(100));
    }
    served.longest_gap = served.longest_gap.max(last.elapsed());
    served
}

fn is_answered(address: SocketAddr) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: victim.example\r\n\r\n")?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        std::io::Result::Ok(status == *b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}

/// The resident memory of a process.
fn resident_mib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its size");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
}
