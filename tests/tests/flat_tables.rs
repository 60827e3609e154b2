//! The module itself with invalid tables: random bytes, and real tables with random
//! damage. It never traps or loops. If it rejects a table, the last good table
//! stays in effect.
//!
//! The default is a short run. CONTRIBUTING describes the long one. Each case is
//! generated from one seed, which a failure prints.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::empty;
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use fastrand::Rng;
use ingress_filter::table::{HeaderMatch, StringMatch};
use ingress_filter::{FlatTable, RouteTable};
use ingress_tests::fuzz::sealed;
use ingress_tests::{Offline, workspace};
use ingressctl::compile::compile;
use ingressctl::manifest::{PathSpec, read};
use ingressctl::settings::Settings;
use proxy_wasm_test::{
    Error, HeaderMap, LocalReply, Message, Module, Optimization, Options, Outcome, Plugin,
};

/// The default number of cases per test; the variable overrides it.
const SHORT: u64 = 2_000;
const CASES: &str = "INGRESS_FUZZ";
/// The seed of the first case.
const SEED: &str = "INGRESS_FUZZ_SEED";

/// A plugin keeps a record of all its configurations, so it is replaced after this
/// many cases.
const CASES_PER_PLUGIN: u64 = 1_000;

/// More than a hundred times the fuel that good tables need, so that the test
/// detects loops.
const FUEL: u64 = 2_000_000;
const MEMORY: usize = 16 << 20;

/// A good table, requests, and their results.
struct Subject {
    name: String,
    flat: Vec<u8>,
    requests: Vec<Request>,
    answers: Vec<Answer>,
}

struct Request {
    headers: HeaderMap,
    /// The name of the connection's filter chain.
    chain: &'static str,
}

/// The result of a request.
#[derive(Debug, PartialEq)]
struct Answer {
    outcome: Outcome,
    request: Message,
    response: Message,
    local_reply: Option<LocalReply>,
    properties: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// The failure of a case.
type Failure = String;

static SUBJECTS: LazyLock<Vec<Subject>> = LazyLock::new(|| {
    let everything = serde_json::from_str(include_str!("../../filter/tests/everything.json"));
    let everything = everything.expect("a table");
    let mut subjects = vec![Subject::new("everything".into(), &everything)];
    for folder in ["config/samples", "config/tests/golden"] {
        let entries = fs::read_dir(workspace().join(folder)).expect("a folder of manifests");
        let mut paths: Vec<_> = entries.map(|entry| entry.expect("a folder").path()).collect();
        paths.sort();
        for path in paths {
            let input = path.join("in.yaml");
            let name = path.strip_prefix(workspace()).expect("in the workspace").display();
            let path = if input.exists() { &input } else { &path };
            let manifests = read(&[PathSpec::Path(path.clone())], &mut empty());
            let table = compile(&manifests, &Settings::default()).gateway.table;
            if !table.backends.is_empty() {
                subjects.push(Subject::new(name.to_string(), &table));
            }
        }
    }
    subjects
});

impl Subject {
    fn new(name: String, table: &RouteTable) -> Self {
        // A result that depends on a random number would differ the next time.
        let table = RouteTable { fixed_random: Some(7), ..table.clone() };
        let flat = FlatTable::encode(&table).expect("a table that may be served").into_bytes();
        let requests = requests(&table);
        let plugin = started();
        assert_eq!(plugin.configure(&flat).ok(), Some(true), "{name}");
        let answers = requests.iter().map(|request| request.ask(&plugin).expect("no trap"));
        Self { name, flat, answers: answers.collect(), requests }
    }

    /// Sends some of the requests.
    fn ask(&self, plugin: &Plugin, rng: &mut Rng) -> Result<(), Error> {
        for _ in 0..5 {
            self.requests[rng.usize(..self.requests.len())].ask(plugin)?;
        }
        plugin.tick()
    }

