//! The Helm chart (`config/deploy/chart`), installed by Helm. `config/tests/helm` compares
//! its objects with `config/deploy`.

use std::process::Command;

use ingress_tests::{ApiServer, Kubectl, helm, workspace};
use serde_json::Value;

const NAMESPACE: &str = "second-gateway";

/// The folder of the chart.
pub(crate) fn chart() -> String {
    workspace().join("config/deploy/chart").to_str().unwrap().to_owned()
}

/// Runs Helm in a namespace and returns its standard output.
#[track_caller]
pub(crate) fn helm_in(kubectl: &Kubectl, namespace: &str, arguments: &[&str]) -> String {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(helm());
    command.args(arguments).args(["--namespace", namespace]);
    command.arg("--kubeconfig").arg(kubectl.kubeconfig());
    // Without the user's configuration.
    let output = command.env_clear().env("HOME", home.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What restarts the pods when it changes.
fn digest(kubectl: &Kubectl) -> Value {
    let pod = &kubectl.get("deployment", "second")["spec"]["template"];
    pod["metadata"]["annotations"]["checksum/settings"].clone()
}

/// The harness has applied the kustomize base, so this is a second gateway.
#[test]
fn a_second_gateway_is_installed_upgraded_and_removed() {
    let kubectl = ApiServer::shared().kubectl().within(NAMESPACE);
    let run = |arguments: &[&str]| helm_in(&kubectl, NAMESPACE, arguments);
    let chart = chart();
    let values = "settings.ingressClass=second,settings.controllerName=example.com/second";
    let release = ["second", &chart, "--set", values];
    let install = ["install", "--create-namespace"];
    let notes = run(&[&install[..], &release].concat());
    let remedy = format!("kubectl label namespace {NAMESPACE} pod-security.kubernetes.io/enforce");
    assert!(notes.contains(&remedy), "{notes}");
    let installed = digest(&kubectl);
    for kind in ["service", "serviceaccount", "role", "horizontalpodautoscaler"] {
        assert!(!kubectl.list(kind).is_empty(), "{kind}");
    }
    assert_eq!(kubectl.get("ingressclass", "second")["metadata"]["name"], "second");

    let upgrade = ["upgrade", "--set", "settings.httpForTls=redirect"];
    let notes = run(&[&upgrade[..], &release].concat());
    assert!(notes.contains("helm show crds CHART | kubectl apply -f -"), "{notes}");
    kubectl.apply(&run(&["show", "crds", &chart]));
    assert_ne!(digest(&kubectl), installed);
    let settings = kubectl.get("configmap", "second-settings")["data"]["settings.yaml"].take();
    assert!(settings.as_str().unwrap().contains("httpForTls: redirect"), "{settings}");

    run(&["uninstall", "second"]);
    assert_eq!(kubectl.list("deployment"), Vec::<Value>::new());
    kubectl.run(&["get", "ingressclass", "second"]).unwrap_err();
    // RouteRules would be deleted with their definition.
    kubectl.run(&["get", "routerules"]).unwrap();
}
