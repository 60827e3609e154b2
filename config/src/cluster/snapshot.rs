//! Reads the objects of a cluster once, for commands with `--live`.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::api::ListParams;
use kube::core::{ApiResource, DynamicObject, ObjectList, PartialObjectMeta};
use serde_json::{Map, json};

use super::access::{Access, api};
use super::failure::{Failure, ask_within};
use super::kinds::{Kind, Watched, discover};
use super::reader::{Reader, fields};
use crate::compile::{UnreadableSecret, UnreadableSecrets};
use crate::finding::{Code, Finding, quote};
use crate::manifest::{Manifests, Object};
use crate::object_ref::ObjectRef;
use crate::objects::ObjectName;
use crate::selection::secrets_wanted;
use crate::settings::Settings;

/// The number of objects per page of a list.
const PAGE: u32 = 500;

/// The number of Secrets that are requested at the same time.
const SECRETS_AT_ONCE: usize = 16;

/// The timeout of a response; a page of a large cluster has some MiB.
const PATIENCE: Duration = Duration::from_secs(30);

/// The objects of a cluster.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) manifests: Manifests,
    pub(crate) unreadable: UnreadableSecrets,
}

/// A client of a cluster, outside of it.
pub(crate) struct Cluster {
    client: Client,
    server: String,
}

impl Cluster {
    /// Creates a client for the cluster of these credentials.
    ///
    /// # Errors
    /// If there are no credentials.
    pub(crate) async fn connect(access: &Access) -> anyhow::Result<Self> {
        let config = access.config().await?;
        let server = config.cluster_url.to_string();
        Ok(Self { client: Client::try_from(config)?, server })
    }

    /// The URL of its API server.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// The objects of the cluster as if `manifests` had been applied to it, in these
    /// namespaces or, if the list is empty, in all. Of Secrets, only those that are used.
    ///
    /// # Errors
    /// If the API server cannot be reached, or objects that are needed cannot be read.
    pub(crate) async fn complete(
        &self,
        mut manifests: Manifests,
        namespaces: &[String],
        settings: &Settings,
    ) -> anyhow::Result<Snapshot> {
        let applied: HashSet<_> = manifests.objects().map(Object::reference).collect();
        let has_classes = applied.iter().any(|it| &*it.kind == Kind::IngressClass.name());
        for Watched { kind, resource } in self.discover().await? {
            for namespace in kind.scopes(namespaces) {
                match list(&self.client, namespace, kind, &resource).await {
                    Ok(listed) => {
                        let listed = listed.into_iter();
                        let others = listed.filter(|it| !applied.contains(&it.reference()));
                        manifests.objects.extend(others.map(Arc::new));
                    }
                    Err(Failure::Gone) if kind.is_optional() => {}
                    Err(Failure::Forbidden(_)) if kind == Kind::IngressClass && has_classes => {}
                    Err(Failure::Forbidden(reason)) if kind == Kind::IngressClass => {
                        let class = usual_class(Reader::new(kind, resource.clone()), settings);
                        manifests.findings.push(without_classes(&class, &reason));
                        manifests.objects.push(Arc::new(class));
                    }
                    Err(failure) => return Err(self.describe(kind, &failure)),
                }
            }
        }
        let unreadable = self.add_secrets(&mut manifests, &applied, settings).await?;
        Ok(Snapshot { manifests, unreadable })
    }

    async fn discover(&self) -> anyhow::Result<Vec<Watched>> {
        let server = &self.server;
        match tokio::time::timeout(PATIENCE, discover(&self.client)).await {
            Ok(kinds) => kinds.with_context(|| format!("cannot read the API of {server}")),
            Err(_) => bail!("cannot read the API of {server}: no response within {PATIENCE:?}"),
        }
    }

