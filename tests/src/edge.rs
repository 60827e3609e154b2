//! A running Envoy: its addresses, and requests to it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::access_log::AccessLog;
use crate::admin::Admin;
use crate::client::{Answer, get};
use crate::process::Process;

/// The addresses of an Envoy.
#[derive(Clone, Debug)]
pub struct Edge {
    /// HTTP.
    pub http: SocketAddr,
    /// HTTPS, if there was a certificate at the start.
    pub https: Option<SocketAddr>,
    /// Probes and metrics of `ingressctl`, if they were asked for.
    pub health: Option<SocketAddr>,
    /// Envoy's admin interface.
    pub admin: Admin,
}

impl Edge {
    /// Runs `ingressctl` until it prints its addresses. The rest of its output is
    /// the access log.
    ///
    /// # Panics
    /// If it does not become ready.
    pub fn run(command: &mut Command) -> (Process, Self, AccessLog) {
        let mut process = Process::spawn(command.stdout(Stdio::piped()));
        let mut lines = BufReader::new(process.output()).lines();
        let ready = lines.next().expect("a line of output").expect("text");
        let access_log = AccessLog::follow(lines);
        let value = |name| ready.split_whitespace().find_map(|word| word.strip_prefix(name));
        let address = |name| value(name)?.parse().ok();
        let admin = value("admin=").and_then(|value| value.parse().ok());
        let (Some(http), Some(admin)) = (address("http="), admin) else {
            panic!("no addresses in {ready:?}");
        };
        let edge = Self { http, https: address("https="), health: address("health="), admin };
        (process, edge, access_log)
    }

    /// The HTTPS address.
    ///
    /// # Panics
    /// If HTTPS was not served at the start.
    pub fn https(&self) -> SocketAddr {
        self.https.expect("HTTPS is served")
    }

    /// The address of probes and metrics of `ingressctl`.
    ///
    /// # Panics
    /// If it was started without.
    pub fn health(&self) -> SocketAddr {
        self.health.expect("--health was given")
    }

    /// The response to a GET.
    pub fn get(&self, authority: &str, path: &str) -> Answer {
        get(self.http, authority, path)
    }

    /// Waits until `path` returns `status`, and returns how long that took.
    ///
    /// If it does not within the time limit.
    /// If it never does.
    pub fn wait_for(&self, authority: &str, path: &str, status: u16) -> Duration {
        let what = format!("{authority} {path} answers {status}");
        wait_until(&what, || self.get(authority, path).status == status)
    }

    /// The value of one of Envoy's statistics.
    ///
    /// # Panics
    /// If there is no statistic with that name.
    pub fn stat(&self, name: &str) -> u64 {
        let text = self.admin.get("/stats").body;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no statistic {name}"))
    }
}

/// The time limit of any wait on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Waits until a condition is true, and returns how long that took.
///
/// # Panics
/// If it does not become true within the time limit.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < TIMEOUT, "never: {what}");
        thread::sleep(Duration::from_millis(5));
    }
    start.elapsed()
}
