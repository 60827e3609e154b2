//! A running Envoy gets changes of the manifests without a restart and without a
//! failed request.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use ingress_tests::{Serving, Upstream, tool};
use rustix::process::{Pid, Signal, kill_process};

/// These tests measure time, so they run one at a time.
fn my_turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ingress(path: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\n\
         metadata: {{name: swapped, annotations: {{kubernetes.io/ingress.class: istio}}}}\n\
         spec: {{rules: [{{http: {{paths: [{{path: {path}, pathType: Exact, backend: {{service: {{name: a, port: {{number: 80}}}}}}}}]}}}}]}}\n"
    )
}

#[test]
fn a_change_is_served_and_what_cannot_be_read_is_not() {
    let _turn = my_turn();
    let upstream = Upstream::start("a");
    let services = upstream.manifests("a", "http", 80);
    let serving = Serving::start(&(services.clone() + &ingress("/one")));
    assert_eq!(serving.get("any", "/one").by(), "a");
    assert_eq!(serving.get("any", "/two").status, 404);

    serving.replace(&(services.clone() + &ingress("/two")));
    serving.wait_for("any", "/two", 200);
    assert_eq!(serving.get("any", "/one").status, 404);

    serving.replace(&(services.clone() + "{ this is: [no YAML"));
    fs::write(serving.folder().join("more.yaml"), ingress("/three").replace("swapped", "more"))
        .unwrap();
    thread::sleep(Duration::from_millis(800));
    assert_eq!(serving.get("any", "/two").status, 200, "the last good state is still served");
    assert_eq!(serving.get("any", "/three").status, 404, "a half-written change is not");

    serving.replace(&(services + &ingress("/one")));
    serving.wait_for("any", "/three", 200);
    serving.wait_for("any", "/one", 200);
    assert_eq!(serving.interrupt(), Some(0));
}

/// Two versions of the manifests that share only the path `/stable`: it moves from
/// one service to another, whose clusters are added and removed.
fn version(index: usize, upstreams: &[Upstream; 2]) -> String {
    let name = ["a", "b"][index % 2];
    let path = |path: &str| {
        format!(
            "{{path: {path}, pathType: Exact, backend: {{service: {{name: {name}, port: {{number: 80}}}}}}}}"
        )
    };
    upstreams[index % 2].manifests(name, "http", 80)
        + &format!(
            "apiVersion: networking.k8s.io/v1\nkind: Ingress\n\
             metadata: {{name: swapped, annotations: {{kubernetes.io/ingress.class: istio}}}}\n\
             spec: {{rules: [{{http: {{paths: [{}, {}]}}}}]}}\n",
            path("/stable"),
            path(&format!("/version-{index}")),
        )
}

#[test]
fn a_hundred_changes_under_load_fail_no_request() {
    let _turn = my_turn();
    let upstreams = [Upstream::start("a"), Upstream::start("b")];
    let serving = Serving::start(&version(0, &upstreams));
    let load = Load::start(&format!("http://{}/stable", serving.http));
    let mut slowest = Duration::ZERO;
    let mut served = [0, 0];
    for index in 1..=100 {
        serving.replace(&version(index, &upstreams));
        slowest = slowest.max(serving.wait_for("any", &format!("/version-{index}"), 200));
        for (served, upstream) in served.iter_mut().zip(&upstreams) {
            *served += upstream.take_received().len();
        }
    }
    let report = load.stop();
    println!("slowest change: {} ms\n{report}", slowest.as_millis());
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    assert!(!report.contains("Non-2xx") && !report.contains("Socket errors"), "{report}");
    let requests = report
        .lines()
        .find_map(|line| line.split_once(" requests in ")?.0.trim().parse::<u64>().ok());
    assert!(requests.is_some_and(|requests| requests > 10_000), "{report}");
    assert!(served.iter().all(|requests| *requests > 1_000), "each served over 1,000: {served:?}");
}

#[test]
fn a_thousand_changes_leave_the_memory_as_it_was() {
    let _turn = my_turn();
    let upstreams = [Upstream::start("a"), Upstream::start("b")];
    let serving = Serving::start(&version(0, &upstreams));
    let mut after_50 = 0;
    for index in 1..=1_000 {
        serving.replace(&version(index, &upstreams));
        serving.wait_for("any", &format!("/version-{index}"), 200);
        if index == 50 {
            after_50 = resident_kib(serving.envoy_pid());
        }
    }
    let after_1000 = resident_kib(serving.envoy_pid());
    println!("resident: {after_50} KiB after 50 changes, {after_1000} KiB after 1,000");
    assert!(
        after_1000 * 100 <= after_50 * 110,
        "{after_50} KiB after 50 changes, {after_1000} KiB after 1,000"
    );
}

fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// A running `wrk`.
struct Load(Child);

impl Load {
    fn start(url: &str) -> Self {
        let child = Command::new(tool("wrk"))
            .args(["-t1", "-c16", "-d600", url])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self(child)
    }

    /// Stops it, and returns its report.
    fn stop(self) -> String {
        let pid = Pid::from_raw(i32::try_from(self.0.id()).unwrap()).unwrap();
        kill_process(pid, Signal::INT).unwrap();
        String::from_utf8(self.0.wait_with_output().unwrap().stdout).unwrap()
    }
}
