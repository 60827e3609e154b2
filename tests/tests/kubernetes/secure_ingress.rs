//! The documentation page on the secure Ingress, as far as it concerns the API: the
//! created objects, and who may read the key.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use ingress_tests::{ApiServer, Kubectl, Service, ingressctl, machine_ip, wait_until, workspace};
use serde_json::Value;

/// The manifests as on the page.
const PAGE: &str = "\
apiVersion: extensions/v1beta1
kind: Ingress
metadata:
  name: secure-ingress
  annotations:
    kubernetes.io/ingress.class: istio
spec:
  tls:
    - secretName: istio-ingress-certs # currently ignored
  rules:
  - http:
      paths:
      - path: /status/.*
        backend:
          serviceName: httpbin
          servicePort: 8000
      - path: /delay/.*
        backend:
          serviceName: httpbin
          servicePort: 8000
";

const INGRESS: &str = "istio-ingress";

/// The accounts of the Istio version that the page describes. Its certificate
/// authority had two names.
const OTHERS: [&str; 4] = ["istio-pilot", "istio-mixer", "istio-citadel", "istio-ca"];

fn sample() -> PathBuf {
    workspace().join("config/samples/secure-ingress/ingress.yaml")
}

/// The output of `ingressctl` for these manifests.
fn ask(arguments: &[&str], manifests: &str) -> Output {
    let mut command = Command::new(ingressctl());
    command.args(arguments).args(["-f", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(manifests.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn the_sample_is_what_the_page_says() {
    assert_eq!(fs::read_to_string(sample()).unwrap(), PAGE);
}

#[test]
fn it_is_created_as_it_is_and_check_takes_what_comes_back() {
    let api = ApiServer::shared();
    let namespace = api.namespace("secure-ingress");
    // The services of the sample, at an address that the API accepts.
    let service = Service::with_ports("httpbin", &[("http", 8000)]);
    namespace.create(&service.at_address((machine_ip(), 8000).into()).manifests());
    namespace.run(&["create", "-f", sample().to_str().unwrap()]).unwrap();

    let spec = &namespace.get("ingress", "secure-ingress")["spec"];
    assert_eq!(spec["tls"], serde_json::json!([{"secretName": "istio-ingress-certs"}]));
    let back = namespace.run(&["get", "ingress,service,endpoints", "-o", "yaml"]).unwrap();
    let checked = ask(&["check"], &back);
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success() && !said.contains(": error: "), "{said}");

    only_its_secret_is_readable(&namespace, &back);
}

/// Applies the output of `ingressctl rbac` for the page.
fn only_its_secret_is_readable(namespace: &Kubectl, manifests: &str) {
    let can_get =
        |name: &str| can(namespace, INGRESS, &format!("get secret/{name} -n secure-ingress"));
    assert!(!can_get("istio-ingress-certs"), "before rbac is applied");
    let printed = ask(&["rbac", "-o", "json"], manifests).stdout;
    let printed: Value = serde_json::from_slice(&printed).unwrap();
    let items = printed["items"].as_array().unwrap().iter();
    // The harness has applied the others.
    let here = items.filter(|item| item["metadata"]["namespace"] == "secure-ingress");
    let here: Vec<_> = here.map(Value::to_string).collect();
    assert_eq!(here.len(), 2, "a Role and its binding");
    for item in here {
        namespace.create(&item);
    }
    wait_until("the Secret is readable", || can_get("istio-ingress-certs"));
    assert!(!can_get("another"));
}

/// Whether an account in istio-system has a permission.
fn can(kubectl: &Kubectl, account: &str, question: &str) -> bool {
    let user = format!("system:serviceaccount:istio-system:{account}-service-account");
    let question: Vec<_> = question.split(' ').collect();
    kubectl.run(&[&["auth", "can-i", "--as", &user][..], &question].concat()).is_ok()
}

#[test]
fn the_gateway_alone_reads_the_certificate_and_no_other_secret() {
    const SECRET: &str = "secret/istio-ingress-certs -n istio-system";
    let api = ApiServer::shared();
    let kubectl = api.kubectl();
    for account in OTHERS {
        let name = format!("{account}-service-account");
        kubectl.run(&["-n", "istio-system", "create", "serviceaccount", &name]).unwrap();
    }
    assert!(can(&kubectl, INGRESS, &format!("get {SECRET}")));
    for verb in ["get", "list", "watch", "update", "patch", "delete"] {
        for account in OTHERS {
            assert!(!can(&kubectl, account, &format!("{verb} {SECRET}")), "{account}: {verb}");
        }
    }
    for account in OTHERS.iter().chain(&[INGRESS]) {
        for question in [
            "list secrets -A",
            "watch secrets -A",
            "list secrets -n istio-system",
            "watch secrets -n istio-system",
            "get secrets -n istio-system",
            "get secret/another -n istio-system",
            "get secret/istio-ingress-certs -n default",
            "get secret/istio.istio-ingress-service-account -n istio-system",
            "create secrets -n istio-system",
            "create serviceaccounts/token -n istio-system",
        ] {
            assert!(!can(&kubectl, account, question), "{account}: {question}");
        }
    }
}
