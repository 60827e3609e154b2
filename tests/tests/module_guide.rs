//! The guide of the module host, `host-test/docs/guide.md`: followed by the letter in an empty
//! folder, and its filter in a real Envoy, where it must answer byte by byte as in the host.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use ingress_tests::{
    Answer, Echo, Echoed, OwnEnvoy, answering, listen, module_envoy, raw, read_head, workspace,
};
use proxy_wasm_test::{Answer as CallAnswer, ExchangeRecord, Module, Options, Plugin};
use tempfile::TempDir;

/// A fenced block of the guide.
enum Block {
    /// The content of a file, or what is appended to it.
    File(String, String),
    /// Commands.
    Console(Vec<String>),
    /// What the last command prints.
    Text(String),
}

fn blocks(guide: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    for (index, part) in guide.split("```").enumerate() {
        if index % 2 == 0 {
            continue;
        }
        let (info, content) = part.split_once('\n').expect("a block");
        blocks.push(if let Some((_, name)) = info.split_once("file=") {
            Block::File(name.to_owned(), content.to_owned())
        } else if info == "console" {
            let commands = content.lines().map(|line| line.strip_prefix("$ ").expect("a command"));
            Block::Console(commands.map(str::to_owned).collect())
        } else {
            Block::Text(content.to_owned())
        });
    }
    blocks
}

/// Follows the guide, once for all tests, and returns the filter.
fn filter() -> &'static Path {
    static FILTER: OnceLock<PathBuf> = OnceLock::new();
    FILTER.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // The crate of this commit stands for the published one. The configuration is beside the
        // folder of the filter, which is empty at first.
        let config = folder.path().join(".cargo");
        fs::create_dir(&config).expect("a folder");
        let host = workspace().join("host-test");
        let patch = format!("[patch.crates-io]\nproxy-wasm-test.path = '{}'\n", host.display());
        fs::write(config.join("config.toml"), patch).expect("a file");
        let project = folder.path().join("ask-first");
        fs::create_dir(&project).expect("a folder");
        follow(&project);
        target().join("wasm32-wasip1/debug/ask_first.wasm")
    })
}

/// Where the filter is built, so that only the first run takes minutes.
fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("guide")
}

fn follow(project: &Path) {
    let guide = fs::read_to_string(workspace().join("host-test/docs/guide.md")).expect("a page");
    let (mut printed, mut commands) = (String::new(), 0);
    for block in blocks(&guide) {
        match block {
            Block::File(name, content) => append(&project.join(name), &content),
            Block::Console(lines) => {
                for line in lines {
                    printed = run(project, &line);
                    commands += 1;
                }
            }
            Block::Text(text) => assert!(printed.contains(&text), "{text}\nis not in\n{printed}"),
        }
    }
    assert!(commands >= 6, "the guide has lost its commands");
}

fn append(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    let file = OpenOptions::new().create(true).append(true).open(path);
    let mut file = file.expect("a file");
    write!(file, "{content}").expect("a file that can be written");
}

fn run(project: &Path, command: &str) -> String {
    let output = Command::new("sh")
        .args(["-c", command])
        .current_dir(project)
        .env("CARGO_TARGET_DIR", target())
        // Half the time of the build is debug information.
        .env("CARGO_PROFILE_DEV_DEBUG", "false")
        .output()
        .expect("a shell");
    let text =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    let text = text.concat();
    assert!(output.status.success(), "{command}:\n{text}");
    text
}

/// A response: status, headers without those that Envoy adds to every response, and body.
type Seen = (String, BTreeMap<String, String>, String);

fn seen_in_envoy(answer: &Answer) -> Seen {
    let added = ["date", "server", "x-envoy-upstream-service-time", "connection", "x-echo"];
    let headers = answer.head.lines().filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    let headers = headers.filter(|(name, _)| !added.contains(&&**name)).collect();
    (answer.status.to_string(), headers, answer.body.clone())
}

fn seen_in_host(record: &ExchangeRecord) -> Seen {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut headers: BTreeMap<_, _> =
        record.response.headers.iter().map(|(name, value)| (text(name), text(value))).collect();
    let status = headers.remove(":status").expect("a status");
    (status, headers, text(&record.response.body))
}

