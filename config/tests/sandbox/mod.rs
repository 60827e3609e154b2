//! `ingressctl` in scripts: arguments in, exit code, output and files out.

#![allow(dead_code, reason = "each test uses what it needs")]

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

pub(crate) const INGRESS: &str = r"apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: shop
  annotations: {kubernetes.io/ingress.class: istio}
spec:
  rules:
  - http:
      paths:
      - path: /cart
        pathType: Prefix
        backend: {service: {name: cart, port: {number: 80}}}
";

/// The finding about [`INGRESS`] without [`SERVICE`], without its position.
pub(crate) const NO_SERVICE: &str = "error: Ingress default/shop: spec.rules[0].http.paths[0].backend.service.name: \
                          there is no service `cart` in namespace default; add it, or correct the name. \
                          The path answers 503 [service-not-found]";

pub(crate) const SERVICE: &str = r"apiVersion: v1
kind: Service
metadata: {name: cart}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: cart}
subsets: [{addresses: [{ip: 10.0.0.1}], ports: [{name: http, port: 8080}]}]
";

/// The command, independent of the colour settings in the environment: a CI system
/// that sets `CI` counts as a terminal with colours.
pub(crate) fn ingressctl() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ingressctl"));
    for name in ["CI", "CLICOLOR", "CLICOLOR_FORCE", "COLORTERM", "NO_COLOR"] {
        command.env_remove(name);
    }
    command
}

/// A folder in which the command runs.
pub(crate) struct Sandbox(pub(crate) TempDir);

#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Sandbox {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let sandbox = Self(tempfile::tempdir().expect("a folder"));
        for (name, text) in files {
            sandbox.write(name, text);
        }
        sandbox
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("create a folder");
        fs::write(path, text).expect("write a file");
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, "")
    }

    pub(crate) fn run_with(&self, arguments: &[&str], stdin: &str) -> Output {
        let mut command = ingressctl();
        Output::of(command.args(arguments).current_dir(self.0.path()), stdin)
    }
}

impl Output {
    pub(crate) fn of(command: &mut Command, stdin: &str) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start ingressctl");
        // The command may exit without reading its input.
        let _ = child.stdin.take().expect("its input").write_all(stdin.as_bytes());
        let output = child.wait_with_output().expect("wait for ingressctl");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Asserts this exit code and standard output, and any standard error.
    #[track_caller]
    pub(crate) fn prints(&self, code: i32, stdout: &str) {
        assert_eq!((self.code, &*self.stdout), (Some(code), stdout), "{}", self.stderr);
    }

    #[track_caller]
    pub(crate) fn expect(&self, code: i32, stdout: &str, stderr: &str) {
        assert_eq!(
            (self.code, &*self.stdout, &*self.stderr),
            (Some(code), stdout, stderr),
            "\n{}{}",
            self.stdout,
            self.stderr
        );
    }
}
