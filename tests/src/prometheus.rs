//! A real Prometheus, and promtool.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::edge::wait_until;
use crate::made::{made_by, needed};
use crate::process::Process;
use crate::tools::{free_port, one_of, tool};

/// Prometheus or promtool: those on the PATH, otherwise those of Debian.
fn program(name: &str) -> PathBuf {
    static FETCHED: LazyLock<Result<PathBuf, String>> =
        LazyLock::new(|| made_by("tests/debian/prometheus.sh"));
    one_of(["prometheus", "promtool"], name).unwrap_or_else(|| {
        needed("Prometheus and promtool, which are not on the PATH", &FETCHED).join(name)
    })
}

/// Runs promtool with this input; returns its output, or else its error.
///
/// # Errors
/// What it says, if it fails or warns.
///
/// # Panics
/// If it cannot be run.
pub fn promtool(arguments: &[&str], input: &str) -> Result<String, String> {
    let mut child = Command::new(program("promtool"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("promtool ends");
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said += &String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(said) } else { Err(said) }
}

/// A Prometheus that scrapes and evaluates each second; stopped when dropped.
pub struct Prometheus {
    _process: Process,
    _folder: TempDir,
    address: SocketAddr,
}

impl Prometheus {
    /// Scrapes `targets`, and evaluates the rules in the file `rules`.
    ///
    /// # Panics
    /// If it does not become ready.
    pub fn start(targets: &[SocketAddr], rules: &Path) -> Self {
        let folder_of_data = tempfile::tempdir().expect("a temporary folder");
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let targets: Vec<_> = targets.iter().map(ToString::to_string).collect();
        let configuration = json!({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [rules],
            "scrape_configs": [
                {"job_name": "gateway", "static_configs": [{"targets": targets}]}
            ],
        });
        let file = folder_of_data.path().join("prometheus.yml");
        fs::write(&file, configuration.to_string()).expect("a configuration is written");
        let process = Process::spawn(
            Command::new(program("prometheus"))
                .arg(format!("--config.file={}", file.display()))
                .arg(format!("--storage.tsdb.path={}", folder_of_data.path().display()))
                .arg(format!("--web.listen-address={address}"))
                .arg("--log.level=error"),
        );
        let prometheus = Self { _process: process, _folder: folder_of_data, address };
        wait_until("Prometheus is ready", || prometheus.fetch("/-/ready", &[]).is_ok());
        prometheus
    }

    /// The result of a query now.
    ///
    /// # Errors
    /// What Prometheus says, if the query is not valid.
    pub fn query(&self, expression: &str) -> Result<Vec<Value>, String> {
        self.result("/api/v1/query", &[("query", expression)])
    }

    /// The result of a query for the last `seconds`, each second.
    ///
    /// # Errors
    /// What Prometheus says, if the query is not valid.
    pub fn query_range(&self, expression: &str, seconds: u64) -> Result<Vec<Value>, String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0.0, |now| now.as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "some minutes")]
        let start = (now - seconds as f64).to_string();
        let fields =
            [("query", expression), ("start", &*start), ("end", &*now.to_string()), ("step", "1")];
        self.result("/api/v1/query_range", &fields)
    }

    /// All rules, with their last evaluation.
    ///
    /// # Panics
    /// If there is no response.
    pub fn rules(&self) -> Vec<Value> {
        let text = self.fetch("/api/v1/rules", &[]).expect("the rules");
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        let groups = answer["data"]["groups"].as_array().cloned().unwrap_or_default();
        groups
            .iter()
            .flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default())
            .collect()
    }

    fn result(&self, path: &str, fields: &[(&str, &str)]) -> Result<Vec<Value>, String> {
        let answer: Value =
            serde_json::from_str(&self.fetch(path, fields)?).map_err(|error| error.to_string())?;
        match &answer["data"]["result"] {
            Value::Array(result) => Ok(result.clone()),
            _ => Err(answer["error"].to_string()),
        }
    }

    /// By curl, because responses are chunked.
    fn fetch(&self, path: &str, fields: &[(&str, &str)]) -> Result<String, String> {
        let mut command = Command::new(tool("curl"));
        command.args(["--silent", "--show-error", "--noproxy", "*", "--get"]);
        for (name, value) in fields {
            command.arg("--data-urlencode").arg(format!("{name}={value}"));
        }
        let output = command
            .arg(format!("http://{}{path}", self.address))
            .output()
            .map_err(|error| error.to_string())?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }
}
