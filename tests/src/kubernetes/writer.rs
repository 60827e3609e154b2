//! Writes objects as fast as the API accepts them: kubectl would need a process for
//! each.

use std::path::Path;

use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use serde_json::Value;
use tokio::runtime::Runtime;

use super::namespace::Namespace;

/// A client that writes into one namespace, as a user with all permissions.
pub struct Writer {
    runtime: Runtime,
    client: Client,
    namespace: String,
}

impl Writer {
    /// A client for a namespace.
    ///
    /// # Panics
    /// If it has no credentials.
    pub fn new(namespace: &Namespace<'_>) -> Self {
        let runtime = runtime();
        let client = runtime.block_on(connect(&namespace.api.kubeconfig()));
        Self { runtime, client, namespace: namespace.name.clone() }
    }

    /// Creates or updates an object. The plural of its kind must end in `s`.
    ///
    /// # Panics
    /// If the API rejects the request.
    #[track_caller]
    pub fn apply(&self, object: &Value) {
        if let Err(error) = self.try_apply(object) {
            panic!("{object}: {error}");
        }
    }

    /// As [`Self::apply`], if the API may be unavailable.
    ///
    /// # Errors
    /// If it is unavailable, or rejects the request.
    pub fn try_apply(&self, object: &Value) -> Result<(), kube::Error> {
        // Server-side apply: one request, whether the object exists or not.
        let uri = self.path(object) + "?fieldManager=writer&force=true";
        self.send("PATCH", uri, Some("application/apply-patch+yaml"), object.to_string())
    }

    /// Deletes an object.
    ///
    /// # Panics
    /// If the API rejects the request.
    #[track_caller]
    pub fn delete(&self, object: &Value) {
        let deleted = self.send("DELETE", self.path(object), None, String::new());
        deleted.unwrap_or_else(|error| panic!("{object}: {error}"));
    }

    /// Sends any request to a path of the API.
    ///
    /// # Errors
    /// If the API is unavailable, or rejects the request.
    ///
    /// # Panics
    /// If the request is not valid.
    pub fn send(
        &self,
        method: &str,
        uri: String,
        content_type: Option<&str>,
        body: String,
    ) -> Result<(), kube::Error> {
        let mut request = hyper::Request::builder().method(method).uri(uri);
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let request = request.body(body.into_bytes()).expect("a request");
        self.runtime.block_on(self.client.request_text(request)).map(drop)
    }

    /// The path of an object.
    fn path(&self, object: &Value) -> String {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let version = text(&object["apiVersion"]);
        let root = if version.contains('/') { "apis" } else { "api" };
        let kind = text(&object["kind"]).to_lowercase();
        let plural = if kind.ends_with('s') { kind + "es" } else { kind + "s" };
        let (namespace, name) = (&self.namespace, text(&object["metadata"]["name"]));
        format!("/{root}/{version}/namespaces/{namespace}/{plural}/{name}")
    }
}

pub(super) fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().expect("a runtime")
}

/// A client with this kubeconfig file; must be called in a runtime.
pub(super) async fn connect(kubeconfig: &Path) -> Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig file");
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    Client::try_from(config.expect("a complete kubeconfig")).expect("a client")
}
