//! The manifests in `config/deploy`: they are valid for current Kubernetes, and
//! consistent with each other. `tests/tests/kubernetes/deployment.rs` applies them.

mod deployed;
mod sandbox;

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;

use clap::CommandFactory;
use deployed::{FOLDER, files, lost_field, objects};
use ingressctl::cli::Cli;
use ingressctl::envoy_binary;
use serde_json::Value;

/// The only object of that kind.
#[track_caller]
fn the(kind: &str) -> Value {
    let mut objects = objects().into_iter().filter(|object| object["kind"] == kind);
    let object = objects.next().unwrap_or_else(|| panic!("a {kind}"));
    assert!(objects.next().is_none(), "one {kind}");
    object
}

fn pod() -> Value {
    the("Deployment")["spec"]["template"].clone()
}

fn containers(pod: &Value) -> Vec<Value> {
    let spec = &pod["spec"];
    let lists = [&spec["initContainers"], &spec["containers"]];
    lists.iter().flat_map(|list| list.as_array().unwrap().clone()).collect()
}

/// The container with that name.
fn container(name: &str) -> Value {
    let mut containers = containers(&pod()).into_iter();
    containers.find(|container| container["name"] == name).unwrap()
}

/// The arguments of a container, its program first.
fn command(container: &Value) -> Vec<String> {
    let words = container["command"].as_array().unwrap().iter();
    words.map(|word| word.as_str().unwrap().to_owned()).collect()
}

/// The value of a flag in the form `--flag=value`.
fn flag(container: &Value, name: &str) -> Option<String> {
    let prefix = format!("{name}=");
    command(container).iter().find_map(|word| Some(word.strip_prefix(&prefix)?.to_owned()))
}

#[test]
fn each_file_is_part_of_it() {
    let mut there = BTreeSet::from(["chart/crds/routerule.yaml".to_owned()]);
    for entry in fs::read_dir(FOLDER).unwrap().map(Result::unwrap) {
        if entry.path().is_file() {
            there.insert(entry.file_name().into_string().unwrap());
        }
    }
    there.remove("kustomization.yaml");
    assert_eq!(files(), there);
}

#[test]
fn todays_kubernetes_knows_each_field() {
    for object in objects() {
        assert_eq!(lost_field(&object), None, "{}", object["kind"]);
    }
}

#[test]
fn all_is_about_the_same_pods() {
    let labels = &pod()["metadata"]["labels"];
    assert_eq!(the("Deployment")["spec"]["selector"]["matchLabels"], *labels);
    assert_eq!(the("Service")["spec"]["selector"], *labels);
    assert_eq!(the("PodDisruptionBudget")["spec"]["selector"]["matchLabels"], *labels);
    assert_eq!(the("NetworkPolicy")["spec"]["podSelector"]["matchLabels"], *labels);
    for spread in pod()["spec"]["topologySpreadConstraints"].as_array().unwrap() {
        assert_eq!(spread["labelSelector"]["matchLabels"], *labels);
    }
    let target = &the("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"];
    assert_eq!(target["name"], the("Deployment")["metadata"]["name"]);
    // It would conflict with the autoscaler.
    assert!(the("Deployment")["spec"].get("replicas").is_none());
    assert_eq!(pod()["spec"]["priorityClassName"], the("PriorityClass")["metadata"]["name"]);
    let accounts = objects().into_iter().filter(|object| object["kind"] == "ServiceAccount");
    let accounts: Vec<_> = accounts.map(|account| account["metadata"]["name"].clone()).collect();
    assert_eq!(accounts, [pod()["spec"]["serviceAccountName"].clone()]);
}

