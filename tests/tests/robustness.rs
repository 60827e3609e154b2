//! Events around the traffic: ports in use, signals, an Envoy that stalls or
//! crashes.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use ingress_tests::{Serving, Upstream, envoy, ingressctl};
use rustix::process::{Pid, Signal, kill_process};

/// `path` of any host leads to the service a.
fn ingress(path: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\n\
         metadata: {{name: web, annotations: {{kubernetes.io/ingress.class: istio}}}}\n\
         spec: {{rules: [{{http: {{paths: [{{path: {path}, pathType: Exact, backend: {{service: {{name: a, port: {{number: 80}}}}}}}}]}}}}]}}\n"
    )
}

fn serving(upstream: &Upstream) -> Serving {
    Serving::start(&(upstream.manifests("a", "http", 80) + &ingress("/one")))
}

fn signal_envoy(serving: &Serving, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(serving.envoy_pid()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

fn is_running(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn a_port_that_is_taken_is_refused_at_once() {
    let upstream = Upstream::start("a");
    let first = serving(&upstream);
    let start = Instant::now();
    let second = Command::new(ingressctl())
        .args(["serve", "--http", &first.http.to_string(), "-f"])
        .arg(first.folder())
        .arg("--envoy")
        .arg(envoy())
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(1));
    assert!(message.contains(&format!("cannot listen on {}", first.http)), "{message}");
    assert!(second.stdout.is_empty(), "the second must not become ready");
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn every_way_to_be_asked_to_end_takes_envoy_along() {
    let upstream = Upstream::start("a");
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
        let mut serving = serving(&upstream);
        let envoy = serving.envoy_pid();
        serving.process().signal(signal);
        assert_eq!(serving.process().wait().code(), Some(0), "{signal:?}");
        assert!(!is_running(envoy), "{signal:?}");
    }
}

#[test]
fn a_second_signal_ends_an_envoy_that_does_not_answer() {
    let upstream = Upstream::start("a");
    let mut serving = serving(&upstream);
    let envoy = serving.envoy_pid();
    signal_envoy(&serving, Signal::STOP);
    serving.replace(&ingress("/never"));
    thread::sleep(Duration::from_millis(300));
    let start = Instant::now();
    serving.process().signal(Signal::INT);
    thread::sleep(Duration::from_millis(300));
    serving.process().signal(Signal::INT);
    assert_eq!(serving.process().wait().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert!(!is_running(envoy));
}

#[test]
fn a_change_during_a_stall_of_envoy_is_served_after_it_and_can_be_undone() {
    let upstream = Upstream::start("a");
    let services = upstream.manifests("a", "http", 80);
    let serving = serving(&upstream);
    signal_envoy(&serving, Signal::STOP);
    serving.replace(&(services.clone() + &ingress("/two")));
    // Longer than the timeout for responses of the admin interface.
    thread::sleep(Duration::from_secs(7));
    signal_envoy(&serving, Signal::CONT);
    serving.wait_for("any", "/two", 200);
    serving.replace(&(services + &ingress("/one")));
    serving.wait_for("any", "/one", 200);
    assert_eq!(serving.get("any", "/two").status, 404);
}

#[test]
fn the_death_of_envoy_is_told_by_the_exit_code() {
    let upstream = Upstream::start("a");
    let mut serving = serving(&upstream);
    signal_envoy(&serving, Signal::KILL);
    assert_eq!(serving.process().wait().code(), Some(128 + 9));
}

/// Envoy exits if it watches more than about 120 files.
#[test]
fn five_hundred_services_are_served() {
    const SERVICES: usize = 500;
    let upstream = Upstream::start("a");
    let service = |index: usize| {
        let name = format!("service-{index}");
        upstream.manifests(&name, "http", 80)
            + &format!(
                "apiVersion: networking.k8s.io/v1\nkind: Ingress\n\
                 metadata: {{name: {name}, annotations: {{kubernetes.io/ingress.class: istio}}}}\n\
                 spec: {{rules: [{{host: {name}.example, http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: {name}, port: {{number: 80}}}}}}}}]}}}}]}}\n"
            )
    };
    let serving = Serving::start(&(0..SERVICES).map(service).collect::<String>());
    for index in [0, SERVICES / 2, SERVICES - 1] {
        assert_eq!(serving.get(&format!("service-{index}.example"), "/").by(), "a", "{index}");
    }
    serving.replace(&(0..=SERVICES).map(service).collect::<String>());
    serving.wait_for(&format!("service-{SERVICES}.example"), "/", 200);
    assert_eq!(serving.get("service-0.example", "/").by(), "a");
}
