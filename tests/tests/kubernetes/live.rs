//! `--live`: the commands that read manifests, on the objects of a cluster.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use ingress_tests::{
    ApiServer, Authority, Gateway, Namespace, Process, Service, Upstream, ingressctl, machine_ip,
    raw,
};
use serde_json::{Value, json};

use crate::setup::{host_to, ingress, object, unclassed};

/// The commands for a namespace of a cluster.
struct Live<'a> {
    kubeconfig: &'a Path,
    namespace: &'a str,
}

struct Output {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Live<'_> {
    fn run(&self, command: &str, arguments: &[&str]) -> Output {
        run(command, self.kubeconfig, &[&["--namespace", self.namespace], arguments].concat())
    }
}

fn run(command: &str, kubeconfig: &Path, arguments: &[&str]) -> Output {
    let output = Command::new(ingressctl())
        .args([command, "--live", "--kubeconfig"])
        .arg(kubeconfig)
        .args(arguments)
        .output()
        .expect("ingressctl runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Output { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A valid service, one with an address that only the gateway can reach, and an
/// Ingress whose service does not exist.
fn fill(namespace: &Namespace<'_>, upstream: &Upstream) {
    namespace.create(&Service::new("web").at(upstream).manifests());
    let inward = Service::new("inward").at_address(([127, 0, 0, 1], 80).into());
    namespace.create(&inward.manifests());
    let mut spec = host_to("web.example", "web");
    spec["tls"] = json!([{"hosts": ["web.example"], "secretName": "web-certs"}]);
    namespace.create(&ingress("web", &spec));
    namespace.create(&ingress("inward", &host_to("inward.example", "inward")));
    namespace.create(&ingress("broken", &host_to("broken.example", "nowhere")));
    let issued = Authority::new().issue(&["web.example"]);
    namespace.create(&issued.secret(&namespace.name, "web-certs").to_string());
}

#[test]
fn the_commands_see_what_the_gateway_serves() {
    let api = ApiServer::shared();
    let namespace = api.namespace("live");
    let upstream = Upstream::start_on(machine_ip(), "web");
    fill(&namespace, &upstream);
    let kubeconfig = api.kubeconfig();
    let live = Live { kubeconfig: &kubeconfig, namespace: "live" };

    let check = live.run("check", &["-o", "json"]);
    let findings: Vec<Value> =
        check.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let errors = findings.iter().filter(|finding| finding["severity"] == "error");
    let objects: Vec<_> =
        errors.map(|error| (&error["object"]["kind"], &error["object"]["name"])).collect();
    let (slice, inward) = (json!("EndpointSlice"), json!("inward-0"));
    let (kind, broken) = (json!("Ingress"), json!("broken"));
    assert!(
        objects.contains(&(&kind, &broken)) && objects.contains(&(&slice, &inward)),
        "{findings:?}"
    );
    assert!(findings.iter().all(|finding| finding.get("file").is_none()), "{findings:?}");
    assert_eq!(check.code, Some(1), "{}", check.stderr);
    assert!(check.stderr.contains("3 Ingresses served"), "{}", check.stderr);

    let gateway = Gateway::start(&namespace);
    gateway.wait_for("web.example", "/", 200);
    let explain = live.run("explain", &["https://web.example/"]);
    assert!(explain.stdout.contains("web.live.svc.cluster.local|80"), "{}", explain.stdout);
    assert!(explain.stdout.contains("live/web-certs"), "{}", explain.stdout);
    let rbac = live.run("rbac", &[]);
    assert!(rbac.stdout.contains("web-certs"), "{}", rbac.stdout);

    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("a file");
        path.to_str().expect("UTF-8").to_owned()
    };
    // The state that the cluster would serve after these manifests are applied.
    let mut repaired: Value =
        serde_json::from_str(&ingress("broken", &host_to("broken.example", "web"))).expect("JSON");
    repaired["metadata"]["namespace"] = json!("live");
    let repaired = write("repaired.json", &repaired.to_string());
    let check = live.run("check", &["-f", &repaired]);
    assert!(!check.stdout.contains("nowhere"), "{}", check.stdout);
    assert!(check.stderr.ends_with(": 1 error\n"), "{}", check.stderr);
    let cases = write(
        "cases.yaml",
        "tests: [{test_name: a, input: {authority: broken.example, path: /}, \
         validate: {cluster_name: web.live.svc.cluster.local|80}}]",
    );
    assert_eq!(live.run("test", &["-f", &repaired, &cases]).code, Some(1), "errors remain");
    namespace.run(&["delete", "ingresses.networking.k8s.io", "inward"]).expect("a deletion");
    let test = live.run("test", &["-f", &repaired, &cases]);
    assert_eq!(test.code, Some(0), "{}{}", test.stdout, test.stderr);
}

#[test]
fn credentials_that_may_read_less_are_told_what_is_lacking() {
    const ACCOUNT: &str = "reader";
    let api = ApiServer::shared();
    let namespace = api.namespace("live-tenant");
    let upstream = Upstream::start_on(machine_ip(), "web");
    namespace.create(&Service::new("web").at(&upstream).manifests());
    let mut spec = host_to("tenant.example", "web");
    spec["tls"] = json!([{"hosts": ["tenant.example"], "secretName": "tenant-certs"}]);
    namespace.create(&ingress("web", &spec));
    let issued = Authority::new().issue(&["tenant.example"]);
    namespace.create(&issued.secret(&namespace.name, "tenant-certs").to_string());
    let group = "rbac.authorization.k8s.io";
    namespace.create(&object("v1", "ServiceAccount", &json!({"name": ACCOUNT}), &json!(null)));
    let role = json!({
        "apiVersion": format!("{group}/v1"), "kind": "Role", "metadata": {"name": ACCOUNT},
        "rules": [{"apiGroups": ["*"], "verbs": ["list"], "resources": [
            "ingresses", "routerules", "services", "endpoints", "endpointslices", "pods",
        ]}],
    });
    let binding = json!({
        "apiVersion": format!("{group}/v1"), "kind": "RoleBinding", "metadata": {"name": ACCOUNT},
        "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": namespace.name}],
        "roleRef": {"apiGroup": group, "kind": "Role", "name": ACCOUNT},
    });
    namespace.create(&role.to_string());
    namespace.create(&binding.to_string());
    let kubeconfig = namespace.kubeconfig_of(ACCOUNT);

    let all = run("check", &kubeconfig, &[]);
    assert_eq!(all.code, Some(3), "{}{}", all.stdout, all.stderr);
    let expected = "cannot list Ingress objects: ingresses.networking.k8s.io is forbidden";
    assert!(all.stderr.contains(expected) && all.stderr.contains("--namespace"), "{}", all.stderr);

    let live = Live { kubeconfig: &kubeconfig, namespace: "live-tenant" };
    let check = live.run("check", &[]);
    assert_eq!(check.code, Some(0), "{}{}", check.stdout, check.stderr);
    for expected in [
        "warning: IngressClasses cannot be listed with these credentials",
        "warning: Ingress live-tenant/web: spec.tls[0].secretName: \
         Secret `live-tenant/tenant-certs` cannot be read with these credentials",
    ] {
        assert!(check.stdout.contains(expected), "{}", check.stdout);
    }
    let explain = live.run("explain", &["https://tenant.example/"]);
    assert!(!explain.stdout.contains("handshake"), "{}", explain.stdout);
    let folder = tempfile::tempdir().expect("a folder");
    let class = folder.path().join("class.json");
    fs::write(&class, class_of("istio.io/ingress-controller").to_string()).expect("a file");
    let check = live.run("check", &["-f", class.to_str().expect("UTF-8")]);
    assert!(!check.stdout.contains("IngressClasses cannot be listed"), "{}", check.stdout);
}

