//! A namespace for one test.

use std::fs;
use std::ops::Deref;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use super::api_server::ApiServer;
use super::kubectl::Kubectl;
use crate::tools::{ingressctl, workspace};

/// A namespace, and kubectl in it.
///
/// It is never deleted, because no controller runs that would empty it. The API
/// server ends with the tests.
pub struct Namespace<'a> {
    /// Its API server.
    pub api: &'a ApiServer,
    /// Its name.
    pub name: String,
    kubectl: Kubectl,
}

impl<'a> Namespace<'a> {
    pub(super) fn create(api: &'a ApiServer, name: &str) -> Self {
        let kubectl = api.kubectl();
        kubectl.run(&["create", "namespace", name]).expect("a new namespace");
        Self { api, name: name.to_owned(), kubectl: kubectl.within(name) }
    }

    /// The kubeconfig file of a service account in this namespace with exactly the
    /// permissions of the deployed gateway.
    ///
    /// # Panics
    /// If the API rejects the request.
    pub(super) fn gateway_account(&self) -> PathBuf {
        const GROUP: &str = "rbac.authorization.k8s.io";
        const NAME: &str = "istio-ingress-service-account";
        let Self { api, name, kubectl } = self;
        if kubectl.run(&["get", "serviceaccount", NAME]).is_err() {
            let subjects = json!([{"kind": "ServiceAccount", "name": NAME, "namespace": name}]);
            let role = json!({"apiVersion": format!("{GROUP}/v1"), "kind": "Role",
                "metadata": {"name": "istio-ingress"},
                "rules": api.kubectl().within("istio-system").get("role", "istio-ingress")["rules"]});
            let binding = |kind: &str, of: &str, binding: &str| {
                json!({"apiVersion": format!("{GROUP}/v1"), "kind": kind,
                    "metadata": {"name": binding}, "subjects": subjects,
                    "roleRef": {"apiGroup": GROUP, "kind": of, "name": "istio-ingress"}})
            };
            let account =
                json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": NAME}});
            let items = json!([
                account,
                role,
                binding("RoleBinding", "Role", "istio-ingress"),
                binding("ClusterRoleBinding", "ClusterRole", &format!("istio-ingress-{name}")),
            ]);
            kubectl
                .create(&json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string());
        }
        self.kubeconfig_of(NAME)
    }

    /// The kubeconfig file of a service account in this namespace.
    ///
    /// # Panics
    /// If the API rejects the request.
    pub fn kubeconfig_of(&self, account: &str) -> PathBuf {
        self.api.kubeconfig_for(&format!("{}-{account}", self.name), &self.token(account))
    }

    /// Grants the gateway of this namespace the permissions on Secrets that
    /// `ingressctl rbac` prints for these Ingresses and that default certificate.
    ///
    /// # Panics
    /// If it prints none, or the API rejects them.
    pub fn allow_secrets(&self, ingresses: &[String], default: &str) {
        let documents: Vec<_> = ingresses
            .iter()
            .map(|text| {
                let mut ingress: Value = serde_json::from_str(text).expect("an Ingress");
                ingress["metadata"]["namespace"] = json!(self.name);
                ingress.to_string()
            })
            .collect();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let manifests = folder.path().join("all.yaml");
        fs::write(&manifests, documents.join("\n---\n")).expect("manifests are written");
        let output = Command::new(ingressctl())
            .args(["rbac", "-o", "json", "--gateway-namespace", &self.name])
            .args(["--namespace", &self.name, "--default-certificate", default, "-f"])
            .arg(&manifests)
            .arg("-f")
            .arg(workspace().join("config/deploy/ingress-class.yaml"))
            .output()
            .expect("ingressctl runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let printed: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        // Every gateway in these tests already has the other permissions.
        let of_secrets = |item: &&Value| item["metadata"]["name"] == "istio-ingress-certificates";
        let items: Vec<_> = printed["items"].as_array().into_iter().flatten().collect();
        let items: Vec<_> = items.into_iter().filter(of_secrets).collect();
        assert_eq!(items.len(), 2, "a Role and its binding: {printed}");
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
        self.kubectl.apply(&list.to_string());
    }

    /// A token of a service account in this namespace.
    fn token(&self, account: &str) -> String {
        let path = format!("/api/v1/namespaces/{}/serviceaccounts/{account}/token", self.name);
        let request =
            json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
        let answer =
            self.kubectl.run_with(&["create", "--raw", &path, "-f", "-"], &request.to_string());
        let answer: Value = serde_json::from_str(&answer.expect("a token")).expect("JSON");
        answer["status"]["token"].as_str().expect("a token").to_owned()
    }
}

impl Deref for Namespace<'_> {
    type Target = Kubectl;

    fn deref(&self) -> &Kubectl {
        &self.kubectl
    }
}
