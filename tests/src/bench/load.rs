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
    /// The name in headings.
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

/// The number of requests in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// 16: on 16 connections, or as 4 streams on each of 4 connections.
    Full,
    /// One, so that no request waits for another.
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

/// The results of one slice of time.
#[derive(Clone, Copy, Debug)]
pub struct Slice {
    /// The number of responses with status 200.
    pub requests: f64,
    /// The number of other responses.
    pub failed: usize,
    /// The median latency, in microseconds.
    pub half: f64,
    /// The 99th percentile of the latency, in microseconds.
    pub most: f64,
    /// The maximum latency.
    pub longest: f64,
}

impl Load {
    /// Slices of this many seconds for this path of `host`.
    ///
    /// # Panics
    /// If a temporary file cannot be created.
    pub fn new(version: HttpVersion, host: &str, path: &str, seconds: usize) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { version, host: host.to_owned(), path: path.to_owned(), seconds, folder }
    }

    /// One slice of load on `address`.
    ///
    /// # Panics
    /// If any request fails.
    pub fn slice(&self, address: SocketAddr, pace: Pace) -> Slice {
        let slice = self.begin(address, pace).end();
        assert!(slice.failed == 0, "{} of {} requests failed", slice.failed, slice.requests);
        slice
    }

    /// Starts a slice of load in the background.
    ///
    /// # Panics
    /// If h2load is missing.
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

/// A running slice of load.
pub struct Running<'a> {
    load: &'a Load,
    child: Child,
}

impl Running<'_> {
    /// Whether it is still running.
    pub fn is_on(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until it ends.
    ///
    /// # Panics
    /// If no request got a response.
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

/// Status and microseconds, the fields after the start time in a line of the log.
fn answer(line: &str) -> Option<(&str, f64)> {
    let mut words = line.split('\t').skip(1);
    Some((words.next()?, words.next()?.parse().ok()?))
}

/// The number of requests without a response, as in `... 10 failed, 10 errored, 0
/// timeout`; `failed` is the sum.
fn without_answer(said: &str) -> usize {
    let line = said.lines().find(|line| line.starts_with("requests:")).unwrap_or_default();
    let failed = line.split(", ").find_map(|part| part.strip_suffix(" errored"));
    failed.and_then(|number| number.parse().ok()).expect("a number of failed requests")
}
