//! The controller alone: how it starts and ends before it serves anything.

mod sandbox;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// A child process, killed when dropped.
struct Controller(Child);

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A controller without an Envoy, for the API server `server` with the credentials
/// `user`; after the first `lines` of its log.
fn start(folder: &Path, server: &str, user: &str, lines: usize) -> Controller {
    let kubeconfig = folder.join("kubeconfig");
    let text = format!(
        "{{apiVersion: v1, kind: Config, current-context: a, \
         clusters: [{{name: a, cluster: {{server: 'http://{server}'}}}}], \
         users: [{{name: a, user: {user}}}], \
         contexts: [{{name: a, context: {{cluster: a, user: a}}}}]}}"
    );
    fs::write(&kubeconfig, text).unwrap();
    let mut child = sandbox::ingressctl()
        .args(["controller", "--http", "0", "--https", "0", "--folder"])
        .arg(folder.join("edge"))
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let controller = Controller(child);
    for _ in 0..lines {
        log.next().expect("a line of the log").unwrap();
    }
    // Reads on, so that a full pipe never blocks it.
    thread::spawn(move || log.for_each(drop));
    sleep(Duration::from_millis(500));
    controller
}

fn expect_to_end(mut controller: Controller, signal: Signal) {
    let pid = Pid::from_child(&controller.0);
    let start = Instant::now();
    kill_process(pid, signal).unwrap();
    let status = loop {
        if let Some(status) = controller.0.try_wait().unwrap() {
            break status;
        }
        assert!(start.elapsed() < Duration::from_secs(1), "still running after {signal:?}");
        sleep(Duration::from_millis(5));
    };
    assert_eq!(status.code(), Some(0), "{signal:?}");
}

#[test]
fn the_controller_ends_at_once_before_envoy_serves() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().to_string();
    for server in [&*silent, "127.0.0.1:1"] {
        for signal in [Signal::TERM, Signal::INT] {
            let folder = tempfile::tempdir().unwrap();
            expect_to_end(start(folder.path(), server, "{}", 1), signal);
        }
    }
}

#[test]
fn the_controller_ends_at_once_while_credentials_are_asked_for() {
    let program = "{exec: {apiVersion: client.authentication.k8s.io/v1, command: sleep, \
                   args: ['5'], interactiveMode: Never}}";
    let folder = tempfile::tempdir().unwrap();
    expect_to_end(start(folder.path(), "127.0.0.1:1", program, 0), Signal::TERM);
}

/// With pages of 2 MiB its memory grows for as long as it runs.
#[test]
#[cfg(target_os = "linux")]
fn the_controller_uses_small_pages() {
    let folder = tempfile::tempdir().unwrap();
    let controller = start(folder.path(), "127.0.0.1:1", "{}", 1);
    let status = fs::read_to_string(format!("/proc/{}/status", controller.0.id())).unwrap();
    assert!(status.contains("\nTHP_enabled:\t0\n"), "{status}");
}
