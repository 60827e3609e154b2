//! A kube-apiserver and its etcd.

use std::env;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

use super::kubectl::Kubectl;
use super::namespace::Namespace;
use super::{assets, objects};
use crate::edge::wait_until;
use crate::process::{Process, bound};
use crate::tools::{port_below_ephemeral, workspace};

/// The token of a user of the group `system:masters`, who has all permissions.
const ADMIN_TOKEN: &str = "admin-token";

/// A Kubernetes API with RBAC, and with the objects in `config/deploy`. Neither
/// controllers nor nodes run. It ends with the test, or if it is shared, with the
/// test binary, even if that is killed.
pub struct ApiServer {
    assets: PathBuf,
    folder: Scratch,
    flags: Vec<String>,
    ports: Ports,
    etcd: Mutex<Option<Process>>,
    server: Mutex<Option<Process>>,
}

#[derive(Clone, Copy)]
struct Ports {
    server: u16,
    etcd: u16,
    peers: u16,
}

impl ApiServer {
    /// The server that the tests of a binary share, each with its own namespaces.
    ///
    /// # Panics
    /// If it does not become ready, or cannot be installed.
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<ApiServer> = LazyLock::new(|| ApiServer::start(&[]));
        // Every test reports why it fails, not only the first.
        assets::find();
        &SHARED
    }

    /// A server with these flags, such as `--runtime-config=…`, for one test.
    ///
    /// # Panics
    /// If it does not become ready, or cannot be installed.
    pub fn start(flags: &[&str]) -> Self {
        let assets = assets::find();
        // Another process may take a free port before this one listens on it.
        let server = (0..3).find_map(|_| Self::try_start(assets, flags));
        let server = server.expect("the API server is ready; its log is above");
        server.apply_deployment();
        server
    }

    fn try_start(assets: &Path, flags: &[&str]) -> Option<Self> {
        let server = Self {
            assets: assets.to_owned(),
            folder: Scratch::new(),
            flags: flags.iter().map(ToString::to_string).collect(),
            ports: Ports {
                server: port_below_ephemeral(),
                etcd: port_below_ephemeral(),
                peers: port_below_ephemeral(),
            },
            etcd: Mutex::default(),
            server: Mutex::default(),
        };
        server.write_files();
        server.spawn_etcd();
        server.spawn_server();
        if server.wait_for_ready() {
            return Some(server);
        }
        for log in ["etcd.log", "server.log"] {
            let text = fs::read_to_string(server.path(log)).unwrap_or_default();
            let lines: Vec<_> = text.lines().rev().take(20).collect();
            eprintln!("the end of {log}:");
            lines.iter().rev().for_each(|line| eprintln!("{line}"));
        }
        None
    }

    /// kubectl, as a user with all permissions.
    pub fn kubectl(&self) -> Kubectl {
        Kubectl::new(&self.assets, &self.kubeconfig())
    }

    /// A new namespace for one test.
    ///
    /// # Panics
    /// If a namespace with that name exists.
    pub fn namespace(&self, name: &str) -> Namespace<'_> {
        Namespace::create(self, name)
    }

    /// The kubeconfig file of a user with all permissions.
    pub fn kubeconfig(&self) -> PathBuf {
        self.path("kubeconfig")
    }

    /// A kubeconfig file with this token.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn kubeconfig_for(&self, name: &str, token: &str) -> PathBuf {
        let path = self.path(&format!("kubeconfig-{name}"));
        fs::write(&path, self.kubeconfig_text(token)).expect("a kubeconfig is written");
        path
    }

    /// Stops only the API server: its clients lose their connections.
    ///
    /// # Panics
    /// If it is already stopped.
    pub fn stop_server(&self) {
        take(&self.server).expect("a running API server").kill();
    }

    /// Starts it again, on the same port.
    ///
    /// # Panics
    /// If it does not become ready.
    pub fn start_server(&self) {
        self.spawn_server();
        assert!(self.wait_for_ready(), "the API server is not ready again in time");
    }

    /// Stops only etcd: the API server has no data.
    ///
    /// # Panics
    /// If it is already stopped.
    pub fn stop_etcd(&self) {
        take(&self.etcd).expect("a running etcd").kill();
    }

    /// Starts it again, with its data.
    ///
    /// # Panics
    /// If the API server does not become ready.
    pub fn start_etcd(&self) {
        self.spawn_etcd();
        assert!(self.wait_for_ready(), "the API server is not ready again in time");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write_files(&self) {
        let write = |name: &str, text: &str| {
            fs::write(self.path(name), text).expect("a file is written");
        };
        write("tokens.csv", &format!("{ADMIN_TOKEN},admin,admin,\"system:masters\"\n"));
        let (private, public) = key_pair();
        write("service-accounts.key", &private);
        write("service-accounts.pub", &public);
        write("kubeconfig", &self.kubeconfig_text(ADMIN_TOKEN));
    }

    fn kubeconfig_text(&self, token: &str) -> String {
        format!(
            "apiVersion: v1
kind: Config
clusters: [{{name: test, cluster: {{server: 'https://127.0.0.1:{}', certificate-authority: '{}'}}}}]
users: [{{name: test, user: {{token: '{token}'}}}}]
contexts: [{{name: test, context: {{cluster: test, user: test}}}}]
current-context: test
",
            self.ports.server,
            self.path("certificates/apiserver.crt").display()
        )
    }

    fn spawn_etcd(&self) {
        let Ports { etcd, peers, .. } = self.ports;
        let clients = format!("http://127.0.0.1:{etcd}");
        let peers = format!("http://127.0.0.1:{peers}");
        let mut command = bound(self.assets.join("etcd"));
        command
            .arg("--data-dir")
            .arg(self.path("etcd"))
            .args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients])
            .args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers])
            .args(["--initial-cluster", &format!("default={peers}")])
            // The data need not survive a crash of the machine.
            .arg("--unsafe-no-fsync");
        self.spawn(&self.etcd, command, "etcd.log");
    }

    fn spawn_server(&self) {
        let mut command = bound(self.assets.join("kube-apiserver"));
        let file = |flag: &str, name: &str| format!("--{flag}={}", self.path(name).display());
        command
            .arg(format!("--etcd-servers=http://127.0.0.1:{}", self.ports.etcd))
            .arg(format!("--secure-port={}", self.ports.server))
            .arg("--bind-address=127.0.0.1")
            .arg(format!("--advertise-address={}", objects::machine_ip()))
            .arg(file("cert-dir", "certificates"))
            .arg(file("token-auth-file", "tokens.csv"))
            .arg("--authorization-mode=RBAC")
            .arg(file("service-account-key-file", "service-accounts.pub"))
            .arg(file("service-account-signing-key-file", "service-accounts.key"))
            .arg("--service-account-issuer=https://kubernetes.default.svc")
            // This admission plugin would make pods wait for objects that a
            // controller creates.
            .arg("--disable-admission-plugins=ServiceAccount")
            .arg("--service-cluster-ip-range=10.96.0.0/16")
            .arg("--endpoint-reconciler-type=none")
            .args(&self.flags);
        self.spawn(&self.server, command, "server.log");
    }

    fn spawn(&self, slot: &Mutex<Option<Process>>, mut command: Command, log: &str) {
        let log = File::options().create(true).append(true).open(self.path(log));
        let log = log.expect("a log file");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(slot.is_none(), "the process is already running");
        *slot = Some(Process::spawn_bound(command));
    }

    /// Whether it becomes ready; false if a process ends before that.
    fn wait_for_ready(&self) -> bool {
        const TIMEOUT: Duration = Duration::from_mins(1);
        let start = Instant::now();
        let kubectl = self.kubectl();
        let has_ended = |slot: &Mutex<Option<Process>>| {
            let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            slot.as_mut().is_some_and(Process::has_ended)
        };
        // Created last, after the server reports that it is ready.
        let is_ready = || {
            kubectl.run(&["get", "--raw", "/readyz"]).is_ok()
                && kubectl.run(&["get", "namespace", "default"]).is_ok()
        };
        while !is_ready() {
            let is_lost = has_ended(&self.etcd) || has_ended(&self.server);
            if is_lost || start.elapsed() > TIMEOUT {
                return false;
            }
            thread::sleep(Duration::from_millis(50));
        }
        true
    }

    /// Whether it serves a group version, such as `policy/v1`.
    ///
    /// # Panics
    /// If it does not respond.
    pub fn serves(&self, version: &str) -> bool {
        let versions = self.kubectl().run(&["api-versions"]).expect("API versions");
        versions.lines().any(|line| line == version)
    }

    /// The folder that an operator applies: clusters older than Kubernetes 1.21
    /// have a separate one.
    pub fn deployment(&self) -> PathBuf {
        let is_old = !self.serves("policy/v1");
        workspace().join(if is_old { "config/deploy-1.20" } else { "config/deploy" })
    }

    /// The objects that an operator applies first: all of them or, if the API lacks
    /// a kind, those that the gateway cannot work without.
    fn apply_deployment(&self) {
        let deploy = workspace().join("config/deploy");
        let files = ["namespace.yaml", "chart/crds/routerule.yaml", "rbac.yaml"];
        let files = files.map(|file| ("-f", deploy.join(file)));
        let everything = [("-k", self.deployment())];
        let kubectl = self.kubectl();
        for (flag, path) in if self.flags.is_empty() { &everything[..] } else { &files } {
            let path = path.to_str().expect("a path in UTF-8");
            kubectl.run(&["apply", flag, path]).expect("config/deploy is applied");
        }
        wait_until("RouteRules are served", || kubectl.run(&["get", "routerules", "-A"]).is_ok());
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        // A server that is asked to stop would take some time.
        for slot in [&self.server, &self.etcd] {
            if let Some(process) = take(slot) {
                process.kill();
            }
        }
    }
}

