//! Writes objects as fast as the API takes them: kubectl is a process for each.

use std::path::Path;

use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use serde_json::Value;
use tokio::runtime::Runtime;

use super::namespace::Namespace;

/// A client that writes into one namespace, as a user who may do everything.
pub struct Writer {
    runtime: Runtime,
    client: Client,
    namespace: String,
}

impl Writer {
    /// For a namespace.
    ///
    /// # Panics
    /// Where it has no credentials.
    pub fn new(namespace: &Namespace<'_>) -> Self {
        let runtime = runtime();
        let client = runtime.block_on(connect(&namespace.api.kubeconfig()));
        Self { runtime, client, namespace: namespace.name.clone() }
    }

    /// Creates an object, or makes it so. Its kind has to have a plural with
    /// an `s` at its end.
    ///
    /// # Panics
    /// Where the API refuses.
    #[track_caller]
    pub fn apply(&self, object: &Value) {
        if let Err(error) = self.try_apply(object) {
            panic!("{object}: {error}");
        }
    }

    /// As [`Self::apply`], where the API may be away.
    ///
    /// # Errors
    /// Where it is, or refuses.
    pub fn try_apply(&self, object: &Value) -> Result<(), kube::Error> {
        // Server-side apply: one request, whether there is one already or not.
        let uri = self.path(object) + "?fieldManager=writer&force=true";
        self.send("PATCH", uri, Some("application/apply-patch+yaml"), object.to_string())
    }

    /// Deletes an object.
    ///
    /// # Panics
    /// Where the API refuses.
    #[track_caller]
    pub fn delete(&self, object: &Value) {
        let deleted = self.send("DELETE", self.path(object), None, String::new());
        deleted.unwrap_or_else(|error| panic!("{object}: {error}"));
    }

    /// Sends a request of any kind to a path of the API.
    ///
    /// # Errors
    /// Where the API is away, or refuses.
    ///
    /// # Panics
    /// Where this is not a request.
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

    /// Where an object is.
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

/// A client with this kubeconfig file; to be called in a runtime.
pub(super) async fn connect(kubeconfig: &Path) -> Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig file");
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    Client::try_from(config.expect("a whole kubeconfig")).expect("a client")
}
