//! Rollouts to a real Envoy of gateways with resources that it rejects, which no objects
//! can produce. Requests for another host must not fail, and its changes must not wait.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ingress_filter::RouteTable;
use ingress_filter::table::{Action, Backend, Forward, PathMatch, Respond, Route, VirtualHost};
use serde_json::Value;
use tempfile::TempDir;

use super::{Isolation, Verdict};
use crate::certificates::{Authorities, Certificate};
use crate::envoy::{Admin, Kind, Layout, Listening, prepare};
use crate::manifest::{Names, Node};
use crate::model::{
    Cluster, Discovery, EndpointSelector, Gateway, Https, Protocol, Roots, UpstreamSecrets,
    UpstreamTls, Verification,
};
use crate::object_ref::ObjectRef;
use crate::rollout::tests::{certificates_of, with_chain};
use crate::rollout::{AdminAddress, Change, Rollout};
use crate::settings::{LoadBalancing, Settings};

type Certificates = BTreeMap<String, Arc<Certificate>>;

/// The maximum time of a change for another host while Envoy rejects resources.
const SOON: Duration = Duration::from_secs(1);

/// A real Envoy, its rollouts, and an upstream.
struct Edge {
    rollout: Rollout,
    http: SocketAddr,
    upstream: SocketAddr,
    envoy: Child,
    folder: TempDir,
}

impl Drop for Edge {
    fn drop(&mut self) {
        let _ = self.envoy.kill();
        let _ = self.envoy.wait();
    }
}

impl Edge {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listening = Listening { http: any, https: any, admin: Admin::Socket, probe: None };
        prepare(&layout, listening, None, None).unwrap();
        let envoy = run(&layout);
        let rollout = Rollout::new(layout, listening, Settings::default()).unwrap();
        rollout.wait_until_started().await.unwrap();
        let mut edge = Self { rollout, http: any, upstream: upstream(), envoy, folder };
        let first = edge.gateway(&["victim"]);
        edge.rollout.apply(&first).await.unwrap();
        edge.http = edge.rollout.envoy().ready().await.unwrap().unwrap().http;
        edge
    }

    /// Kills Envoy, and starts another one.
    async fn restart_envoy(&mut self) {
        self.envoy.kill().unwrap();
        self.envoy.wait().unwrap();
        let layout = Layout::new(self.folder.path());
        std::fs::remove_file(layout.admin_address()).unwrap();
        self.envoy = run(&layout);
        self.rollout.wait_until_started().await.unwrap();
        self.http = self.rollout.envoy().ready().await.unwrap().expect("it listens").http;
    }

    /// One host with its own cluster for each of these.
    fn gateway(&self, names: &[&str]) -> Gateway {
        let cluster = |name: &&str| {
            let cluster = Cluster {
                has_sessions: false,
                balance: crate::model::Balance::Load(LoadBalancing::RoundRobin),
                name: (*name).to_owned(),
                protocol: Protocol::Http1,
                tls: None,
                discovery: Discovery::Addresses(BTreeSet::from([self.upstream])),
                service: ObjectRef {
                    kind: "Service".into(),
                    namespace: "d".into(),
                    name: (*name).into(),
                },
                selector: EndpointSelector { port: String::new(), labels: BTreeMap::new() },
            };
            ((*name).to_owned(), Arc::new(cluster))
        };
        let backend = |name: &&str| Backend {
            name: (*name).to_owned(),
            ports: Vec::new(),
            rules: Vec::new(),
            default: Action::from(Forward::to((*name).to_owned())),
        };
        let host = |name: &&str| VirtualHost {
            hosts: vec![format!("{name}.example")],
            routes: vec![Route {
                path: PathMatch::Prefix("/".into()),
                backend: (*name).to_owned(),
                port: None,
                source: format!("d/{name}#0.0"),
                count_as: String::new(),
                plaintext: None,
            }],
            no_default_backend: false,
        };
        let table = RouteTable {
            name: names.join(" "),
            sanitized_by_envoy: true,
            backends: names.iter().map(backend).collect(),
            virtual_hosts: names.iter().map(host).collect(),
            ..RouteTable::empty()
        };
        let clusters = Arc::new(names.iter().map(cluster).collect());
        Gateway {
            table: Arc::new(table.into()),
            clusters,
            https: None,
            upstream_secrets: UpstreamSecrets::default(),
        }
    }

    fn status(&self, host: &str) -> u16 {
        get(self.http, host)
    }

    /// Waits until a host is served, which must be soon after `since`.
    #[track_caller]
    fn assert_served_soon(&self, host: &str, since: Instant) {
        while self.status(host) != 200 {
            assert!(since.elapsed() < SOON, "{host} is not served within {SOON:?}");
        }
        println!("{host}: served {:?} after its change", since.elapsed());
    }
}

