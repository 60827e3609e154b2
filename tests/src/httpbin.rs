//! The real httpbin, from `PyPI`.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use crate::client::get;
use crate::edge::wait_until;
use crate::made::say;
use crate::process::Process;
use crate::tools::workspace;

const PACKAGES: [&str; 4] =
    ["httpbin==0.10.2", "flask==3.1.3", "werkzeug==3.1.9", "gunicorn==27.0.1"];

/// httpbin, run by gunicorn; stopped when dropped.
pub struct HttpBin {
    _process: Process,
    /// Its address.
    pub address: SocketAddr,
}

impl HttpBin {
    /// Starts it; the first call on a machine installs it with pip.
    ///
    /// # Panics
    /// If it cannot be installed, or does not respond.
    pub fn start() -> Self {
        Self::start_on(Ipv4Addr::LOCALHOST.into())
    }

    /// Starts it on this address of the machine.
    ///
    /// # Panics
    /// If it cannot be installed, or does not respond.
    pub fn start_on(ip: IpAddr) -> Self {
        let mut process = Process::spawn(
            Command::new("python3")
                .env("PYTHONPATH", installed())
                .args(["-m", "gunicorn", "--threads", "4", "--bind"])
                .arg(SocketAddr::new(ip, 0).to_string())
                .args(["--graceful-timeout", "1", "httpbin:app"])
                .stderr(Stdio::piped()),
        );
        let mut lines = BufReader::new(process.output()).lines().map_while(Result::ok);
        let address = lines
            .find_map(|line| {
                let (_, rest) = line.split_once("Listening at: http://")?;
                rest.split_whitespace().next()?.parse().ok()
            })
            .expect("gunicorn says where it listens");
        thread::spawn(move || lines.for_each(drop));
        wait_until("httpbin answers", || get(address, "httpbin", "/status/200").status == 200);
        Self { _process: process, address }
    }
}

/// The folder with httpbin and its dependencies.
fn installed() -> PathBuf {
    let tools = workspace().join("target/test-tools");
    fs::create_dir_all(&tools).expect("a folder of tools");
    let folder = tools.join(PACKAGES[0]);
    // A second process waits, and then finds it installed.
    let lock = File::create(tools.join("httpbin.lock")).expect("a lock file");
    lock.lock().expect("a lock");
    if !folder.is_dir() {
        say("fetching httpbin for the tests, once");
        let new = tempfile::tempdir_in(&tools).expect("a temporary folder");
        let status = Command::new("python3")
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(["--root-user-action=ignore", "--target"])
            .arg(new.path())
            .args(PACKAGES)
            .status()
            .expect("python3 runs");
        assert!(status.success(), "pip could not install {PACKAGES:?}");
        fs::rename(new.keep(), &folder).expect("a complete folder");
    }
    folder
}
