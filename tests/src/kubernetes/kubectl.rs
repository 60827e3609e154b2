//! Runs kubectl.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// kubectl for one user and optionally one namespace.
#[derive(Clone, Debug)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    namespace: Option<String>,
}

impl Kubectl {
    pub(super) fn new(assets: &Path, kubeconfig: &Path) -> Self {
        Self { program: assets.join("kubectl"), kubeconfig: kubeconfig.to_owned(), namespace: None }
    }

    /// The file with which other clients connect as the same user.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The same, in a namespace.
    #[must_use]
    pub fn within(&self, namespace: &str) -> Self {
        Self { namespace: Some(namespace.to_owned()), ..self.clone() }
    }

    /// The start of a command line of kubectl, for scripts.
    pub fn command_line(&self) -> String {
        let (program, kubeconfig) = (self.program.display(), self.kubeconfig.display());
        let namespace = self.namespace.as_deref().unwrap_or("default");
        format!("{program} --kubeconfig {kubeconfig} --namespace {namespace}")
    }

    /// Runs kubectl and returns its standard output.
    ///
    /// # Errors
    /// Its standard error, if it fails.
    ///
    /// # Panics
    /// If it cannot be run.
    pub fn run(&self, args: &[&str]) -> Result<String, String> {
        self.run_with(args, "")
    }

    /// As [`Self::run`], with text on its standard input.
    ///
    /// # Errors
    /// Its standard error, if it fails.
    ///
    /// # Panics
    /// If it cannot be run.
    pub fn run_with(&self, args: &[&str], input: &str) -> Result<String, String> {
        let Output { status, stdout, stderr } = self.output(args, input);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if status.success() {
            return Ok(text(&stdout));
        }
        Err(format!("kubectl {}: {}{}", args.join(" "), text(&stderr), text(&stdout)))
    }

    fn output(&self, args: &[&str], input: &str) -> Output {
        let mut command = Command::new(&self.program);
        command.arg("--kubeconfig").arg(&self.kubeconfig);
        // A cache of its own, because discovery results differ between servers.
        command.arg("--cache-dir").arg(self.kubeconfig.with_extension("cache"));
        if let Some(namespace) = &self.namespace {
            command.args(["--namespace", namespace]);
        }
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("kubectl runs");
        let mut stdin = child.stdin.take().expect("an input");
        // A kubectl that fails early does not read its input.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        child.wait_with_output().expect("kubectl ends")
    }

    /// Creates the objects in these manifests.
    ///
    /// # Panics
    /// If the API rejects the request.
    #[track_caller]
    pub fn create(&self, manifests: &str) {
        self.expect(&["create", "-f", "-"], manifests);
    }

    /// Creates or changes the objects in these manifests.
    ///
    /// # Panics
    /// If the API rejects the request.
    #[track_caller]
    pub fn apply(&self, manifests: &str) {
        self.expect(&["apply", "-f", "-"], manifests);
    }

    /// Deletes an object, and waits until it no longer exists.
    ///
    /// # Panics
    /// If the object does not exist.
    #[track_caller]
    pub fn delete(&self, kind: &str, name: &str) {
        self.expect(&["delete", kind, name], "");
    }

    /// An object as JSON.
    ///
    /// # Panics
    /// If the object does not exist.
    #[track_caller]
    pub fn get(&self, kind: &str, name: &str) -> Value {
        self.json(&["get", kind, name])
    }

    /// All objects of a kind.
    ///
    /// # Panics
    /// If the API has no such kind.
    #[track_caller]
    pub fn list(&self, kind: &str) -> Vec<Value> {
        match self.json(&["get", kind])["items"].take() {
            Value::Array(items) => items,
            other => panic!("{other}"),
        }
    }

    /// The messages of the Events of an object.
    ///
    /// # Panics
    /// If they cannot be read.
    #[track_caller]
    pub fn events_on(&self, kind: &str, name: &str) -> Vec<String> {
        let events = self.list("events");
        let is_on = |event: &&Value| {
            event["involvedObject"]["kind"] == kind && event["involvedObject"]["name"] == name
        };
        let message = |event: &Value| event["message"].as_str().expect("a message").to_owned();
        events.iter().filter(is_on).map(message).collect()
    }

    #[track_caller]
    fn json(&self, args: &[&str]) -> Value {
        let text = self.expect(&[args, &["-o", "json"]].concat(), "");
        serde_json::from_str(&text).expect("JSON")
    }

    #[track_caller]
    fn expect(&self, args: &[&str], input: &str) -> String {
        self.run_with(args, input).unwrap_or_else(|error| panic!("{error}"))
    }
}
