//! Servers that are programs of their own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::thread;

use crate::process::Process;

/// A server that prints `listening on ADDRESS`; stopped when dropped.
pub struct Server {
    /// Its process.
    pub process: Process,
    /// Its address.
    pub address: SocketAddr,
}

impl Server {
    /// Runs it until it has printed its address.
    ///
    /// # Panics
    /// If it does not print one.
    pub fn start(command: &mut Command) -> Self {
        let mut process = Process::spawn(command.stdout(Stdio::piped()));
        let mut lines = BufReader::new(process.output()).lines().map_while(Result::ok);
        let address = lines
            .find_map(|line| line.strip_prefix("listening on ")?.parse().ok())
            .unwrap_or_else(|| panic!("{command:?} does not say where it listens"));
        thread::spawn(move || lines.for_each(drop));
        Self { process, address }
    }
}
