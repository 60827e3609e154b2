//! A pod of the Helm chart, as a kubelet would run it: its own commands, settings, volumes,
//! account and probes, with the program of the image.

use std::collections::HashMap;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use ingress_tests::ingresses::{host_to, ingress_of};
use ingress_tests::{
    ApiServer, Kubectl, Process, Service, Upstream, envoy, free_port, get, ingressctl, machine_ip,
    wait_until,
};
use serde_json::{Value, json};

use crate::chart::{chart, helm_in};

/// The processes of a pod, with the folders and ports of this machine in place of its own.
struct Pod {
    folder: tempfile::TempDir,
    /// What is mounted at a path.
    mounts: HashMap<String, PathBuf>,
    ports: HashMap<u16, SocketAddr>,
    kubeconfig: PathBuf,
    spec: Value,
}

impl Pod {
    fn of(kubectl: &Kubectl, deployment: &str, kubeconfig: PathBuf) -> Self {
        let spec = kubectl.get("deployment", deployment)["spec"]["template"]["spec"].take();
        let folder = tempfile::tempdir().unwrap();
        let mut mounts = HashMap::new();
        for volume in spec["volumes"].as_array().unwrap() {
            let name = volume["name"].as_str().unwrap();
            let path = folder.path().join(name);
            fs::create_dir(&path).unwrap();
            if let Some(map) = volume["configMap"]["name"].as_str() {
                let data = kubectl.get("configmap", map)["data"].take();
                for (file, text) in data.as_object().unwrap() {
                    fs::write(path.join(file), text.as_str().unwrap()).unwrap();
                }
            }
            mounts.insert(name.to_owned(), path);
        }
        Self { folder, mounts, ports: HashMap::new(), kubeconfig, spec }
    }

    /// The address here that stands for a port of the pod.
    fn address(&mut self, port: u16) -> SocketAddr {
        let here = || SocketAddr::from(([127, 0, 0, 1], free_port()));
        *self.ports.entry(port).or_insert_with(here)
    }

    fn container(&self, name: &str) -> Value {
        let of = |field: &str| self.spec[field].as_array().cloned().unwrap_or_default();
        let all = [of("initContainers"), of("containers")].concat();
        all.into_iter().find(|container| container["name"] == name).expect("a container")
    }

    /// What the kubelet would run for a container.
    fn command(&mut self, name: &str) -> Command {
        let container = self.container(name);
        let words = container["command"].as_array().unwrap().clone();
        let words: Vec<_> =
            words.iter().map(|word| self.here(word.as_str().unwrap(), &container)).collect();
        let program = match &*words[0] {
            "envoy" => envoy(),
            "ingressctl" => ingressctl(),
            other => panic!("{other}"),
        };
        let mut command = Command::new(program);
        command.args(&words[1..]).env_clear();
        // In a pod, the account is in a file and the server in the environment.
        command.env("KUBECONFIG", &self.kubeconfig).env("HOME", self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(fs::File::create(self.log(name)).unwrap());
        command
    }

    /// A word of a command with the paths, ports and limits of this machine.
    fn here(&mut self, word: &str, container: &Value) -> String {
        let mut word = word.to_owned();
        for mount in container["volumeMounts"].as_array().unwrap() {
            let inside = mount["mountPath"].as_str().unwrap();
            let outside = &self.mounts[mount["name"].as_str().unwrap()];
            word = word.replace(inside, outside.to_str().unwrap());
        }
        for variable in container["env"].as_array().into_iter().flatten() {
            let reference = format!("$({})", variable["name"].as_str().unwrap());
            let limit = &variable["valueFrom"]["resourceFieldRef"];
            if let Some(of) = limit["containerName"].as_str() {
                let limit = self.container(of)["resources"]["limits"]["memory"].take();
                word = word.replace(&reference, limit.as_str().unwrap());
            }
        }
        if let Some((flag, port)) = word.split_once("0.0.0.0:") {
            let (flag, port) = (flag.to_owned(), port.parse().unwrap());
            word = format!("{flag}{}", self.address(port));
        }
        word
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.log"))
    }

    fn logged(&self, name: &str) -> String {
        fs::read_to_string(self.log(name)).unwrap_or_default()
    }

    /// Whether a probe of a container succeeds.
    fn probe(&mut self, name: &str, kind: &str) -> bool {
        let container = self.container(name);
        let probe = container[kind]["httpGet"].clone();
        let ports = container["ports"].as_array().unwrap();
        let port = ports.iter().find(|port| port["name"] == probe["port"]).unwrap();
        let port = port["containerPort"].as_u64().unwrap().try_into().unwrap();
        let address = self.address(port);
        TcpStream::connect(address).is_ok()
            && get(address, "probe", probe["path"].as_str().unwrap()).status == 200
    }
}

/// `INGRESSCTL` names the program of a release; without it, the one of the last build runs.
#[test]
fn a_pod_of_the_chart_serves() {
    let api = ApiServer::shared();
    let namespace = api.namespace("pod-of-the-chart");
    let values = "settings.ingressClass=charted,settings.controllerName=example.com/charted,\
                  watchNamespaces={pod-of-the-chart}";
    helm_in(&namespace, "pod-of-the-chart", &["install", "charted", &chart(), "--set", values]);
    let account = namespace.kubeconfig_of("charted-service-account");
    let mut pod = Pod::of(&namespace, "charted", account);
    let prepared = pod.command("prepare").status().unwrap();
    assert!(prepared.success(), "{}", pod.logged("prepare"));
    let envoy = Process::spawn(&mut pod.command("envoy"));
    let controller = Process::spawn(&mut pod.command("controller"));
    wait_until("the pod is ready", || {
        pod.probe("envoy", "readinessProbe") && pod.probe("controller", "livenessProbe")
    });

    let upstream = Upstream::start_on(machine_ip(), "web");
    namespace.create(&Service::new("web").at(&upstream).manifests());
    namespace.create(&ingress_of("charted", "web", &host_to("shop.example", "web")));
    let http = pod.address(8080);
    wait_until("the Ingress is served", || get(http, "shop.example", "/cart").by() == "web");
    assert_eq!(get(http, "other.example", "/cart").status, 404);
    // The account may write the status, which is the address of the Service of the chart.
    let address = json!({"spec": {"externalIPs": ["203.0.113.7"]}}).to_string();
    namespace.run(&["patch", "service", "charted", "-p", &address]).unwrap();
    wait_until("the status has the address", || {
        let status = namespace.get("ingress", "web")["status"].take();
        status["loadBalancer"]["ingress"][0]["ip"] == "203.0.113.7"
    });
    drop((controller, envoy));
}
