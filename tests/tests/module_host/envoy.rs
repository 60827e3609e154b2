//! Scenarios in a real Envoy.

use std::collections::BTreeMap;
use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{fs, thread};

use ingress_tests::{Admin, Process, envoy, listen, validate, wait_until};
use tempfile::TempDir;

use crate::bootstrap::bootstrap;
use crate::grpc;
use crate::log::{Line, Log, Waited};
use crate::scenario::{Fields, Got, Outcome, Scenario, Sent};
use crate::wire::{self, Arrived};

/// An Envoy with a listener for each of some scenarios.
pub(crate) struct Running {
    process: Process,
    log: Log,
    admin: Admin,
    /// The addresses of the listeners.
    listeners: BTreeMap<String, SocketAddr>,
    _folder: TempDir,
    _grpc: grpc::Server,
}

impl Running {
    fn start(scenarios: &[Scenario], upstreams: &[SocketAddr]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("bootstrap.json");
        let address_file = folder.path().join("admin-address");
        let grpc = grpc::Server::start();
        let configuration = bootstrap(scenarios, upstreams, grpc.address);
        fs::write(&path, configuration.to_string()).expect("a file");
        let mut process = Process::spawn(
            Command::new("sh")
                .args(["-c", "exec \"$0\" \"$@\" 2>&1"])
                .arg(envoy())
                .args(["--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"])
                .args(["--component-log-level", "wasm:info", "--log-format", "%t|%v"])
                .arg("--admin-address-path")
                .arg(&address_file)
                .arg("-c")
                .arg(&path)
                .stdout(Stdio::piped()),
        );
        let log = Log::default();
        log.follow(BufReader::new(process.output()), process.id());
        let mut admin: Option<Admin> = None;
        wait_until("Envoy starts", || {
            let address = fs::read_to_string(&address_file).unwrap_or_default();
            admin = address.trim().parse().ok();
            log.ended() || admin.as_ref().is_some_and(lives)
        });
        assert!(!log.ended(), "Envoy does not start: {:#?}", log.lines());
        let admin = admin.expect("Envoy has started");
        let listeners = listeners(&admin);
        Self { process, log, admin, listeners, _folder: folder, _grpc: grpc }
    }
}

/// Whether Envoy is ready. Its log may end much later than it crashes.
fn lives(admin: &Admin) -> bool {
    let Admin::Tcp(address) = admin else { return false };
    TcpStream::connect(address).is_ok_and(|mut stream| {
        let mut start = [0; 12];
        let asked = stream.write_all(b"GET /ready HTTP/1.1\r\nhost: admin\r\n\r\n");
        asked.and_then(|()| stream.read_exact(&mut start)).is_ok() && &start == b"HTTP/1.1 200"
    })
}

/// Whether Envoy accepts a configuration with this module.
pub(crate) fn accepts(scenario: &Scenario) -> bool {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("bootstrap.json");
    let (_listener, upstream) = listen();
    let configuration = bootstrap(std::slice::from_ref(scenario), &[upstream], upstream);
    fs::write(&path, configuration.to_string()).expect("a file");
    validate(&path).status.success()
}

/// Runs scenarios one after the other. Those that crash Envoy have one of their own, as well as
/// those that come after a crash.
pub(crate) fn run(scenarios: &[Scenario]) -> BTreeMap<String, Outcome> {
    let (alone, mut together): (Vec<_>, Vec<_>) =
        scenarios.iter().cloned().partition(|scenario| scenario.crashes);
    let mut outcomes = BTreeMap::new();
    while !together.is_empty() {
        let run = run_until_crash(&together);
        let left = together.split_off(run.len());
        outcomes.extend(together.into_iter().map(|scenario| scenario.key).zip(run));
        together = left;
    }
    for scenario in alone {
        let outcome = run_until_crash(std::slice::from_ref(&scenario)).remove(0);
        outcomes.insert(scenario.key, outcome);
    }
    outcomes
}