fn take(slot: &Mutex<Option<Process>>) -> Option<Process> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// A new key for signing tokens of service accounts, and its public half.
fn key_pair() -> (String, String) {
    // The start of a public key of this kind in DER (RFC 5480).
    const PREFIX: [u8; 26] = [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08,
        0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
    ];
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let random = SystemRandom::new();
    let private = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("random numbers");
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, private.as_ref(), &random).expect("a key");
    let public = [&PREFIX, pair.public_key().as_ref()].concat();
    let encode = |tag, bytes: &[u8]| pem::encode(&pem::Pem::new(tag, bytes));
    (encode("PRIVATE KEY", private.as_ref()), encode("PUBLIC KEY", &public))
}

/// A folder that is removed even if this process is killed: a shell waits for the
/// end of its input, which comes when this process ends, and removes the folder.
struct Scratch {
    folder: PathBuf,
    remover: Child,
}

impl Scratch {
    fn new() -> Self {
        // Processes that write there are killed at the same moment, so the first
        // try may fail.
        const REMOVE: &str =
            "cat >/dev/null; while [ -e \"$0\" ]; do rm -rf \"$0\" || sleep 0.1; done";
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { env::temp_dir() };
        let folder = tempfile::Builder::new().prefix("ingress-tests-").tempdir_in(parent);
        let folder = folder.expect("a temporary folder").keep();
        let mut remover = Command::new("sh");
        remover.args(["-c", REMOVE]).arg(&folder);
        remover.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // In another process group than the one that Ctrl-C interrupts.
        remover.process_group(0);
        Self { folder, remover: remover.spawn().expect("sh runs") }
    }

    fn path(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(self.remover.stdin.take());
        let _ = self.remover.wait();
    }
}