    /// Adds the Secrets that are used. Returns those that may not be read.
    async fn add_secrets(
        &self,
        manifests: &mut Manifests,
        applied: &HashSet<ObjectRef>,
        settings: &Settings,
    ) -> anyhow::Result<UnreadableSecrets> {
        let wanted = secrets_wanted(manifests.objects(), settings).value;
        let is_applied = |name: &ObjectName| {
            let (kind, namespace) = (Kind::Secret.name().into(), name.namespace().into());
            applied.contains(&ObjectRef { kind, namespace, name: name.name().into() })
        };
        let others = wanted.into_iter().filter(|name| !is_applied(name));
        let answers: Vec<_> = stream::iter(others)
            .map(|name| secret(&self.client, name))
            .buffered(SECRETS_AT_ONCE)
            .try_collect()
            .await
            .map_err(|failure| self.describe(Kind::Secret, &failure))?;
        let mut unreadable = UnreadableSecrets::new();
        for (name, answer) in answers {
            match answer {
                Secret::Read(object) => manifests.objects.push(Arc::new(*object)),
                Secret::Missing => {}
                Secret::Hidden => {
                    unreadable.insert(name, UnreadableSecret::Hidden);
                }
            }
        }
        Ok(unreadable)
    }

    fn describe(&self, kind: Kind, failure: &Failure) -> anyhow::Error {
        match failure {
            Failure::Forbidden(reason) => anyhow!(
                "cannot list {kind} objects: {reason}; use other credentials, or name the \
                 namespaces that these may read with --namespace"
            ),
            failure => anyhow!("cannot read {kind} objects from {}: {failure}", self.server),
        }
    }
}

/// The `IngressClass` that is assumed for a gateway with these settings.
pub(super) fn usual_class(mut reader: Reader, settings: &Settings) -> Object {
    let metadata =
        ObjectMeta { name: Some(settings.ingress_class.clone()), ..ObjectMeta::default() };
    let spec = json!({"controller": settings.controller_name});
    reader.read(metadata, Map::from_iter([("spec".into(), spec)]))
}

pub(super) fn without_classes(class: &Object, reason: &str) -> Finding {
    let message = format!(
        "IngressClasses cannot be listed with these credentials ({reason}), so {} is assumed to be \
         the only one of this gateway; allow these credentials to list them, or add them with -f",
        quote(&class.name)
    );
    Finding::new(Code::IngressClassesNotShown, message)
}

async fn list(
    client: &Client,
    namespace: Option<&str>,
    kind: Kind,
    resource: &ApiResource,
) -> Result<Vec<Object>, Failure> {
    let mut reader = Reader::new(kind, resource.clone());
    let api = api::<DynamicObject>(client, namespace, resource);
    if kind.is_metadata_only() {
        let read = |object: PartialObjectMeta<_>| reader.read(object.metadata, Map::new());
        pages(async |page| api.list_metadata(page).await, read).await
    } else {
        let read = |object| {
            let (metadata, fields) = fields(object);
            reader.read(metadata, fields)
        };
        pages(async |page| api.list(page).await, read).await
    }
}

/// Reads all pages of a list. If the continue token expires meanwhile, the whole list is
/// read again.
async fn pages<K: Clone>(
    ask: impl AsyncFn(&ListParams) -> kube::Result<ObjectList<K>>,
    mut read: impl FnMut(K) -> Object,
) -> Result<Vec<Object>, Failure> {
    let mut objects = Vec::new();
    let mut parameters = ListParams::default().limit(PAGE);
    loop {
        let ObjectList { metadata, items, .. } = match ask_within(PATIENCE, ask(&parameters)).await
        {
            Err(Failure::Gone) if parameters.continue_token.is_some() => {
                objects.clear();
                parameters = ListParams::default();
                continue;
            }
            answer => answer?,
        };
        objects.extend(items.into_iter().map(&mut read));
        parameters.continue_token = metadata.continue_.filter(|token| !token.is_empty());
        if parameters.continue_token.is_none() {
            return Ok(objects);
        }
    }
}

enum Secret {
    Read(Box<Object>),
    Missing,
    Hidden,
}

async fn secret(client: &Client, name: ObjectName) -> Result<(ObjectName, Secret), Failure> {
    let resource = Kind::Secret.resource();
    let api = api::<DynamicObject>(client, Some(name.namespace()), &resource);
    let answer = match ask_within(PATIENCE, api.get(name.name())).await {
        Ok(object) => {
            let (metadata, fields) = fields(object);
            let object = Reader::new(Kind::Secret, resource).read(metadata, fields);
            Secret::Read(Box::new(object))
        }
        Err(Failure::Gone) => Secret::Missing,
        Err(Failure::Forbidden(_)) => Secret::Hidden,
        Err(failure) => return Err(failure),
    };
    Ok((name, answer))
}