fn class_of(controller: &str) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
        "metadata": {"name": "live-class"}, "spec": {"controller": controller},
    })
}

#[test]
fn an_ingress_class_of_a_file_replaces_the_one_of_the_cluster() {
    let api = ApiServer::shared();
    let namespace = api.namespace("live-class");
    let upstream = Upstream::start_on(machine_ip(), "web");
    namespace.create(&Service::new("web").at(&upstream).manifests());
    let mut spec = host_to("class.example", "web");
    spec["ingressClassName"] = json!("live-class");
    namespace.create(&unclassed("web", &spec));
    namespace.create(&class_of("example.com/other").to_string());
    let kubeconfig = api.kubeconfig();
    let live = Live { kubeconfig: &kubeconfig, namespace: "live-class" };
    let before = live.run("explain", &["http://class.example/"]);

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("class.json");
    fs::write(&file, class_of("istio.io/ingress-controller").to_string()).expect("a file");
    let after =
        live.run("explain", &["-f", file.to_str().expect("UTF-8"), "http://class.example/"]);
    namespace
        .run(&["delete", "ingressclasses.networking.k8s.io", "live-class"])
        .expect("a deletion");

    assert!(!before.stdout.contains("web.live-class.svc"), "{}{}", before.stdout, before.stderr);
    assert!(after.stdout.contains("web.live-class.svc"), "{}{}", after.stdout, after.stderr);
}

