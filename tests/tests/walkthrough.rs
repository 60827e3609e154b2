//! The page of the documentation, word for word: a real httpbin, a real Envoy,
//! curl.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ingress_tests::{Edge, HttpBin, Serving, envoy, ingressctl, require_tool, workspace};

#[test]
fn the_sample_ingress_exposes_two_paths_of_httpbin_and_nothing_else() {
    if !has_curl() {
        return;
    }
    let httpbin = HttpBin::start();
    let serving = Serving::start(&sample_manifests(httpbin.address.port()));
    shows_the_page(&serving);
}

#[test]
fn the_sample_rule_gives_delays_four_seconds_and_changes_nothing_else() {
    if !has_curl() {
        return;
    }
    let httpbin = HttpBin::start();
    let manifests = sample_manifests(httpbin.address.port());
    let serving = Serving::start(&manifests);
    assert_eq!(timed(&serving, "/delay/5"), (200, 5));

    // As the page has it: the rule is added to what is served already.
    serving.replace(&format!("{manifests}\n---\n{}", sample("status-route/status-route.yaml")));
    wait_until("the rule is served", || {
        let head = curl(&serving, &["-i"], "/delay/4.5");
        head.starts_with("HTTP/1.1 504 ")
    });
    shows_the_rule(&serving);
    shows_the_page(&serving);
}

#[test]
fn the_demo_shows_the_page_and_leaves_nothing_behind() {
    if !has_curl() {
        return;
    }
    let temporary = tempfile::tempdir().unwrap();
    let (demo, edge) = Edge::run(
        Command::new(ingressctl())
            .args(["demo", "--http", "127.0.0.1:0", "--concurrency", "2", "--envoy"])
            .arg(envoy())
            .env("TMPDIR", temporary.path())
            .stderr(Stdio::null()),
    );
    shows_the_page(&edge);
    let envoys = demo.children();
    assert_eq!(envoys.len(), 1, "the demo is an ingressctl and an Envoy");
    assert!(holds_files(temporary.path()), "what it writes, it writes to $TMPDIR");

    assert_eq!(demo.interrupt(), Some(0));
    for envoy in envoys {
        assert!(!Path::new(&format!("/proc/{envoy}")).exists(), "Envoy still runs");
    }
    assert!(!holds_files(temporary.path()), "files are left in {:?}", temporary.keep());
}

fn has_curl() -> bool {
    require_tool("curl", "apt-get install curl")
}

fn holds_files(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().next().is_some()
}

/// The sample, with httpbin at another port of this machine.
fn sample_manifests(port: u16) -> String {
    let sample = |name: &str| {
        let folder = workspace().join("config/samples/simple-ingress");
        fs::read_to_string(folder.join(name)).unwrap()
    };
    let httpbin = sample("httpbin.yaml");
    // The last one is that of the Endpoints.
    let (before, after) = httpbin.rsplit_once("port: 8000").unwrap();
    format!("{before}port: {port}{after}\n---\n{}", sample("ingress.yaml"))
}

fn shows_the_page(edge: &Edge) {
    let exposed = curl(edge, &["-I"], "/status/200");
    assert!(exposed.starts_with("HTTP/1.1 200 OK\r\n"), "{exposed}");
    assert!(exposed.contains("\r\nserver: envoy\r\n"), "{exposed}");

    let hidden = curl(edge, &["-I"], "/headers");
    assert!(hidden.starts_with("HTTP/1.1 404 Not Found\r\n"), "{hidden}");
    assert!(hidden.contains("\r\nserver: envoy\r\n"), "{hidden}");
    assert!(hidden.contains("\r\ncontent-length: 0\r\n"), "{hidden}");

    let start = Instant::now();
    let delayed = curl(edge, &["-i"], "/delay/2");
    let took = start.elapsed();
    assert!(delayed.starts_with("HTTP/1.1 200 OK\r\n"), "{delayed}");
    assert!((Duration::from_secs(2)..Duration::from_secs(4)).contains(&took), "{took:?}");
}

fn curl(edge: &Edge, flags: &[&str], path: &str) -> String {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "30"])
        .args(flags)
        .arg(format!("http://{}{path}", edge.http))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
