//! A certificate by ACME HTTP-01 (RFC 8555), through the gateway: a real server validates the
//! host, as Let's Encrypt does, and a real client creates the objects that cert-manager's
//! solver creates.

use std::fs;
use std::process::{Command, Stdio};

use ingress_tests::{
    ApiServer, Authority, Gateway, Namespace, Process, Service, Upstream, free_port, machine_ip,
    tool, wait_until,
};
use serde_json::json;

use crate::setup::ingress;

const HOST: &str = "shop.example";

/// Where the client puts the answers of challenges, below the root of the solver.
const CHALLENGES: &str = "answers/.well-known/acme-challenge";

/// What the client does for a challenge and with a certificate: a Service with the endpoint
/// that knows the answer, an Ingress for the path, and the Secret.
const HOOK: &str = r#"#!/bin/bash
set -euo pipefail
case "$1" in
deploy_challenge)
  path=/.well-known/acme-challenge/$3
  sed "s|PATH|$path|" "$SOLVER" | $KUBECTL create -f - >/dev/null
  ;;
clean_challenge) $KUBECTL delete ingress,service,endpointslice --selector acme=http-01 >/dev/null ;;
deploy_cert)
  $KUBECTL create secret tls shop --cert "$5" --key "$3" --dry-run=client -o json |
    $KUBECTL apply -f - >/dev/null
  ;;
esac
"#;

/// The ACME server, a name server that resolves each name to this machine, and the client.
struct Acme {
    folder: tempfile::TempDir,
    management: u16,
    _processes: [Process; 3],
}

impl Acme {
    /// Validates hosts on the port of the gateway, as it would be port 80 in production.
    fn start(namespace: &Namespace<'_>, gateway: &Gateway) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        let path = |name: &str| root.join(name);
        let [api, management, names, answers] = [(); 4].map(|()| free_port());
        let authority = Authority::new();
        let secret = authority.issue(&["localhost"]).secret("any", "any");
        for (file, key) in [("cert.pem", "tls.crt"), ("key.pem", "tls.key")] {
            fs::write(path(file), secret["stringData"][key].as_str().unwrap()).unwrap();
        }
        fs::write(path("ca.pem"), authority.pem()).unwrap();
        let server = json!({"pebble": {
            "listenAddress": format!("127.0.0.1:{api}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": path("cert.pem"), "privateKey": path("key.pem"),
            "httpPort": gateway.http.port(), "tlsPort": free_port(),
        }});
        fs::write(path("pebble.json"), server.to_string()).unwrap();
        fs::create_dir_all(path(CHALLENGES)).unwrap();

        let mut dns = Command::new(tool("pebble-challtestsrv"));
        dns.args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""]);
        dns.args(["-dns01", &format!("127.0.0.1:{names}")]);
        dns.args(["-management", &format!("127.0.0.1:{}", free_port())]);
        let mut pebble = Command::new(tool("pebble"));
        pebble.arg("-config").arg(path("pebble.json"));
        pebble.args(["-dnsserver", &format!("127.0.0.1:{names}")]);
        pebble.env("PEBBLE_VA_NOSLEEP", "1");
        // By default, it rejects some requests at random, to test clients.
        pebble.env("PEBBLE_WFE_NONCEREJECT", "0");
        let mut solver = Command::new("python3");
        let address = machine_ip().to_string();
        solver.args(["-m", "http.server", &answers.to_string(), "--bind", &address]);
        solver.arg("--directory").arg(path("answers"));
        let processes = [dns, pebble, solver]
            .map(|mut it| Process::spawn(it.stdout(Stdio::null()).stderr(Stdio::null())));

        fs::write(path("solver.yaml"), solver_objects(answers).to_string()).unwrap();
        fs::write(path("hook.sh"), HOOK).unwrap();
        let configuration = format!(
            "CA=https://localhost:{api}/dir\nCURL_OPTS='--cacert {}'\nOPENSSL_CNF={}\nHOOK={}\n\
             WELLKNOWN={}\n",
            path("ca.pem").display(),
            path("openssl.cnf").display(),
            path("hook.sh").display(),
            path(CHALLENGES).display(),
        );
        fs::write(path("config"), configuration).unwrap();
        fs::write(path("openssl.cnf"), "[req]\ndistinguished_name = name\n[name]\n").unwrap();
        let acme = Self { folder, management, _processes: processes };
        acme.run("chmod", &["+x", path("hook.sh").to_str().unwrap()], namespace);
        let directory = format!("https://localhost:{api}/dir");
        wait_until("the ACME server", || {
            let mut curl = Command::new(tool("curl"));
            curl.args(["--silent", "--noproxy", "*", "--cacert"]).arg(path("ca.pem"));
            curl.arg(&directory).output().unwrap().status.success()
        });
        acme.client(&["--register", "--accept-terms"], namespace);
        acme
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// Runs the client.
    fn client(&self, arguments: &[&str], namespace: &Namespace<'_>) {
        let program = tool("dehydrated");
        let configuration = self.path("config");
        let all = [&["--config", &configuration][..], arguments].concat();
        self.run(program.to_str().unwrap(), &all, namespace);
    }

