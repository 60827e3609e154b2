//! The processes of a gateway pod: Envoy and the controller.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use super::namespace::Namespace;
use crate::admin::Admin;
use crate::client::{Answer, get};
use crate::edge::{Edge, wait_until};
use crate::process::{Process, bound};
use crate::tools::{envoy, free_port, ingressctl};

/// The time limit for the controller to serve its first table.
const TIMEOUT: Duration = Duration::from_secs(40);

/// An Envoy and an `ingressctl controller` that share a folder, with the
/// permissions in `config/deploy`; killed when dropped.
pub struct Gateway {
    folder: TempDir,
    arguments: Vec<String>,
    envoy_arguments: &'static [&'static str],
    log_filter: Option<String>,
    controller: Option<Process>,
    envoy: Process,
    edge: Edge,
    health: SocketAddr,
}

impl Gateway {
    /// Serves the objects in `namespace`.
    ///
    /// # Panics
    /// If it does not become ready.
    pub fn start(namespace: &Namespace<'_>) -> Self {
        Self::start_with(namespace, &[])
    }

    /// Serves the objects in `namespace`, with these flags; a `--namespace` among
    /// them adds a namespace.
    ///
    /// # Panics
    /// If it does not become ready.
    pub fn start_with(namespace: &Namespace<'_>, flags: &[&str]) -> Self {
        Self::start_as(namespace, &namespace.gateway_account(), flags)
    }

    /// As [`Self::start`], with an Envoy that rejects the clusters of HTTP/2
    /// upstreams, because it was built without a filter that only these have.
    ///
    /// # Panics
    /// If it does not become ready.
    pub fn start_without_http2(namespace: &Namespace<'_>) -> Self {
        let envoy = EnvoyBuild::WithoutHttp2Upstreams;
        Self::start_whole(namespace, &namespace.gateway_account(), &[], envoy)
    }

    /// As [`Self::start_with`], with another kubeconfig file.
    ///
    /// # Panics
    /// If it does not become ready.
    pub fn start_as(namespace: &Namespace<'_>, kubeconfig: &Path, flags: &[&str]) -> Self {
        Self::start_whole(namespace, kubeconfig, flags, EnvoyBuild::Whole)
    }

    fn start_whole(
        namespace: &Namespace<'_>,
        kubeconfig: &Path,
        flags: &[&str],
        build: EnvoyBuild,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let shared = folder.path().join("shared");
        fs::create_dir(&shared).expect("a folder to share");
        let mut arguments: Vec<_> = ["controller", "--http", "127.0.0.1:0"].map(Into::into).into();
        // HTTPS stops and starts during a test, so it needs a port that stays free.
        let https = SocketAddr::from(([127, 0, 0, 1], free_port()));
        arguments.extend(["--https".into(), https.to_string()]);
        arguments.extend(["--folder".into(), text(&shared)]);
        arguments.extend(flags.iter().map(ToString::to_string));
        prepare(folder.path(), &arguments);
        let envoy_arguments = build.flags();
        let envoy = spawn_envoy(folder.path(), &shared, envoy_arguments);

        arguments.extend(["--kubeconfig".into(), text(kubeconfig)]);
        arguments.extend(["--namespace".into(), namespace.name.clone()]);
        arguments.extend(["--lease".into(), format!("{}/istio-ingress", namespace.name)]);
        arguments.extend(["--health", "127.0.0.1:0", "--access-log=false"].map(Into::into));
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut gateway = Self {
            folder,
            arguments,
            envoy_arguments,
            log_filter: None,
            controller: None,
            envoy,
            edge: Edge {
                http: nowhere,
                https: Some(https),
                health: None,
                admin: Admin::Tcp(nowhere),
            },
            health: nowhere,
        };
        gateway.start_controller();
        gateway
    }

    /// Sets the `RUST_LOG` of the controller, from its next start.
    pub fn set_log_filter(&mut self, filter: &str) {
        self.log_filter = Some(filter.to_owned());
    }

    /// Adds flags of the controller, from its next start.
    pub fn add_flags(&mut self, flags: &[&str]) {
        self.arguments.extend(flags.iter().map(ToString::to_string));
    }