fn run_until_crash(scenarios: &[Scenario]) -> Vec<Outcome> {
    let listeners: Vec<_> = scenarios.iter().map(|_| listen()).collect();
    let addresses: Vec<_> = listeners.iter().map(|(_, address)| *address).collect();
    let running = Running::start(scenarios, &addresses);
    let mut outcomes = Vec::new();
    for (scenario, (listener, _)) in scenarios.iter().zip(listeners) {
        let outcome = run_one(&running, scenario, listener);
        let crashed = outcome.crashed;
        outcomes.push(outcome);
        if crashed {
            return outcomes;
        }
    }
    running.end(scenarios, &mut outcomes);
    outcomes
}

impl Running {
    /// Adds the metrics, and what happens when Envoy ends.
    fn end(self, scenarios: &[Scenario], outcomes: &mut [Outcome]) {
        let metrics = metrics(&self.admin);
        let before = self.log.len();
        let log = self.log.clone();
        self.process.interrupt();
        log.wait("the end of Envoy", before, |_| false);
        let lines = log.lines();
        for (scenario, outcome) in scenarios.iter().zip(outcomes) {
            let prefix = format!("{}.", scenario.key);
            let own = metrics
                .iter()
                .filter_map(|(name, value)| Some((name.strip_prefix(&prefix)?.to_owned(), *value)));
            outcome.metrics = own.collect();
            let own = lines[before..]
                .iter()
                .filter(|line| line.plugin == scenario.key && !line.main_thread);
            outcome.log.extend(own.map(|line| line.text.clone()));
            if let Some(second) = scenario.second() {
                let own =
                    lines.iter().filter(|line| line.plugin == second.key && !line.main_thread);
                outcome.log.extend(own.map(|line| line.text.clone()));
            }
        }
    }
}

fn listeners(admin: &Admin) -> BTreeMap<String, SocketAddr> {
    let listeners = admin.get("/listeners").body;
    let listener = |line: &str| {
        let (name, address) = line.split_once("::")?;
        Some((name.to_owned(), address.parse().ok()?))
    };
    listeners.lines().filter_map(listener).collect()
}

/// The metrics of all modules, by their names.
fn metrics(admin: &Admin) -> BTreeMap<String, u64> {
    let stats = admin.get("/stats?filter=^wasmcustom").body;
    let metric = |line: &str| {
        let (name, value) = line.strip_prefix("wasmcustom.")?.split_once(": ")?;
        Some((name.to_owned(), value.parse().ok()?))
    };
    stats.lines().filter_map(metric).collect()
}

fn run_one(running: &Running, scenario: &Scenario, listener: TcpListener) -> Outcome {
    let key = &scenario.key;
    let log = &running.log;
    let address = running.listeners.get(key).copied();
    let from = log.len();
    let run = Run { log: log.clone(), scenario: scenario.clone(), from };
    let arrived = Arc::new(Mutex::new(None));
    let mut client = None;
    if let Some(address) = address {
        let (upstream, slot) = (run.clone(), arrived.clone());
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (upstream, slot) = (upstream.clone(), slot.clone());
                thread::spawn(move || upstream.serve(stream, &slot));
            }
        });
        if let Some(line) = &scenario.idle_until {
            log.wait(&format!("{key}: {line}"), 0, |lines| {
                lines
                    .iter()
                    .any(|found| &found.plugin == key && !found.main_thread && &found.text == line)
            });
        } else {
            client = run.client(address);
            run.wait("the end", |run, lines| {
                let ends_at = run.scenario.ends_at.as_deref();
                ends_at.map_or_else(|| run.finished(lines), |line| run.count(lines, line) > 0)
            });
        }
    }
    if scenario.crashes {
        wait_until("Envoy crashes", || !lives(&running.admin));
    }
    let lines = log.lines();
    let own = |line: &&Line| &line.plugin == key && !line.main_thread;
    let mut texts: Vec<String> =
        lines[..from].iter().filter(own).map(|line| line.text.clone()).collect();
    texts.extend(
        lines[from..]
            .iter()
            .filter(|line| own(line) || line.plugin.is_empty())
            .map(|line| line.text.clone()),
    );
    let upstream = arrived.lock().expect("no panic").take().map(|arrived: Arrived| got(arrived));
    Outcome {
        log: texts,
        upstream,
        client: client.map(got),
        metrics: BTreeMap::new(),
        crashed: !lives(&running.admin),
    }
}