fn run(layout: &Layout) -> Child {
    let binary = crate::envoy_binary::find_or_fetch(None).unwrap();
    Command::new(binary)
        .args(["--disable-hot-restart", "--concurrency", "2", "--log-level", "error"])
        .arg("--admin-address-path")
        .arg(layout.admin_address())
        .arg("-c")
        .arg(layout.bootstrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Responds to each request with 200.
fn upstream() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let mut reader = BufReader::new(&stream);
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|read| read > 0) {
                    if line == "\r\n" {
                        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                        if (&stream).write_all(answer).is_err() {
                            return;
                        }
                    }
                    line.clear();
                }
            });
        }
    });
    address
}

/// The status of the response for `/` of a host.
fn get(edge: SocketAddr, host: &str) -> u16 {
    let mut stream = TcpStream::connect(edge).unwrap();
    let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// Requests for the other host without pause. Returns their number; none may fail.
struct Load {
    is_over: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    client: thread::JoinHandle<()>,
}

impl Load {
    fn start(edge: SocketAddr) -> Self {
        let (is_over, asked) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let (over, count) = (Arc::clone(&is_over), Arc::clone(&asked));
        let client = thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                assert_eq!(get(edge, "victim.example"), 200);
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { is_over, asked, client }
    }

    fn stop(self) {
        // On a busy machine, there may be few requests during the test.
        while self.asked.load(Ordering::Relaxed) <= 20 && !self.client.is_finished() {
            thread::sleep(Duration::from_millis(1));
        }
        self.is_over.store(true, Ordering::Relaxed);
        self.client.join().expect("no request of the victim fails");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_cluster_is_left_out_and_its_neighbours_go_on() {
    let mut edge = Edge::start().await;
    let load = Load::start(edge.http);
    // Envoy rejects an empty name, which only this test produces.
    let spoil = |gateway: &mut Gateway, name: &str| {
        let cluster = Arc::make_mut(Arc::make_mut(&mut gateway.clusters).get_mut(name).unwrap());
        cluster.discovery = Discovery::Dns(String::new(), 80);
    };
    let mut isolation = Isolation::new();
    for names in [&["victim", "bad", "next"][..], &["victim", "bad", "next", "more"]] {
        let mut gateway = edge.gateway(names);
        spoil(&mut gateway, "bad");
        let start = Instant::now();
        let applied = edge.rollout.apply(&gateway).await.unwrap();
        edge.assert_served_soon(&format!("{}.example", names.last().unwrap()), start);
        assert_eq!(edge.status("bad.example"), 503);
        assert_eq!(isolation.taken(&gateway, &applied.refused, start), Verdict::Settled);
        let finding = &isolation.findings()[0].to_string();
        assert!(finding.starts_with("error: Service d/bad: spec: Envoy refuses"), "{finding}");
        assert!(finding.contains("SocketAddressValidationError.Address"), "{finding}");
    }
    let mended = edge.gateway(&["victim", "bad", "next", "more"]);
    let applied = edge.rollout.apply(&mended).await.unwrap();
    assert!(applied.refused.is_empty(), "{:?}", applied.refused);
    assert_eq!(edge.status("bad.example"), 200);
    load.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_chain_is_left_out_and_its_neighbours_go_on() {
    let mut edge = Edge::start().await;
    let load = Load::start(edge.http);
    let (good, hosts) = certificates_of(&["victim.example", "bad.example"]);
    // Envoy rejects this chain, which only this test produces.
    let mut bad = good.clone();
    let spoilt = bad.get_mut("d/s1").unwrap();
    *spoilt = with_chain(spoilt, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let mut isolation = Isolation::new();
    let start = Instant::now();
    let with = |names: &[&str], certificates: &Certificates| {
        let mut gateway = edge.gateway(names);
        let hosts = hosts.iter().filter(|(_, name)| certificates.contains_key(*name));
        let hosts = hosts.map(|(host, name)| (host.clone(), name.clone())).collect();
        gateway.https = Some(Https {
            certificates: certificates.clone(),
            hosts,
            alternatives: BTreeMap::new(),
        });
        gateway
    };
    let gateways = [
        with(&["victim", "next"], &bad),
        with(&["victim", "next"], &BTreeMap::from([("d/s0".to_owned(), good["d/s0"].clone())])),
        with(&["victim", "next", "more"], &good),
    ];
    let mut verdicts = Vec::new();
    for gateway in &gateways {
        let applied = edge.rollout.apply(gateway).await.unwrap();
        verdicts.push(isolation.taken(gateway, &applied.refused, Instant::now()));
    }
    assert_eq!(verdicts, [Verdict::Again, Verdict::Settled, Verdict::Settled]);
    edge.assert_served_soon("more.example", start);
    assert!(!isolation.refused().is_empty(), "as it is, it is not tried again");
    load.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_authorities_are_left_out_and_their_neighbours_go_on() {
    let mut edge = Edge::start().await;
    let load = Load::start(edge.http);
    let mut gateway = edge.gateway(&["victim", "bad", "next"]);
    let name = "upstream-ca:d/bad".to_owned();
    let cluster = Arc::make_mut(Arc::make_mut(&mut gateway.clusters).get_mut("bad").unwrap());
    let (roots, names) = (Roots::Secret(name.clone()), vec!["bad.example".to_owned()]);
    cluster.tls = Some(UpstreamTls {
        server_name: "bad.example".to_owned(),
        verification: Some(Verification { roots, names }),
        client: None,
    });
    // Envoy rejects this text, which only this test produces.
    let authorities = Arc::new(Authorities::unchecked("authorities"));
    gateway.upstream_secrets.authorities.insert(name, Arc::clone(&authorities));
    let start = Instant::now();
    let applied = edge.rollout.apply(&gateway).await.unwrap();
    edge.assert_served_soon("next.example", start);
    assert_eq!(edge.status("bad.example"), 503);
    let mut isolation = Isolation::new();
    assert_eq!(isolation.taken(&gateway, &applied.refused, start), Verdict::Again);
    let refused = isolation.refused().certificate(|| authorities.fingerprint());
    assert!(refused.is_some_and(|message| message.contains("CA certificates")), "{refused:?}");
    load.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_table_is_taken_without_the_object_that_is_to_blame() {
    let mut edge = Edge::start().await;
    let load = Load::start(edge.http);
    let mut isolation = Isolation::new();
    let first = edge.gateway(&["victim"]);
    isolation.taken(&first, &[], Instant::now());
    // This is not valid in a table, and only this test produces it.
    let spoiled = |edge: &Edge, names: &[&str]| {
        let mut gateway = edge.gateway(names);
        let mut table = (**gateway.table).clone();
        for backend in &mut table.backends {
            if backend.name == "bad" {
                backend.default = Action::Respond(Respond { status: 99 });
            }
        }
        gateway.table = Arc::new(table.into());
        gateway
    };
    let start = Instant::now();
    let gateway = spoiled(&edge, &["victim", "bad"]);
    let error = edge.rollout.apply(&gateway).await.unwrap_err();
    let (key, message) = error.refusal().expect("a refusal");
    assert_eq!(key.kind, Kind::Filter, "{error}");
    let node = Node::from_json(Value::Null, &mut Names::default());
    let find = |object: &ObjectRef| {
        assert_eq!(object.to_string(), "Ingress d/bad");
        Some(node.clone())
    };
    assert_eq!(isolation.refused_whole(&key, &message, &gateway, start, find), Verdict::Again);
    let applied = edge.rollout.apply(&edge.gateway(&["victim", "next"])).await.unwrap();
    assert_eq!(applied.change, Change::RouteTable);
    edge.assert_served_soon("next.example", start);
    assert_eq!(edge.status("bad.example"), 404);
    // A restarted Envoy gets what was accepted, not what was rejected.
    assert!(edge.rollout.is_table_told().await);
    edge.rollout.apply(&edge.gateway(&["victim", "next", "bad"])).await.unwrap();
    assert_eq!(edge.status("bad.example"), 200, "mended");
    load.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_that_starts_again_is_told_everything_but_what_is_refused() {
    let mut edge = Edge::start().await;
    let mut gateway = edge.gateway(&["victim", "bad"]);
    let cluster = Arc::make_mut(Arc::make_mut(&mut gateway.clusters).get_mut("bad").unwrap());
    cluster.discovery = Discovery::Dns(String::new(), 80);
    edge.rollout.apply(&gateway).await.unwrap();
    edge.restart_envoy().await;
    assert_eq!((edge.status("victim.example"), edge.status("bad.example")), (200, 503));
    let applied = edge.rollout.apply(&gateway).await.unwrap();
    assert_eq!((applied.change, applied.refused.len()), (Change::Nothing, 1));
    edge.rollout.apply(&edge.gateway(&["victim", "next"])).await.unwrap();
    assert_eq!(edge.status("next.example"), 200);
}

/// Each message has two forms. The JSON that Envoy prints after decoding the bytes must be
/// the JSON that is written to files.
#[tokio::test(flavor = "multi_thread")]
async fn bytes_say_what_files_say() {
    let mut edge = Edge::start().await;
    let mut gateway = edge.gateway(&["a", "b", "c"]);
    let cluster = |gateway: &mut Gateway, name: &str, change: fn(&mut Cluster)| {
        change(Arc::make_mut(Arc::make_mut(&mut gateway.clusters).get_mut(name).unwrap()));
    };
    cluster(&mut gateway, "a", |cluster| cluster.protocol = Protocol::Http2);
    cluster(&mut gateway, "b", |cluster| {
        cluster.discovery = Discovery::Dns("localhost".to_owned(), 80);
    });
    let mut forward = Forward::to("a".to_owned());
    forward.mirror = Some("c".to_owned());
    let mut table = (**gateway.table).clone();
    table.backends[0].default = Action::from(forward);
    gateway.table = Arc::new(table.into());
    let (pairs, hosts) = certificates_of(&["*.a.example", "b.example"]);
    gateway.https = Some(Https { certificates: pairs, hosts, alternatives: BTreeMap::new() });
    edge.rollout.apply(&gateway).await.unwrap();
    let admin = edge.rollout.envoy().ready().await.unwrap().unwrap().admin;
    let dump = config_dump(&admin);
    let wanted = edge.rollout.json(&gateway);
    assert_eq!(wanted.len(), 3 + 2 + 1 + 1);
    for resource in wanted {
        let name = resource["name"].as_str().unwrap().to_owned();
        let type_url = resource["@type"].as_str().unwrap().to_owned();
        let found = find_resource(&dump, &type_url, &name);
        let found = found.unwrap_or_else(|| panic!("Envoy has no {type_url} {name}"));
        assert_eq!(plain(found), plain(&resource), "{type_url} {name}");
    }
}

fn config_dump(admin: &AdminAddress) -> Value {
    let AdminAddress::Unix(socket) = admin else { panic!("{admin} is not a socket") };
    let mut stream = UnixStream::connect(socket).unwrap();
    stream
        .write_all(b"GET /config_dump HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let body: String = match serde_json::from_str::<Value>(body) {
        Ok(_) => body.to_owned(),
        // In chunks, each after its length.
        Err(_) => body.split("\r\n").skip(1).step_by(2).collect(),
    };
    serde_json::from_str(&body).unwrap()
}

/// The resource of this type and name, at any depth.
fn find_resource<'v>(value: &'v Value, type_url: &str, name: &str) -> Option<&'v Value> {
    match value {
        Value::Object(fields) => {
            let is_it = fields.get("@type").is_some_and(|found| found == type_url)
                && fields.get("name").is_some_and(|found| found == name);
            if is_it {
                return Some(value);
            }
            fields.values().find_map(|field| find_resource(field, type_url, name))
        }
        Value::Array(items) => items.iter().find_map(|item| find_resource(item, type_url, name)),
        _ => None,
    }
}

/// Without defaults, which are omitted, and without 64-bit numbers, which JSON represents as
/// text.
fn plain(value: &Value) -> Value {
    let is_unset = |value: &Value| match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Bool(true) | Value::Object(_) => false,
    };
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), plain(value)))
            .filter(|(_, value)| !is_unset(value))
            .collect(),
        Value::Array(items) => items.iter().map(plain).collect(),
        other => other.clone(),
    }
}