#[test]
fn ports_lead_to_what_listens_and_are_let_through() {
    let named = |container: &str| -> Vec<(String, u64)> {
        let ports = self::container(container)["ports"].clone();
        let port = |port: &Value| {
            Some((port["name"].as_str()?.to_owned(), port["containerPort"].as_u64()?))
        };
        ports.as_array().unwrap().iter().map(|item| port(item).unwrap()).collect()
    };
    let (envoy, controller) = (named("envoy"), named("controller"));
    for (name, port) in envoy.iter().chain(&controller) {
        for container in ["prepare", "controller"].map(container) {
            // The flags of both containers must agree.
            let Some(address) = flag(&container, &format!("--{name}")) else { continue };
            let address: SocketAddr = address.parse().unwrap();
            assert_eq!(u64::from(address.port()), *port, "{name}");
            assert!(address.ip().is_unspecified(), "{name}");
        }
    }
    // The port for probes of the kubelet, which network policies do not block.
    let (probe, envoy): (Vec<_>, Vec<_>) = envoy.into_iter().partition(|(name, _)| name == "probe");
    let address: SocketAddr =
        flag(&self::container("controller"), "--probe").unwrap().parse().unwrap();
    assert_eq!(probe, [("probe".to_owned(), u64::from(address.port()))]);
    let service = the("Service");
    let service: Vec<_> = service["spec"]["ports"].as_array().unwrap().iter().collect();
    assert_eq!(service.len(), envoy.len());
    for (port, (name, _)) in service.iter().zip(&envoy) {
        assert_eq!(port["targetPort"], name.as_str());
    }
    let policy = the("NetworkPolicy");
    let rules = policy["spec"]["ingress"].as_array().unwrap();
    let open = rules.iter().flat_map(|rule| rule["ports"].as_array().unwrap());
    let open: BTreeSet<_> = open.map(|port| port["port"].as_u64().unwrap()).collect();
    assert_eq!(open, envoy.iter().chain(&controller).map(|(_, port)| *port).collect());
}

/// It sheds load at its own memory limit, not at that of the container that writes
/// its configuration.
#[test]
fn envoy_knows_its_own_limit() {
    let prepare = container("prepare");
    assert_eq!(flag(&prepare, "--envoy-memory").unwrap(), "$(ENVOY_MEMORY)");
    let variables = prepare["env"].as_array().unwrap();
    let memory = variables.iter().find(|variable| variable["name"] == "ENVOY_MEMORY").unwrap();
    let limit = &memory["valueFrom"]["resourceFieldRef"];
    assert_eq!(limit["containerName"], "envoy");
    assert_eq!(limit["resource"], "limits.memory");
    assert!(container("envoy")["resources"]["limits"]["memory"].is_string());
}

#[test]
fn the_pod_is_ready_by_envoys_word_alone() {
    let probe = &container("envoy")["readinessProbe"]["httpGet"];
    assert_eq!((&probe["path"], &probe["port"]), (&"/ready".into(), &"probe".into()));
    assert_eq!(container("controller").get("readinessProbe"), None);
}

/// Not removed for one slow response, but before Envoy begins to close connections, also if
/// only the container of the controller ends.
#[test]
fn the_pod_is_not_ready_before_it_drains() {
    let probe = &container("envoy")["readinessProbe"];
    let number = |field: &str| probe[field].as_u64().unwrap();
    assert!(number("failureThreshold") > 1, "{probe}");
    let noticed = number("periodSeconds") * number("failureThreshold");
    let delay = flag(&container("controller"), "--drain-delay").unwrap();
    let delay: u64 = delay.strip_suffix('s').unwrap().parse().unwrap();
    assert!(noticed < delay, "{noticed} s, and drains after {delay} s");
}

/// It may be Istio's, whose pods need more permissions than those of the gateway.
#[test]
fn the_labels_of_a_namespace_that_exists_are_not_changed() {
    assert_eq!(the("Namespace")["metadata"], serde_json::json!({"name": "istio-system"}));
}

/// Only one link-local address is allowed, because requests must not reach the
/// others.
#[test]
fn names_are_asked_of_dns_alone() {
    let policy = the("NetworkPolicy");
    let rules = policy["spec"]["egress"].as_array().unwrap();
    let is_dns = |rule: &&Value| rule["ports"][0]["port"] == 53;
    let rule = rules.iter().find(is_dns).unwrap();
    let peers = rule["to"].as_array().unwrap();
    assert_eq!(peers[0]["podSelector"]["matchLabels"]["k8s-app"], "kube-dns");
    assert_eq!(peers[1]["ipBlock"]["cidr"], "169.254.20.10/32");
    assert_eq!(peers.len(), 2);
}

#[test]
fn each_container_is_confined() {
    let security = &pod()["spec"]["securityContext"];
    assert_eq!(security["runAsNonRoot"], true);
    assert_eq!(security["seccompProfile"]["type"], "RuntimeDefault");
    for container in containers(&pod()) {
        let security = &container["securityContext"];
        assert_eq!(security["allowPrivilegeEscalation"], false, "{container}");
        assert_eq!(security["readOnlyRootFilesystem"], true, "{container}");
        assert_eq!(security["capabilities"]["drop"], serde_json::json!(["ALL"]), "{container}");
        assert!(container["resources"]["limits"]["memory"].is_string(), "{container}");
        assert!(container["resources"]["requests"]["cpu"].is_string(), "{container}");
        // Only the controller uses the API.
        let mounts = container["volumeMounts"].as_array().unwrap();
        let has_token = mounts.iter().any(|mount| mount["name"] == "token");
        assert_eq!(has_token, container["name"] == "controller");
    }
    assert_eq!(pod()["spec"]["automountServiceAccountToken"], false);
}

