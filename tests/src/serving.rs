//! A running `ingressctl serve`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::client::{Answer, get};
use crate::tools::{envoy, ingressctl};

/// `ingressctl serve` on a folder of manifests, with a real Envoy; stopped when
/// dropped.
pub struct Serving {
    child: Child,
    folder: TempDir,
    /// Where HTTP is served.
    pub http: SocketAddr,
    /// Envoy's admin interface.
    pub admin: SocketAddr,
}

impl Serving {
    /// Serves `manifests`, without an access log.
    ///
    /// # Panics
    /// Where it does not get ready.
    pub fn start(manifests: &str) -> Self {
        Self::start_with(manifests, &["--access-log", "false"])
    }

    /// Serves `manifests` with these flags.
    ///
    /// # Panics
    /// Where it does not get ready.
    pub fn start_with(manifests: &str, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("manifests.yaml"), manifests).expect("a manifest is written");
        let mut child = Command::new(ingressctl())
            .args(["serve", "--http", "127.0.0.1:0", "--concurrency", "2", "-f"])
            .arg(folder.path())
            .arg("--envoy")
            .arg(envoy())
            .args(flags)
            .stdout(Stdio::piped())
            .spawn()
            .expect("ingressctl runs");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let ready = lines.next().expect("a line of output").expect("text");
        // What follows is the access log, which must not fill the pipe.
        thread::spawn(move || lines.for_each(drop));
        let address = |name: &str| {
            let value = ready.split_whitespace().find_map(|word| word.strip_prefix(name));
            value
                .and_then(|value| value.parse().ok())
                .unwrap_or_else(|| panic!("no {name} in {ready:?}"))
        };
        let (http, admin) = (address("http="), address("admin="));
        Self { child, folder, http, admin }
    }

    /// The folder of the manifests.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Replaces the manifests in one step.
    ///
    /// # Panics
    /// Where they cannot be written.
    pub fn replace(&self, manifests: &str) {
        // Under a name that is not watched, then renamed: never half written.
        let new = self.folder().join("manifests.new");
        fs::write(&new, manifests).expect("a manifest is written");
        fs::rename(new, self.folder().join("manifests.yaml")).expect("a manifest is replaced");
    }

    /// Answers a GET.
    pub fn get(&self, authority: &str, path: &str) -> Answer {
        get(self.http, authority, path)
    }

    /// Waits until `path` answers with `status`, for five seconds at most, and
    /// says how long it took.
    ///
    /// # Panics
    /// Where it never does.
    pub fn wait_for(&self, authority: &str, path: &str, status: u16) -> Duration {
        let start = Instant::now();
        while self.get(authority, path).status != status {
            assert!(
                start.elapsed() < Duration::from_secs(5),
                "{authority} {path} never answered {status}"
            );
            thread::sleep(Duration::from_millis(5));
        }
        start.elapsed()
    }

    /// The value of one of Envoy's statistics.
    ///
    /// # Panics
    /// Where there is none of that name.
    pub fn stat(&self, name: &str) -> u64 {
        let text = get(self.admin, "admin", "/stats").body;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no statistic {name}"))
    }

    /// Envoy's process, a child of `ingressctl`.
    ///
    /// # Panics
    /// Where it is not running.
    pub fn envoy_pid(&self) -> u32 {
        let children = format!("/proc/{0}/task/{0}/children", self.child.id());
        let children = fs::read_to_string(children).expect("a running process");
        children
            .split_whitespace()
            .next()
            .and_then(|pid| pid.parse().ok())
            .expect("a running Envoy")
    }

    /// Asks it to end, as Ctrl-C does, and gives its exit code.
    ///
    /// # Panics
    /// Where it cannot be waited for.
    pub fn interrupt(mut self) -> Option<i32> {
        self.signal(Signal::INT);
        self.child.wait().expect("it ends").code()
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::TERM);
            let _ = self.child.wait();
        }
    }
}