#[test]
fn a_cluster_that_cannot_be_asked_is_an_error() {
    let api = ApiServer::shared();
    let refused = api.kubeconfig_for("wrong-token", "wrong");
    let none = Path::new("/nowhere/kubeconfig");
    for (kubeconfig, expected) in [(&*refused, "Unauthorized"), (none, "/nowhere/kubeconfig")] {
        for (command, code) in [("check", 3), ("rbac", 1)] {
            let output = run(command, kubeconfig, &[]);
            assert_eq!((output.code, &*output.stdout), (Some(code), ""), "{}", output.stderr);
            assert!(output.stderr.contains(expected), "{}", output.stderr);
        }
    }
}

#[test]
fn the_page_reads_the_cluster_again_on_request() {
    let api = ApiServer::shared();
    let namespace = api.namespace("live-page");
    let upstream = Upstream::start_on(machine_ip(), "web");
    fill(&namespace, &upstream);
    let mut process = Process::spawn(
        Command::new(ingressctl())
            .args(["ui", "--live", "--namespace", "live-page", "--kubeconfig"])
            .arg(api.kubeconfig())
            .stdout(Stdio::piped()),
    );
    let line = BufReader::new(process.output()).lines().next().expect("a line").expect("text");
    let url = line.strip_prefix("ready http://").expect("a URL");
    let (address, token) = url.split_once('/').expect("a path");
    let address: SocketAddr = address.parse().expect("an address");
    let send = |method: &str, file: &str| {
        let head = format!("{method} /{token}{file} HTTP/1.1\r\nhost: {address}\r\n");
        raw(address, format!("{head}connection: close\r\n\r\n").as_bytes()).body
    };
    let hosts = || {
        let state: Value = serde_json::from_str(&send("GET", "state.json")).expect("JSON");
        assert!(!state.to_string().contains("PRIVATE KEY"));
        let hosts = state["document"]["hosts"].as_array().expect("hosts").clone();
        hosts.into_iter().map(|host| host["names"][0].clone()).collect::<Vec<_>>()
    };
    assert!(hosts().contains(&json!("web.example")), "{:?}", hosts());

    namespace.create(&ingress("new", &host_to("new.example", "web")));
    assert!(!hosts().contains(&json!("new.example")), "the API is not watched");
    assert_eq!(send("POST", "read-again"), "{}");
    assert!(hosts().contains(&json!("new.example")), "{:?}", hosts());
    assert_eq!(process.interrupt(), Some(0));
}