    /// Sends some of the requests, and compares the results with the earlier ones.
    fn assert_serves(&self, plugin: &Plugin, rng: &mut Rng) -> Result<(), Failure> {
        for _ in 0..3 {
            let index = rng.usize(..self.requests.len());
            let answer = self.requests[index].ask(plugin).map_err(|error| error.to_string())?;
            let expected = &self.answers[index];
            if answer != *expected {
                return Err(format!("answers {answer:?}, not {expected:?}"));
            }
        }
        Ok(())
    }
}

impl Request {
    fn ask(&self, plugin: &Plugin) -> Result<Answer, Error> {
        let mut exchange = plugin.exchange()?;
        exchange.set_property(&["xds", "filter_chain_name"], self.chain);
        let outcome = exchange.request_headers(self.headers.clone(), true)?;
        if outcome == Outcome::Pause {
            plugin.advance(Duration::from_secs(10))?;
        }
        if exchange.request_outcome() != Outcome::LocalReply {
            exchange.response_headers([(":status", "200")], true)?;
        }
        let record = exchange.finish()?;
        Ok(Answer {
            outcome,
            request: record.request,
            response: record.response,
            local_reply: record.local_reply,
            properties: record.properties,
        })
    }
}

/// Requests for the hosts and paths of a table, with and without everything that
/// its rules match, and for other hosts and paths.
fn requests(table: &RouteTable) -> Vec<Request> {
    let mut hosts = vec!["other.example".to_owned(), "a@b".to_owned(), String::new()];
    // The third value matches the table's pattern completely.
    let mut paths = ["/", "/none/x?y=1", "/c12", "*"].map(str::to_owned).to_vec();
    for virtual_host in &table.virtual_hosts {
        hosts.extend(virtual_host.hosts.iter().map(|host| host.replace('*', "X") + ":80"));
        for route in &virtual_host.routes {
            let path = route.path.text();
            paths.extend([path.to_owned(), format!("{path}/b?c")]);
        }
    }
    let rules = table.backends.iter().flat_map(|backend| &backend.rules);
    let asked: BTreeMap<_, _> =
        rules.flat_map(|rule| &rule.matches.headers).filter_map(wanted).collect();
    let mut requests = Vec::new();
    for (index, host) in hosts.iter().enumerate() {
        for path in &paths {
            let plain = [(":authority", &**host), (":path", path)];
            let method = if index % 7 == 6 { "OPTIONS" } else { "GET" };
            let rich = [(":method", method), ("x-forwarded-proto", "https")].into_iter();
            let rich = rich.chain(asked.iter().map(|(name, value)| (&**name, &**value)));
            requests.push(Request { headers: plain.into(), chain: "" });
            requests
                .push(Request { headers: plain.into_iter().chain(rich).collect(), chain: "ns/a" });
        }
    }
    requests
}

/// A header similar to the one that a condition matches.
fn wanted(condition: &HeaderMatch) -> Option<(String, String)> {
    let (StringMatch::Exact(text) | StringMatch::Prefix(text) | StringMatch::Regex(text)) =
        &condition.value;
    let is_header = !condition.name.starts_with(':');
    is_header.then(|| (condition.name.clone(), text.clone()))
}

fn is_long() -> bool {
    env::var_os(CASES).is_some()
}

/// The module; for a long run, compiled with optimisation.
fn module() -> &'static Module {
    static FAST: LazyLock<Module> = LazyLock::new(|| {
        Module::with_optimization(ingressctl::MODULE, Optimization::Speed).expect("a module")
    });
    if is_long() { &FAST } else { Offline::module() }
}

fn started() -> Plugin {
    let options = Options::default().fuel(FUEL).memory_limit(MEMORY);
    let options = options.property(&["source", "address"], "10.1.2.3:4711");
    let options = options.property(&["request", "protocol"], "HTTP/1.1");
    Plugin::with_options(module(), options).expect("the module starts")
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().expect(variable))
}

/// Runs all cases of a test, each from its own seed. A case returns whether the
/// module accepted its input. Returns the numbers of accepted inputs and of cases.
fn run(test: &str, case: fn(&Subject, &Plugin, &mut Rng) -> Result<bool, Failure>) -> (u64, u64) {
    let cases = number(CASES).unwrap_or(SHORT);
    let since_epoch = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let some_seed = || if is_long() { since_epoch().unwrap().as_secs() << 32 } else { 0 };
    let first = number(SEED).unwrap_or_else(some_seed);
    let (start, mut taken, mut plugin) = (Instant::now(), 0, started());
    eprintln!("{test}: {cases} cases on {} tables, {SEED}={first}", SUBJECTS.len());
    for index in 0..cases {
        let seed = first.wrapping_add(index);
        let mut rng = Rng::with_seed(seed);
        if index % CASES_PER_PLUGIN == CASES_PER_PLUGIN - 1 {
            plugin = started();
        }
        let subject = &SUBJECTS[rng.usize(..SUBJECTS.len())];
        let is_ready = matches!(plugin.configure(&subject.flat), Ok(true));
        assert!(is_ready, "{test}: the table of {} was rejected", subject.name);
        match case(subject, &plugin, &mut rng) {
            Ok(is_taken) => taken += u64::from(is_taken),
            Err(failure) => panic!(
                "{test}: the table of {}: {failure}\nagain with {CASES}=1 {SEED}={seed}",
                subject.name
            ),
        }
        let done = index + 1;
        if done % cases.div_ceil(10) == 0 || done == cases {
            let seconds = start.elapsed().as_secs_f32();
            eprintln!("{test}: {done} cases in {seconds:.0} s, {taken} accepted");
        }
    }
    (taken, cases)
}

/// Loads bytes into the module: half of the time in a context that already has a
/// table, otherwise in a new one, as Envoy does.
fn hand(plugin: &Plugin, bytes: &[u8], rng: &mut Rng) -> Result<bool, Failure> {
    let taken = if rng.bool() { plugin.configure(bytes) } else { plugin.reload(bytes) };
    taken.map_err(|error| error.to_string())
}