/// A scenario that is running.
#[derive(Clone)]
struct Run {
    log: Log,
    scenario: Scenario,
    /// The first line of Envoy's log that is about it.
    from: usize,
}

impl Run {
    fn count(&self, lines: &[Line], start: &str) -> usize {
        let own = lines.iter().filter(|line| line.plugin == self.scenario.key && !line.main_thread);
        own.filter(|line| line.text.starts_with(start)).count()
    }

    fn finished(&self, lines: &[Line]) -> bool {
        self.count(lines, "< delete") > 0
            || lines.iter().any(|line| line.plugin.is_empty() && line.text.contains(" failed: "))
    }

    fn wait(&self, what: &str, seen: impl Fn(&Self, &[Line]) -> bool) -> Waited {
        let what = format!("{}: {what}", self.scenario.key);
        self.log.wait(&what, self.from, |lines| seen(self, lines))
    }

    /// Waits for the nth callback of this name, or the end of the scenario; `false` if it has
    /// ended.
    fn mark(&self, callback: &str, nth: usize) -> bool {
        let start = format!("> {callback} ");
        let over = |run: &Self, lines: &[Line]| run.finished(lines) || run.leaves(lines);
        let waited =
            self.wait(&start, |run, lines| run.count(lines, &start) >= nth || over(run, lines));
        waited == Waited::Seen && !over(self, &self.log.lines()[self.from..])
    }

    /// Whether it is time for the client to leave.
    fn leaves(&self, lines: &[Line]) -> bool {
        self.scenario.leaves_at.as_deref().is_some_and(|line| self.count(lines, line) > 0)
    }

    fn client(&self, address: SocketAddr) -> Option<Arrived> {
        let mut stream = connect(address);
        if let Some((bytes, _)) = &self.scenario.tcp {
            let mut arrived = Arrived::default();
            stream.write_all(bytes.as_bytes()).expect("it is sent");
            if self.mark("upstream_data", 1) {
                let mut read = [0; 1024];
                let length = stream.read(&mut read).unwrap_or_default();
                arrived.body = read[..length].to_vec();
                let _ = stream.shutdown(Shutdown::Write);
                let _ = stream.read(&mut read);
            }
            return Some(arrived);
        }
        let start = format!("{} HTTP/1.1\r\nhost: example.com\r\n", self.scenario.request.start);
        self.send(&mut stream, &start, "request", &self.scenario.request);
        if let Some(line) = &self.scenario.leaves_at {
            self.wait(line, |run, lines| run.leaves(lines) || run.finished(lines));
            return None;
        }
        wire::read(&stream, !self.scenario.request.start.starts_with("HEAD"))
    }

    fn serve(&self, mut stream: TcpStream, slot: &Mutex<Option<Arrived>>) {
        let _ = stream.set_nodelay(true);
        if let Some((_, bytes)) = &self.scenario.tcp {
            let mut read = [0; 1024];
            let length = stream.read(&mut read).unwrap_or_default();
            let body = read[..length].to_vec();
            if length > 0 {
                *slot.lock().expect("no panic") = Some(Arrived { body, ..Arrived::default() });
                let _ = stream.write_all(bytes.as_bytes());
                let _ = stream.read(&mut read);
            }
            return;
        }
        if stream.peek(&mut [0]).is_ok_and(|length| length == 1) {
            self.log.note(&self.scenario.key, CONNECTED);
        }
        let Some(arrived) = wire::read(&stream, true) else { return };
        match arrived.start.split(' ').nth(1) {
            Some("/callout") => {
                let _ = stream.write_all(CALLOUT_RESPONSE.as_bytes());
                // Envoy may use the connection again.
                return self.serve(stream, slot);
            }
            Some("/callout-reset") => {
                let _ =
                    stream.write_all(b"HTTP/1.1 200 Whatever\r\ncontent-length: 9\r\n\r\nfirst");
                return;
            }
            Some("/callout-never") => {
                let _ = stream.read(&mut [0]);
                return;
            }
            _ => {}
        }
        let cut_off = arrived.cut_off;
        // Envoy sends a request twice if the module continues it in the callback for its headers.
        let mut slot = slot.lock().expect("no panic");
        if slot.as_ref().is_none_or(|other: &Arrived| other.cut_off) {
            *slot = Some(arrived);
        }
        drop(slot);
        if !cut_off {
            let start = format!("HTTP/1.1 {} Whatever\r\n", self.scenario.response.start);
            self.send(&mut stream, &start, "response", &self.scenario.response);
            // Envoy closes the connection.
            let _ = stream.read(&mut [0]);
        }
    }

