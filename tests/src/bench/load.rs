//! Load, and what its requests took.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

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
    /// How many were answered.
    pub requests: f64,
    /// How long half of them took at most, in microseconds.
    pub half: f64,
    /// How long 99 of 100 took at most, in microseconds.
    pub most: f64,
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
        let log = self.folder.path().join("log");
        let _ = fs::remove_file(&log);
        let output = Command::new(tool("h2load"))
            .args(self.version.arguments(pace))
            .args(["-t1", &format!("-D{}", self.seconds), &format!("--connect-to={address}")])
            .arg(format!("--log-file={}", log.display()))
            .arg(format!("http://{}{}", self.host, self.path))
            .output()
            .expect("h2load runs");
        let said = String::from_utf8_lossy(&output.stdout);
        let log = fs::read_to_string(&log).unwrap_or_default();
        let mut times: Vec<f64> = log.lines().map(time_of_success).collect();
        assert!(!times.is_empty(), "no requests: {said}");
        times.sort_by(f64::total_cmp);
        let at = |percent: usize| times[(times.len() - 1) * percent / 100];
        let requests = f64::from(u32::try_from(times.len()).expect("fewer than four billion"));
        Slice { requests, half: at(50), most: at(99) }
    }
}

/// A line of the log is the start, the status and the microseconds.
fn time_of_success(line: &str) -> f64 {
    let mut words = line.split('\t').skip(1);
    assert_eq!(words.next(), Some("200"), "a request has failed: {line}");
    words.next().and_then(|time| time.parse().ok()).expect("a time")
}
