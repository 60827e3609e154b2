//! The API server, and the credentials for it.

use std::path::PathBuf;

use anyhow::Context;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Resource};

/// The kubeconfig file and its context; by default the same as for kubectl.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access {
    pub(crate) kubeconfig: Option<PathBuf>,
    pub(crate) context: Option<String>,
}

impl Access {
    /// The API server and the credentials for it.
    ///
    /// # Errors
    /// If there are no credentials.
    pub(crate) async fn config(&self) -> anyhow::Result<Config> {
        let config = match &self.kubeconfig {
            Some(path) => self.choose(Kubeconfig::read_from(path)).await,
            None if self.context.is_some() => self.choose(Kubeconfig::read()).await,
            None => Config::infer().await.map_err(anyhow::Error::from),
        };
        config.context(
            "no credentials for a Kubernetes API were found; name a kubeconfig file with \
             --kubeconfig, or run this in a pod with a service account",
        )
    }

    async fn choose(
        &self,
        read: Result<Kubeconfig, kube::config::KubeconfigError>,
    ) -> anyhow::Result<Config> {
        let choice =
            KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
        Ok(Config::from_custom_kubeconfig(read?, &choice).await?)
    }
}

/// The API of one kind, in a namespace or in all namespaces.
pub(crate) fn api<K>(client: &Client, namespace: Option<&str>, resource: &K::DynamicType) -> Api<K>
where
    K: Resource<Scope = kube::core::DynamicResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, resource),
        None => Api::all_with(client.clone(), resource),
    }
}
