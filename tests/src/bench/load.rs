//! Load generation, and the latency of its requests.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::tools::tool;

/// Without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
}

impl HttpVersion {
    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        }
    }

    fn arguments(self, pace: Pace) -> &'static [&'static str] {
        match (self, pace) {
            (Self::Http1, Pace::Full) => &["--h1", "-c16"],
            (Self::Http1, Pace::OneByOne) => &["--h1", "-c1"],
            (Self::Http2, Pace::Full) => &["-c4", "-m4"],
            (Self::Http2, Pace::OneByOne) => &["-c1", "-m1"],
        }
    }
}

/// How many requests are under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// 16: on as many connections, or 4 streams on each of 4.
    Full,
    /// One, so that none waits for another.
    OneByOne,
}

/// GETs for one URL, from one core.
pub struct Load {
    version: HttpVersion,
    host: String,
    path: String,
    seconds: usize,
    folder: TempDir,
}

/// What the requests of one slice of time took.
#[derive(Clone, Copy, Debug)]
pub struct Slice {
    /// How many were answered with 200.
    pub requests: f64,
    /// How many were not.
    pub failed: usize,
    /// How long half of them took at most, in microseconds.
    pub half: f64,
    /// How long 99 of 100 took at most, in microseconds.
    pub most: f64,
    /// How long the slowest took.
    pub longest: f64,
}

impl Load {
    /// Slices of so many seconds for this path of `host`.
    ///
    /// # Panics
    /// Where there is no room for a temporary file.
    pub fn new(version: HttpVersion, host: &str, path: &str, seconds: usize) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { version, host: host.to_owned(), path: path.to_owned(), seconds, folder }
    }

    /// One slice of load on `address`.
    ///
    /// # Panics
    /// Where any request fails.
    pub fn slice(&self, address: SocketAddr, pace: Pace) -> Slice {
        let slice = self.begin(address, pace).end();
        assert!(slice.failed == 0, "{} of {} requests have failed", slice.failed, slice.requests);
        slice
    }

    /// Begins a slice that something else goes on beside.
    ///
    /// # Panics
    /// Where there is no h2load.
    pub fn begin(&self, address: SocketAddr, pace: Pace) -> Running<'_> {
        let log = self.log();
        let _ = fs::remove_file(&log);
        let child = Command::new(tool("h2load"))
            .args(self.version.arguments(pace))
            .args(["-t1", &format!("-D{}", self.seconds), &format!("--connect-to={address}")])
            .arg(format!("--log-file={}", log.display()))
            .arg(format!("http://{}{}", self.host, self.path))
            .stdout(Stdio::piped())
            .spawn()
            .expect("h2load runs");
        Running { load: self, child }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

/// A slice that goes on.
pub struct Running<'a> {
    load: &'a Load,
    child: Child,
}

impl Running<'_> {
    /// Whether it still does.
    pub fn is_on(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until it is over.
    ///
    /// # Panics
    /// Where no request was answered.
    pub fn end(self) -> Slice {
        let output = self.child.wait_with_output().expect("h2load ends");
        let said = String::from_utf8_lossy(&output.stdout);
        let log = fs::read_to_string(self.load.log()).unwrap_or_default();
        let answers: Vec<_> = log.lines().filter_map(answer).collect();
        let mut times: Vec<f64> =
            answers.iter().filter(|(status, _)| *status == "200").map(|(_, time)| *time).collect();
        assert!(!times.is_empty(), "no requests: {said}");
        times.sort_by(f64::total_cmp);
        let at = |percent: usize| times[(times.len() - 1) * percent / 100];
        let requests = f64::from(u32::try_from(times.len()).expect("fewer than four billion"));
        let failed = answers.len() - times.len() + without_answer(&said);
        Slice { requests, failed, half: at(50), most: at(99), longest: at(100) }
    }
}

/// Status and microseconds, which come after the start in a line of the log.
fn answer(line: &str) -> Option<(&str, f64)> {
    let mut words = line.split('\t').skip(1);
    Some((words.next()?, words.next()?.parse().ok()?))
}

/// How many requests got none, as in `... 10 failed, 10 errored, 0 timeout`, of
/// which `failed` is the sum.
fn without_answer(said: &str) -> usize {
    let line = said.lines().find(|line| line.starts_with("requests:")).unwrap_or_default();
    let failed = line.split(", ").find_map(|part| part.strip_suffix(" errored"));
    failed.and_then(|number| number.parse().ok()).expect("a number of failed requests")
}
