//! Which files and outputs contain private keys, and which do not.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ingress_tests::{
    Issued, OwnEnvoy, Process, TlsClient, compiled, envoy, files_below, get, ingressctl, wait_until,
};

use crate::setup::Hosts;

/// The text by which a key is found: in PEM, the lines between the first and the
/// last; in base64 of that, the part that does not depend on preceding bytes.
fn traces(issued: &Issued) -> Vec<String> {
    let lines = issued.key.lines().filter(|line| !line.starts_with("-----"));
    let lines: Vec<_> = lines.map(str::to_owned).collect();
    // A short last line would not be reliable.
    lines.into_iter().filter(|line| line.len() >= 32).collect()
}

fn holds(bytes: &[u8], issued: &Issued) -> bool {
    let traces = traces(issued);
    assert!(!traces.is_empty());
    traces.iter().any(|trace| bytes.windows(trace.len()).any(|part| part == trace.as_bytes()))
}

/// The files below `folder` that contain the key. Only the owner may read each of
/// them, and only the owner may access its folder.
fn holders(folder: &Path, issued: &Issued) -> Vec<PathBuf> {
    let mut holders: Vec<_> = files_below(folder)
        .into_iter()
        .filter(|path| holds(&fs::read(path).unwrap(), issued))
        .collect();
    holders.sort();
    for holder in &holders {
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(holder), 0o600, "{}", holder.display());
        assert_eq!(mode(holder.parent().unwrap()), 0o700, "{}", holder.display());
    }
    holders.into_iter().map(|path| path.strip_prefix(folder).unwrap().to_owned()).collect()
}

#[test]
fn a_key_is_in_the_secret_and_in_the_file_of_secrets_and_nowhere_else() {
    let hosts = Hosts::new();
    let (temporary, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let manifests = tempfile::tempdir().unwrap();
    // The Secrets have findings, and no finding contains a key.
    let wrong = hosts.manifests().replace("one.example", "three.example");
    let logs = ["stdout", "stderr"].map(|name| output.path().join(name));
    fs::write(manifests.path().join("all.yaml"), &wrong).unwrap();
    let serving = Process::spawn(
        Command::new(ingressctl())
            .args(["serve", "--http", "127.0.0.1:0", "--https", "127.0.0.1:0", "-f"])
            .arg(manifests.path())
            .arg("--envoy")
            .arg(envoy())
            .env("TMPDIR", temporary.path())
            .env("RUST_LOG", "trace")
            .stdout(fs::File::create(&logs[0]).unwrap())
            .stderr(fs::File::create(&logs[1]).unwrap()),
    );
    let mut ready = String::new();
    wait_until("ready", || {
        ready = fs::read_to_string(&logs[0]).unwrap();
        ready.contains("ready ") && ready.contains('\n')
    });
    let address = |name: &str| {
        let word = ready.split_whitespace().find_map(|word| word.strip_prefix(name));
        word.unwrap().parse().unwrap()
    };
    let client = TlsClient::new(&hosts.authority, &[]);
    client.get(address("https="), "two.example", "/").unwrap();
    let mut told = get(address("admin="), "admin", "/config_dump?include_eds").body;
    assert!(told.contains("two.example") && told.contains("[redacted]"), "Envoy redacts keys");
    told += &get(address("admin="), "admin", "/certs").body;
    for command in [&["check"][..], &["explain", "https://two.example/"], &["rbac"]] {
        let (name, more) = command.split_first().unwrap();
        let run = Command::new(ingressctl())
            .args([*name, "-f"])
            .arg(manifests.path())
            .args(more)
            .output()
            .unwrap();
        assert!(!run.stdout.is_empty() || !run.stderr.is_empty(), "{command:?}");
        told += &String::from_utf8_lossy(&[run.stdout, run.stderr].concat());
    }
    for (_, _, issued) in &hosts.certificates {
        assert!(holds(wrong.as_bytes(), issued), "the Secret contains the key");
        assert!(!holds(told.as_bytes(), issued), "the key is in the output");
        for log in &logs {
            assert!(!holds(&fs::read(log).unwrap(), issued), "the key is in {}", log.display());
        }
        let folder = fs::read_dir(temporary.path()).unwrap().next().unwrap().unwrap().path();
        assert_eq!(holders(&folder, issued), [Path::new("state/snapshot.pb")]);
    }
    assert_eq!(serving.interrupt(), Some(0));
    assert!(files_below(temporary.path()).is_empty(), "files are left");
}

#[test]
fn compile_writes_each_key_to_a_file_of_its_own_and_removes_those_that_are_gone() {
    let mut hosts = Hosts::new();
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out");
    let compile = |hosts: &Hosts| {
        let manifests = folder.path().join("all.yaml");
        fs::write(&manifests, hosts.manifests()).unwrap();
        let mut command = Command::new(ingressctl());
        command.args(["compile", "-f"]).arg(&manifests).arg("-o").arg(&output);
        assert!(command.stderr(Stdio::null()).status().unwrap().success());
    };
    compile(&hosts);
    let keys = |hosts: &Hosts| {
        let certificates = hosts.certificates.iter().map(|(.., issued)| issued);
        let all = certificates.chain([&hosts.default]);
        all.flat_map(|issued| holders(&output, issued)).collect::<Vec<_>>()
    };
    let before = keys(&hosts);
    assert_eq!(before.len(), 4, "{before:?}");
    assert!(before.iter().all(|path| path.extension().is_some_and(|end| end == "key")));

    let old = hosts.certificates[0].2.clone();
    hosts.certificates[0].2 = hosts.authority.issue(&["one.example"]);
    compile(&hosts);
    assert_eq!(holders(&output, &old), [""; 0].map(PathBuf::from));
    assert_eq!(keys(&hosts).len(), 4);
}

#[test]
fn an_envoy_on_what_compile_writes_serves_https() {
    let hosts = Hosts::new();
    let folder = compiled(&hosts.manifests());
    let envoy = OwnEnvoy::start(&folder.path().join("bootstrap.json"));
    let client = TlsClient::new(&hosts.authority, &[]);
    for (host, _, issued) in &hosts.certificates {
        let host = host.replace('*', "any");
        let mut connection = client.connect(envoy.https(), &host).unwrap();
        assert_eq!(connection.certificate(), issued.der(), "{host}");
        assert_eq!(connection.get(&host, "/").by(), "a", "{host}");
    }
}