/// The request of the tests, as the client sends it and as the host gets it.
const BYTES: &[u8] = b"GET /orders HTTP/1.1\r\nhost: shop.example\r\nauthorization: Bearer 7\r\n\
    connection: close\r\n\r\n";
const REQUEST: [(&str, &str); 4] = [
    (":method", "GET"),
    (":path", "/orders"),
    (":authority", "shop.example"),
    ("authorization", "Bearer 7"),
];

/// An Envoy with the filter, which calls the service at this address.
fn envoy(configuration: &str, auth: SocketAddr, upstream: SocketAddr) -> (OwnEnvoy, TempDir) {
    module_envoy(filter(), configuration, &[("auth", auth), ("upstream", upstream)])
}

/// The exchange in the host, with this answer of the service.
fn in_host(options: Options) -> ExchangeRecord {
    let module = Module::from_file(filter()).expect("a module");
    let plugin = Plugin::with_options(&module, options).expect("a start");
    assert!(plugin.configure("auth").expect("no panic"));
    let mut exchange = plugin.exchange().expect("no panic");
    exchange.request_headers(REQUEST, true).expect("no panic");
    plugin.advance(std::time::Duration::from_secs(1)).expect("no panic");
    exchange.finish().expect("no panic")
}

#[test]
fn a_request_that_is_allowed_reaches_the_upstream_with_its_user() {
    let auth = answering("HTTP/1.1 200 OK\r\nx-user: ann\r\ncontent-length: 0\r\n\r\n");
    let upstream = Echo::start();
    let (envoy, _folder) = envoy("auth", auth, ([127, 0, 0, 1], upstream.port).into());
    let answer = raw(envoy.http, BYTES);
    let echoed = Echoed::of(&answer).expect("the upstream answers");
    assert!(echoed.headers.contains(&("x-user".into(), "ann".into())), "{echoed:?}");

    let record = in_host(
        Options::default()
            .answer_calls(|_| CallAnswer::response([(":status", "200"), ("x-user", "ann")])),
    );
    let sent = |name: &str| record.request.headers.get_str(name).map(str::to_owned);
    assert_eq!(sent("x-user").as_deref(), Some("ann"));
    assert_eq!(sent(":path").as_deref(), Some(&*echoed.path));
    let header = |name: &str| echoed.headers.iter().find(|(key, _)| key == name);
    assert_eq!(sent("authorization"), header("authorization").map(|(_, value)| value.clone()));
}

#[test]
fn a_request_that_is_denied_is_answered_by_the_filter() {
    let auth = answering("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
    let (envoy, _folder) = envoy("auth", auth, answering("never"));
    let expected =
        in_host(Options::default().answer_calls(|_| CallAnswer::response([(":status", "403")])));
    let answer = seen_in_envoy(&raw(envoy.http, BYTES));
    assert_eq!((answer.0.as_str(), answer.2.as_str()), ("403", "not allowed\n"));
    assert_eq!(answer, seen_in_host(&expected));
}

#[test]
fn a_service_that_does_not_answer_times_out() {
    let (listener, auth) = listen();
    // It accepts and reads, and gives no answer.
    std::thread::spawn(move || {
        let mut silent = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            read_head(&mut stream);
            silent.push(stream);
        }
    });
    let (envoy, _folder) = envoy("auth", auth, answering("never"));
    let expected = in_host(Options::default());
    let answer = seen_in_envoy(&raw(envoy.http, BYTES));
    assert_eq!((answer.0.as_str(), answer.2.as_str()), ("503", "try again later\n"));
    assert_eq!(answer, seen_in_host(&expected));
}

#[test]
fn a_cluster_that_is_missing_is_a_status_of_the_call() {
    let (envoy, _folder) = envoy("another", answering("never"), answering("never"));
    let expected = in_host(Options::default().clusters(["another"]));
    let answer = seen_in_envoy(&raw(envoy.http, BYTES));
    assert_eq!((answer.0.as_str(), answer.2.as_str()), ("503", "no authorisation service\n"));
    assert_eq!(answer, seen_in_host(&expected));
}