/// Loads bytes that may be well-formed. If the module accepts them, it handles any
/// request; if it rejects them, nothing changes.
fn hand_and_ask(
    subject: &Subject,
    plugin: &Plugin,
    bytes: &[u8],
    rng: &mut Rng,
) -> Result<bool, Failure> {
    let taken = hand(plugin, bytes, rng)?;
    if taken {
        subject.ask(plugin, rng).map_err(|error| error.to_string())?;
    } else {
        subject.assert_serves(plugin, rng)?;
    }
    Ok(taken)
}

/// Loads bytes that the module must reject.
fn hand_and_refuse(
    subject: &Subject,
    plugin: &Plugin,
    bytes: &[u8],
    rng: &mut Rng,
) -> Result<bool, Failure> {
    if hand(plugin, bytes, rng)? {
        return Err(format!("{:?} was taken", bytes.escape_ascii().to_string()));
    }
    subject.assert_serves(plugin, rng)?;
    Ok(false)
}

fn pick<T: Copy>(rng: &mut Rng, of: &[T]) -> T {
    of[rng.usize(..of.len())]
}

/// Random bytes: uniform, or mostly valid offsets and counts.
fn string(rng: &mut Rng) -> Vec<u8> {
    let most = pick(rng, &[0, 16, 64, 400, 4_000]);
    let len = rng.usize(..=most);
    if rng.bool() {
        return std::iter::repeat_with(|| rng.u8(..)).take(len).collect();
    }
    let (most, width) = (pick(rng, &[2, 16, len.max(2)]), pick(rng, &[1, 4]));
    let numbers = std::iter::repeat_with(|| rng.usize(..most));
    numbers.flat_map(|number| number.to_le_bytes().into_iter().take(width)).take(len).collect()
}

/// Damages bytes at one position or at several.
fn damage(bytes: &mut Vec<u8>, rng: &mut Rng) {
    for _ in 0..pick(rng, &[1, 1, 2, 5, 20]) {
        if bytes.is_empty() {
            return;
        }
        let at = rng.usize(..bytes.len());
        let end = rng.usize(at..=bytes.len()).min(at + 64);
        match rng.u8(..16) {
            0..3 => bytes[at] ^= 1 << rng.u8(..8),
            3..5 => bytes[at] = rng.u8(..),
            5..9 => {
                let number = any_number(bytes.len(), rng);
                overwrite(bytes, at, &number.to_le_bytes());
            }
            9..13 => {
                let len = pick(rng, &[4, 8, end - at]);
                let from = rng.usize(..bytes.len());
                let part: Vec<_> = bytes[from..].iter().copied().take(len).collect();
                overwrite(bytes, at, &part);
            }
            // Moves the root, which is last, so most results are rejected.
            13 => bytes.truncate(at),
            14 => drop(bytes.drain(at..end)),
            _ => drop(bytes.splice(at..at, string(rng).into_iter().take(64))),
        }
    }
}

/// A number that may be a valid or too large offset or count in a table.
fn any_number(len: usize, rng: &mut Rng) -> u32 {
    let len = u32::try_from(len).expect("a small table");
    match rng.u8(..4) {
        0 => rng.u32(..=len),
        1 => rng.u32(..8),
        2 => u32::MAX - rng.u32(..8),
        _ => rng.u32(..),
    }
}

fn overwrite(bytes: &mut [u8], at: usize, with: &[u8]) {
    for (byte, with) in bytes[at..].iter_mut().zip(with) {
        *byte = *with;
    }
}

#[test]
fn any_string_is_refused_or_answers() {
    let (taken, cases) = run("strings", |subject, plugin, rng| {
        let string = string(rng);
        let with_magic = [b"INGRESS\x04", &*string].concat();
        // The offset of the root, in place of the first four bytes.
        let root = rng.u32(16..64).to_le_bytes();
        let whole = sealed([&[0; 16][..], &root, &string].concat());
        match rng.u8(..6) {
            0 => hand_and_refuse(subject, plugin, &string, rng),
            1 => hand_and_refuse(subject, plugin, &with_magic, rng),
            2 => hand_and_ask(subject, plugin, &sealed(string), rng),
            3 => {
                let json = format!("{{\"flat\": \"{}\"}}", BASE64.encode(whole));
                hand_and_ask(subject, plugin, json.as_bytes(), rng)
            }
            _ => hand_and_ask(subject, plugin, &whole, rng),
        }
    });
    assert!(taken >= cases / 100, "only {taken} of {cases} were accepted");
}

#[test]
fn any_damage_is_refused() {
    run("damage", |subject, plugin, rng| {
        let mut bytes = subject.flat.clone();
        damage(&mut bytes, rng);
        if bytes == subject.flat {
            return Ok(false);
        }
        hand_and_refuse(subject, plugin, &bytes, rng)
    });
}

#[test]
fn any_table_that_was_made_wrong_answers() {
    let (taken, cases) = run("made wrong", |subject, plugin, rng| {
        let mut content = subject.flat[16..].to_vec();
        damage(&mut content, rng);
        let bytes = sealed([vec![0; 16], content].concat());
        hand_and_ask(subject, plugin, &bytes, rng)
    });
    assert!(taken >= cases / 4, "only {taken} of {cases} were accepted");
}