    /// Sends a message piece by piece, each once the module has seen the one before.
    fn send(&self, stream: &mut TcpStream, start: &str, direction: &str, sent: &Sent) {
        let mut head = start.to_owned();
        for (name, value) in &sent.headers {
            head += &line(name, value);
        }
        if sent.chunked() {
            head += "transfer-encoding: chunked\r\n";
        }
        head += "\r\n";
        if !self.piece(stream, &head, &format!("{direction}_headers"), 1) || !sent.goes_on() {
            return;
        }
        if self.scenario.waits_for_upstream && direction == "request" {
            self.wait(CONNECTED, |run, lines| run.count(lines, CONNECTED) > 0);
        }
        for (index, piece) in sent.pieces.iter().enumerate() {
            let chunk = if sent.has_length {
                piece.clone()
            } else {
                format!("{:x}\r\n{piece}\r\n", piece.len())
            };
            if !self.piece(stream, &chunk, &format!("{direction}_body"), index + 1) {
                return;
            }
        }
        if sent.has_length {
            return;
        }
        let trailers: String =
            sent.trailers.iter().map(|(name, value)| line(name, value)).collect();
        let _ = stream.write_all(format!("0\r\n{trailers}\r\n").as_bytes());
    }

    fn piece(&self, stream: &mut TcpStream, bytes: &str, callback: &str, nth: usize) -> bool {
        stream.write_all(bytes.as_bytes()).is_ok() && self.mark(callback, nth)
    }
}

/// A line of a header.
fn line(name: &str, value: &str) -> String {
    [name, ": ", value, "\r\n"].concat()
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("Envoy listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    stream.set_nodelay(true).expect("no delay");
    stream
}

/// What the log says when the upstream has begun to get the request.
const CONNECTED: &str = "the upstream is connected";

/// The response to a callout.
const CALLOUT_RESPONSE: &str = "HTTP/1.1 201 Whatever\r\nx-callout: one\r\n\
    transfer-encoding: chunked\r\n\r\n7\r\ncallout\r\n0\r\nx-callout-trailer: one\r\n\r\n";

/// Headers that Envoy adds, or that are about one hop.
pub(crate) const HOP: &[&str] = &[
    "date",
    "server",
    "transfer-encoding",
    "connection",
    "x-envoy-upstream-service-time",
    "x-envoy-expected-rq-timeout-ms",
    "x-forwarded-proto",
];

fn got(arrived: Arrived) -> Got {
    let mut headers: Fields = arrived
        .headers
        .into_iter()
        .filter(|(name, _)| !HOP.contains(&name.as_str()))
        .map(|(name, value)| (if name == "host" { ":authority".to_owned() } else { name }, value))
        .collect();
    let mut words = arrived.start.split(' ');
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if first.starts_with("HTTP") {
        headers.push((":status".to_owned(), second.to_owned()));
    } else if !first.is_empty() {
        headers.push((":method".to_owned(), first.to_owned()));
        headers.push((":path".to_owned(), second.to_owned()));
    }
    if arrived.body.is_empty() {
        headers.retain(|header| *header != ("content-length".to_owned(), "0".to_owned()));
    }
    headers.sort();
    Got {
        headers,
        body: String::from_utf8_lossy(&arrived.body).into_owned(),
        trailers: arrived.trailers,
        cut_off: arrived.cut_off,
    }
}
