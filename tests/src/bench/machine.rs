//! The machine on which figures were measured.

use std::fs;
use std::process::Command;
use std::thread::available_parallelism;

use serde::{Deserialize, Serialize};

use crate::tools::envoy;

/// The machine on which the figures were measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The model of its processor.
    pub processor: String,
    /// The number of its cores.
    pub cores: usize,
    /// Its memory.
    pub memory_gib: u64,
    /// The version of Envoy.
    pub envoy: String,
}

impl Machine {
    /// This machine.
    ///
    /// # Panics
    /// If it does not run Linux, or has no Envoy.
    pub fn this() -> Self {
        let field = |file: &str, name: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or("unknown").trim_start_matches([' ', '\t', ':']).trim().to_owned()
        };
        let memory = field("/proc/meminfo", "MemTotal");
        let kib: u64 = memory.trim_end_matches(" kB").parse().unwrap_or_default();
        Self {
            processor: field("/proc/cpuinfo", "model name"),
            cores: available_parallelism().map_or(1, usize::from),
            memory_gib: (kib + (1 << 19)) >> 20,
            envoy: envoy_version(),
        }
    }
}

/// As in `/bin/envoy  version: <commit>/1.40.0/Clean/RELEASE/BoringSSL`.
fn envoy_version() -> String {
    let output = Command::new(envoy()).arg("--version").output().expect("envoy runs");
    let said = String::from_utf8_lossy(&output.stdout);
    // After the path of the program, which contains slashes, too.
    let version = said.split_once("version:").map_or("", |(_, version)| version);
    version.split('/').nth(1).unwrap_or("unknown").to_owned()
}