    /// Starts the controller after it was killed, and waits until it is ready.
    ///
    /// # Panics
    /// If it does not become ready.
    pub fn start_controller(&mut self) {
        let ready = self.launch_controller();
        self.await_ready(&ready);
    }

    /// Starts the controller after it was killed. [`Self::await_ready`] waits for
    /// the result.
    ///
    /// # Panics
    /// If it cannot be run.
    pub fn launch_controller(&mut self) -> Receiver<String> {
        let mut command = bound(ingressctl());
        command.args(&self.arguments);
        command.envs(image_environment());
        command.envs(self.log_filter.iter().map(|filter| ("RUST_LOG", filter)));
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(log_file(&self.log_path("controller")));
        let mut process = Process::spawn_bound(command);
        let lines = BufReader::new(process.output()).lines().map_while(Result::ok);
        self.controller = Some(process);
        let (sender, ready) = channel();
        // Keeps reading, because a full pipe would block the controller.
        thread::spawn(move || lines.for_each(|line| drop(sender.send(line))));
        ready
    }

    /// Waits until the controller is ready: Envoy serves a table, which may be an
    /// older one.
    ///
    /// # Panics
    /// If that takes too long.
    pub fn await_ready(&mut self, ready: &Receiver<String>) {
        let line = ready.recv_timeout(TIMEOUT).expect("the controller is ready in time");
        let value = |name| line.split_whitespace().find_map(|word| word.strip_prefix(name));
        let address = |name| value(name)?.parse().ok();
        let admin = value("admin=").and_then(|value| value.parse().ok());
        let (Some(http), Some(admin), Some(health)) = (address("http="), admin, address("health="))
        else {
            panic!("no addresses in {line:?}");
        };
        (self.edge.http, self.edge.admin) = (http, admin);
        self.health = health;
    }

    /// Kills the controller, as a node without free memory does. Envoy continues.
    ///
    /// # Panics
    /// If it does not run.
    pub fn kill_controller(&mut self) {
        self.controller.take().expect("a running controller").kill();
    }

    /// Suspends the controller, as a machine without free memory does.
    ///
    /// # Panics
    /// If it does not run.
    pub fn pause_controller(&self) {
        self.controller.as_ref().expect("a running controller").signal(Signal::STOP);
    }

    /// Resumes the controller.
    ///
    /// # Panics
    /// If it does not run.
    pub fn resume_controller(&self) {
        self.controller.as_ref().expect("a running controller").signal(Signal::CONT);
    }

    /// Sends SIGTERM to the controller, as Kubernetes does to a pod, without
    /// waiting for its end.
    ///
    /// # Panics
    /// If it does not run.
    pub fn ask_to_end(&self) {
        self.controller.as_ref().expect("a running controller").signal(Signal::TERM);
    }

    /// Waits until controller and Envoy have ended, and returns their exit codes.
    ///
    /// # Panics
    /// If the controller does not run.
    pub fn wait_for_end(&mut self) -> (Option<i32>, Option<i32>) {
        let controller = self.controller.as_mut().expect("a running controller").wait().code();
        (controller, self.envoy.wait().code())
    }

    /// Waits until the controller has ended, and returns its exit code.
    ///
    /// # Panics
    /// If it does not run.
    pub fn wait_for_controller(&mut self) -> Option<i32> {
        self.controller.as_mut().expect("a running controller").wait().code()
    }

    /// The response from `/healthz`, `/readyz` or `/metrics`.
    ///
    /// # Panics
    /// If there is no response.
    pub fn health(&self, path: &str) -> Answer {
        get(self.health, "health", path)
    }

    /// The address of these endpoints.
    pub fn health_address(&self) -> SocketAddr {
        self.health
    }

    /// Kills Envoy and starts another one on the same folder, as Kubernetes does.
    ///
    /// # Panics
    /// If it does not start to listen in time.
    pub fn restart_envoy(&mut self) {
        self.relaunch_envoy();
        self.await_envoy();
    }

    /// Kills Envoy and starts another one on the same folder. It starts to listen
    /// when the controller has sent the listeners.
    ///
    /// # Panics
    /// If it cannot be run.
    pub fn relaunch_envoy(&mut self) {
        let shared = self.shared_folder();
        self.kill_envoy();
        // The socket of the Envoy that was killed.
        fs::remove_file(shared.join("admin-address")).expect("its address");
        self.envoy = spawn_envoy(self.folder.path(), &shared, self.envoy_arguments);
    }

