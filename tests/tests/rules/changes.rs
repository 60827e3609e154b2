//! Rules and versions that change under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::setup::{Ruled, rule};
use ingress_tests::{KeepAlive, wait_until};

/// Clients that send requests without pause, and their results.
struct Load {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    clients: Vec<thread::JoinHandle<Vec<String>>>,
}

impl Load {
    fn start(edge: &Ruled, path: &'static str) -> Self {
        let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let http = edge.serving.http;
        let client = |_| {
            let (stop, asked) = (Arc::clone(&stop), Arc::clone(&asked));
            thread::spawn(move || {
                let mut client = KeepAlive::connect(http);
                let mut failed = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let answer = client.get("shop.example", path);
                    if answer.status != 200 {
                        failed.push(format!("{} {}", answer.status, answer.head));
                    }
                    asked.fetch_add(1, Ordering::Relaxed);
                }
                failed
            })
        };
        let clients = (0..4).map(client).collect();
        Self { stop, asked, clients }
    }

    /// The number of requests; asserts that none failed.
    fn stop(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        let failed: Vec<_> =
            self.clients.into_iter().flat_map(|client| client.join().expect("a client")).collect();
        assert!(failed.is_empty(), "{} failed, such as {}", failed.len(), failed[0]);
        self.asked.load(Ordering::Relaxed)
    }
}

/// Waits until both workers send all requests to one upstream.
fn served_by(edge: &Ruled, name: &str) {
    wait_until(name, || (0..8).all(|_| edge.serving.get("shop.example", "/load").by() == name));
}

#[test]
fn a_rule_that_comes_changes_and_goes_fails_no_request() {
    let mut edge = Ruled::start(&[]);
    let load = Load::start(&edge, "/load");
    let to = |version: &str| {
        vec![rule(
            "load",
            &format!(
                "route: [{{labels: {{version: {version}}}}}], mirror: {{name: other}}, httpReqTimeout: {{simpleTimeout: {{timeout: 10s}}}}"
            ),
        )]
    };
    for _ in 0..10 {
        edge.replace(&to("v1"));
        served_by(&edge, "v1");
        edge.replace(&to("v2"));
        served_by(&edge, "v2");
        edge.replace(&[rule("load", "route: [{destination: {name: other}, weight: 100}]")]);
        served_by(&edge, "other");
        edge.replace(&[]);
        wait_until("the default route", || edge.serving.get("shop.example", "/load").by() == "v1");
    }
    let asked = load.stop();
    println!("40 changes of rules, {asked} requests, none failed");
    assert!(asked > 2_000, "{asked}");
}

#[test]
fn endpoints_move_between_versions_without_a_failed_request() {
    let mut edge = Ruled::start(&[rule("load", "route: [{labels: {version: v1}}]")]);
    let load = Load::start(&edge, "/load");
    for _ in 0..20 {
        let now = edge.swap_versions();
        served_by(&edge, now);
    }
    thread::sleep(Duration::from_millis(200));
    let asked = load.stop();
    println!("20 moves of endpoints, {asked} requests, none failed");
    assert!(asked > 1_000, "{asked}");
}