    fn run(&self, program: &str, arguments: &[&str], namespace: &Namespace<'_>) {
        let kubectl = namespace.command_line();
        let path = std::env::var("PATH").unwrap();
        let tools = ["curl", "openssl"].map(|name| tool(name).parent().unwrap().to_owned());
        let path = std::env::join_paths(std::env::split_paths(&path).chain(tools));
        let mut command = Command::new(program);
        command.args(arguments).env("PATH", path.unwrap()).env("no_proxy", "*");
        command.env("KUBECTL", kubectl);
        command.env("SOLVER", self.path("solver.yaml"));
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (printed, errors) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{program} {arguments:?}: {printed}\n{errors}");
    }

    /// Gets a certificate, which the hook puts into the Secret.
    fn issue(&self, namespace: &Namespace<'_>) {
        self.client(&["--cron", "--force", "--domain", HOST], namespace);
    }

    /// The status and the certificate that a client gets, if it trusts the latter.
    fn served(&self, gateway: &Gateway) -> Option<(String, String)> {
        let roots = self.path("roots.pem");
        let curl = |arguments: &[&str]| {
            let mut curl = Command::new(tool("curl"));
            let output = curl.args(["--silent", "--noproxy", "*"]).args(arguments).output();
            let output = output.ok().filter(|output| output.status.success())?;
            Some(String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let root = format!("https://localhost:{}/roots/0", self.management);
        fs::write(&roots, curl(&["--cacert", &self.path("ca.pem"), &root])?).unwrap();
        let port = gateway.https().port();
        let (url, at) = (format!("https://{HOST}:{port}/"), format!("{HOST}:{port}:127.0.0.1"));
        let all = curl(&[
            "--cacert",
            &roots,
            "--resolve",
            &at,
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_code}\n%{certs}",
            &url,
        ])?;
        let (status, certificates) = all.split_once('\n')?;
        Some((status.to_owned(), certificates.to_owned()))
    }
}

/// What cert-manager's solver creates for a challenge. In a cluster, Kubernetes writes the
/// endpoints, of its pod.
fn solver_objects(port: u16) -> serde_json::Value {
    let metadata = json!({"name": "cm-acme-http-solver", "labels": {"acme": "http-01"}});
    let backend = json!({"service": {"name": "cm-acme-http-solver", "port": {"number": 8089}}});
    let path = json!({"path": "PATH", "pathType": "ImplementationSpecific", "backend": backend});
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata,
         "spec": {"ports": [{"name": "http", "port": 8089, "targetPort": port}]}},
        {"apiVersion": "discovery.k8s.io/v1beta1", "kind": "EndpointSlice",
         "metadata": {"name": "cm-acme-http-solver",
                      "labels": {"acme": "http-01",
                                 "kubernetes.io/service-name": "cm-acme-http-solver"}},
         "addressType": "IPv4", "ports": [{"name": "http", "port": port}],
         "endpoints": [{"addresses": [machine_ip()], "conditions": {"ready": true}}]},
        {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata,
         "spec": {"ingressClassName": "istio",
                  "rules": [{"host": HOST, "http": {"paths": [path]}}]}},
    ]})
}

/// Plain HTTP of the host is redirected, but the challenge is served.
#[test]
fn a_certificate_is_issued_and_renewed_through_the_gateway() {
    let api = ApiServer::shared();
    let namespace = api.namespace("acme");
    let upstream = Upstream::start_on(machine_ip(), "web");
    namespace.create(&Service::new("web").at(&upstream).manifests());
    let backend = json!({"service": {"name": "web", "port": {"number": 80}}});
    let path = json!({"path": "/", "pathType": "Prefix", "backend": backend});
    let web = ingress(
        "web",
        &json!({"tls": [{"hosts": [HOST], "secretName": "shop"}],
                "rules": [{"host": HOST, "http": {"paths": [path]}}]}),
    );
    namespace.allow_secrets(std::slice::from_ref(&web), "acme/default");
    namespace.create(&web);
    let flags = ["--default-certificate", "acme/default", "--http-for-tls", "redirect"];
    let gateway = Gateway::start_with(&namespace, &flags);
    assert_eq!(gateway.get(HOST, "/").status, 308);
    let acme = Acme::start(&namespace, &gateway);

    acme.issue(&namespace);
    let mut first = None;
    wait_until("the certificate is served", || {
        first = acme.served(&gateway);
        first.is_some()
    });
    let (status, first) = first.unwrap();
    assert!(status == "200" && first.contains("Pebble"), "{status}\n{first}");
    // The challenge was not for the application.
    assert_eq!(upstream.take_received().len(), 1);
    assert_eq!(namespace.list("ingress").len(), 1, "the solver has cleaned up");

    acme.issue(&namespace);
    wait_until("the renewed certificate is served", || {
        acme.served(&gateway).is_some_and(|(_, certificate)| certificate != first)
    });
}