    /// Waits until Envoy listens.
    ///
    /// # Panics
    /// If it does not in time.
    pub fn await_envoy(&mut self) {
        let shared = self.shared_folder();
        let mut address = None;
        wait_until("Envoy listens", || {
            let admin = fs::read_to_string(shared.join("admin-address")).unwrap_or_default();
            let Ok(admin) = admin.trim().parse::<Admin>() else { return false };
            if !admin.is_ready() {
                return false;
            }
            address = admin.listener("http").map(|http| (http, admin));
            address.is_some()
        });
        (self.edge.http, self.edge.admin) = address.expect("it listens");
    }

    /// Kills Envoy.
    pub fn kill_envoy(&mut self) {
        self.envoy.signal(Signal::KILL);
        self.envoy.wait();
    }

    /// The process id of Envoy.
    pub fn envoy_pid(&self) -> u32 {
        self.envoy.id()
    }

    /// The process id of the controller.
    ///
    /// # Panics
    /// If it does not run.
    pub fn controller_pid(&self) -> u32 {
        self.controller.as_ref().expect("a running controller").id()
    }

    /// The log of the controller so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path("controller")).unwrap_or_default()
    }

    /// The log of Envoy so far.
    pub fn envoy_log(&self) -> String {
        fs::read_to_string(self.log_path("envoy")).unwrap_or_default()
    }

    /// The folder that Envoy and the controller share.
    pub fn shared_folder(&self) -> PathBuf {
        self.folder.path().join("shared")
    }

    fn log_path(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.log"))
    }
}

/// The build of an Envoy.
#[derive(Clone, Copy)]
enum EnvoyBuild {
    Whole,
    WithoutHttp2Upstreams,
}

impl EnvoyBuild {
    /// Its flags.
    fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Whole => &[],
            Self::WithoutHttp2Upstreams => &[
                "--disable-extensions",
                "envoy.filters.http.upstream/envoy.filters.http.header_mutation",
            ],
        }
    }
}

fn prepare(folder: &Path, arguments: &[String]) {
    let mut command = bound(ingressctl());
    let log = folder.join("prepare.log");
    command.args(arguments).arg("--prepare").stdin(Stdio::null()).stdout(Stdio::null());
    let status = Process::spawn_bound({
        command.stderr(log_file(&log));
        command
    })
    .wait();
    let log = fs::read_to_string(log).unwrap_or_default();
    assert!(status.success(), "--prepare: {status}: {log}");
}

/// The environment that the image sets for the controller, in addition to its
/// program's name.
fn image_environment() -> impl Iterator<Item = (&'static str, &'static str)> {
    let (_, stage) = include_str!("../../../Dockerfile").rsplit_once("\nFROM ").expect("a stage");
    stage.lines().filter_map(|line| line.strip_prefix("ENV ")?.split_once('='))
}

fn spawn_envoy(folder: &Path, shared: &Path, flags: &[&str]) -> Process {
    let mut command = bound(envoy());
    command
        .arg("--config-path")
        .arg(shared.join("bootstrap.json"))
        .arg("--admin-address-path")
        .arg(shared.join("admin-address"))
        .args(["--disable-hot-restart", "--log-level", "warning", "--concurrency", "2"])
        .args(["--drain-time-s", "10", "--drain-strategy", "immediate"])
        .args(flags)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log_file(&folder.join("envoy.log")));
    Process::spawn_bound(command)
}

fn log_file(path: &Path) -> File {
    File::options().create(true).append(true).open(path).expect("a log file")
}

fn text(path: &Path) -> String {
    path.to_str().expect("a path in UTF-8").to_owned()
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the controller's log:\n{}", self.log());
            eprintln!("Envoy's log:\n{}", self.envoy_log());
        }
        // Otherwise Envoy would drain for a time that the test does not need.
        for process in [self.controller.as_ref(), Some(&self.envoy)].into_iter().flatten() {
            process.signal(Signal::KILL);
        }
    }
}

impl Deref for Gateway {
    type Target = Edge;

    fn deref(&self) -> &Edge {
        &self.edge
    }
}
