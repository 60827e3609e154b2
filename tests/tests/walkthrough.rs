//! The documentation page, exactly as it is: a real httpbin, a real Envoy, curl.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ingress_tests::{Edge, HttpBin, Serving, envoy, ingressctl, tool, wait_until, workspace};

#[test]
fn the_sample_ingress_exposes_two_paths_of_httpbin_and_nothing_else() {
    let httpbin = HttpBin::start();
    let serving = Serving::start(&sample_manifests(httpbin.address.port()));
    shows_the_page(&serving);
}

#[test]
fn the_sample_rule_gives_delays_four_seconds_and_changes_nothing_else() {
    let httpbin = HttpBin::start();
    let serving = Serving::start(&sample_manifests(httpbin.address.port()));
    shows_the_rule(&serving, || {
        let rule = workspace().join("config/samples/status-route/status-route.yaml");
        fs::copy(rule, serving.folder().join("status-route.yaml")).unwrap();
    });
}

#[test]
fn the_demo_shows_the_page_and_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().unwrap();
    let (demo, edge, _) = Edge::run(
        Command::new(ingressctl())
            .args(["demo", "--http", "127.0.0.1:0", "--concurrency", "2", "--envoy"])
            .arg(envoy())
            .env("TMPDIR", temporary.path())
            .stderr(Stdio::null()),
    );
    shows_the_page(&edge);
    let manifests = manifests_of_the_demo(temporary.path());
    shows_the_rule(&edge, || {
        let unread = manifests.join("status-route.yaml.off");
        fs::rename(unread, manifests.join("status-route.yaml")).unwrap();
    });
    let envoys = demo.children();
    assert_eq!(envoys.len(), 1, "the demo runs one ingressctl and one Envoy");
    assert!(holds_files(temporary.path()), "the demo must write to $TMPDIR");

    assert_eq!(demo.interrupt(), Some(0));
    for envoy in envoys {
        assert!(!Path::new(&format!("/proc/{envoy}")).exists(), "Envoy still runs");
    }
    assert!(!holds_files(temporary.path()), "files are left in {:?}", temporary.keep());
}

fn holds_files(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().next().is_some()
}

/// The folder of manifests that the demo prints.
fn manifests_of_the_demo(temporary: &Path) -> PathBuf {
    let entries = fs::read_dir(temporary).unwrap().map(|entry| entry.unwrap().path());
    let mut folders = entries.filter(|path| path.join("ingress.yaml").is_file());
    folders.next().expect("a folder of manifests")
}

/// The sample, with httpbin at another port of this machine.
fn sample_manifests(port: u16) -> String {
    let sample = |name: &str| {
        let folder = workspace().join("config/samples/simple-ingress");
        fs::read_to_string(folder.join(name)).unwrap()
    };
    let httpbin = sample("httpbin.yaml");
    // The last one is the port of the Endpoints.
    let (before, after) = httpbin.rsplit_once("port: 8000").unwrap();
    format!("{before}port: {port}{after}\n---\n{}", sample("ingress.yaml"))
}

/// The next step of the page: a rule is added to the running Ingress.
fn shows_the_rule(edge: &Edge, add: impl FnOnce()) {
    takes(edge, "/delay/5", 200, 5);

    add();
    wait_until("the rule is served", || curl(edge, &["-I"], "/delay/5").contains(" 504 "));

    takes(edge, "/delay/10", 504, 4);
    shows_the_page(edge);
}

/// Asserts the status, and that the response took that long or a little longer.
#[track_caller]
fn takes(edge: &Edge, path: &str, status: u16, seconds: u64) {
    // Downloads may take longer.
    tool("curl");
    let start = Instant::now();
    let answer = curl(edge, &["-i"], path);
    let took = start.elapsed();
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
    // Envoy's timers may fire some milliseconds early.
    let earliest = Duration::from_millis((seconds * 1_000).saturating_sub(50));
    let expected = earliest..Duration::from_secs(seconds + 2);
    assert!(expected.contains(&took), "{path}: {took:?}");
}

fn shows_the_page(edge: &Edge) {
    let exposed = curl(edge, &["-I"], "/status/200");
    assert!(exposed.starts_with("HTTP/1.1 200 OK\r\n"), "{exposed}");
    assert!(exposed.contains("\r\nserver: envoy\r\n"), "{exposed}");

    let hidden = curl(edge, &["-I"], "/headers");
    assert!(hidden.starts_with("HTTP/1.1 404 Not Found\r\n"), "{hidden}");
    assert!(hidden.contains("\r\nserver: envoy\r\n"), "{hidden}");
    assert!(hidden.contains("\r\ncontent-length: 0\r\n"), "{hidden}");

    takes(edge, "/delay/2", 200, 2);
}

fn curl(edge: &Edge, flags: &[&str], path: &str) -> String {
    let output = Command::new(tool("curl"))
        .args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "30"])
        .args(flags)
        .arg(format!("http://{}{path}", edge.http))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