#[test]
fn what_lies_beside_envoy_is_never_on_a_disk() {
    let pod = pod();
    let volumes = pod["spec"]["volumes"].as_array().unwrap();
    let shared = volumes.iter().find(|volume| volume["name"] == "shared").unwrap();
    assert_eq!(shared["emptyDir"]["medium"], "Memory");
    assert!(shared["emptyDir"]["sizeLimit"].is_string());
}

#[test]
fn images_are_those_of_this_version() {
    for (name, image) in [
        ("prepare", concat!("ingressctl:", env!("CARGO_PKG_VERSION")).to_owned()),
        ("controller", concat!("ingressctl:", env!("CARGO_PKG_VERSION")).to_owned()),
        ("envoy", format!("envoyproxy/envoy:v{}", envoy_binary::VERSION)),
    ] {
        assert_eq!(container(name)["image"], image);
    }
}

#[test]
fn the_settings_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let settings = the("ConfigMap")["data"]["settings.yaml"].as_str().unwrap().to_owned();
    fs::write(folder.path().join("settings.yaml"), settings).unwrap();
    fs::write(folder.path().join("none.yaml"), "").unwrap();
    let mut check = sandbox::ingressctl();
    check.current_dir(folder.path());
    check.args(["check", "--settings", "settings.yaml", "-f", "none.yaml"]);
    let output = check.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_containers_are_told_what_the_command_knows() {
    let folder = tempfile::tempdir().unwrap();
    let settings = the("ConfigMap")["data"]["settings.yaml"].as_str().unwrap().to_owned();
    let settings_file = folder.path().join("settings.yaml");
    fs::write(&settings_file, settings).unwrap();
    for name in ["prepare", "controller"] {
        let words = command(&container(name)).into_iter().map(|word| {
            let word = word.replace("/var/run/ingress", folder.path().to_str().unwrap());
            let word = word.replace("/etc/ingress/settings.yaml", settings_file.to_str().unwrap());
            // As the kubelet sets it, in bytes.
            word.replace("$(ENVOY_MEMORY)", "1073741824")
        });
        let words: Vec<_> = words.collect();
        let [program, arguments @ ..] = &words[..] else { panic!("{words:?}") };
        assert_eq!(program, "ingressctl");
        let mut command = sandbox::ingressctl();
        // There is no API server, so the controller exits.
        command.args(arguments).env_clear().env("HOME", folder.path());
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        if name == "prepare" {
            assert!(output.status.success(), "{said}");
            assert!(folder.path().join("bootstrap.json").is_file());
        } else {
            assert_eq!(output.status.code(), Some(1), "{said}");
            assert!(said.contains("Kubernetes"), "{said}");
        }
    }
}

#[test]
fn the_unit_of_systemd_runs_a_command_that_exists() {
    let unit = fs::read_to_string("deploy/systemd/ingressctl.service").unwrap();
    let unit = unit.replace("\\\n", " ");
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let words = start.split_whitespace();
    let parsed =
        Cli::command().try_get_matches_from(words).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(parsed.subcommand_name(), Some("serve"));
}

/// Of a credential that cannot be loaded, systemd uses the text in the unit.
#[test]
fn the_unit_of_systemd_starts_without_a_file_of_settings() {
    let unit = fs::read_to_string("deploy/systemd/ingressctl.service").unwrap();
    let value = |key: &str| unit.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    let (name, path) = value("LoadCredential=").split_once(':').unwrap();
    let (default_of, default) = value("SetCredential=").split_once(':').unwrap();
    assert_eq!((name, path), (default_of, "/etc/ingressctl/settings.yaml"));
    assert!(unit.contains(&format!("--settings ${{CREDENTIALS_DIRECTORY}}/{name} ")), "{unit}");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), default).unwrap();
    fs::write(folder.path().join("none.yaml"), "").unwrap();
    let mut check = sandbox::ingressctl();
    check.current_dir(folder.path()).args(["check", "--settings", name, "-f", "none.yaml"]);
    let output = check.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The folder contains objects, settings, and a kustomization.
#[test]
fn nothing_is_found_in_it() {
    let mut check = sandbox::ingressctl();
    let output = check.args(["check", "-f", FOLDER]).output().expect("ingressctl runs");
    let (found, summary) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!((output.status.code(), &*found), (Some(0), ""), "{summary}");
    assert!(summary.ends_with(": no findings\n"), "{summary}");
}
