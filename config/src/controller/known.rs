//! Objects of the API, as far as they matter here.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::{ApiResource, DynamicObject, PartialObjectMeta};
use serde_json::{Map, Value as Json, json};

use super::kinds::Kind;
use super::status::is_published_by;
use crate::manifest::{Kept, Names, Node, Object};

/// One object.
#[derive(Debug)]
pub(super) struct Known {
    /// What decides how it is served.
    pub(super) object: Object,
    pub(super) uid: String,
    pub(super) resource_version: String,
    /// Of an Ingress: `status.loadBalancer.ingress`.
    pub(super) published: Vec<Json>,
    /// Whether our field manager owns that, as `metadata.managedFields` has it:
    /// see [`is_published_by`].
    pub(super) is_published_by_us: bool,
}

impl Known {
    /// One of which no more is known than what decides how it is served.
    #[cfg(test)]
    pub(super) fn of_object(object: Object) -> std::sync::Arc<Self> {
        std::sync::Arc::new(Self {
            object,
            uid: String::new(),
            resource_version: String::new(),
            published: Vec::new(),
            is_published_by_us: false,
        })
    }

    /// Whether another state of the same object is served alike.
    pub(super) fn is_served_like(&self, other: &Self) -> bool {
        self.object.node == other.object.node
            && self.object.labels == other.object.labels
            && self.object.creation_timestamp == other.object.creation_timestamp
    }
}

/// Turns what the API gives into [`Known`] objects.
pub(super) struct Reader {
    kind: Kind,
    resource: ApiResource,
    /// The name under which we write.
    manager: String,
    names: Names,
}

impl Reader {
    pub(super) fn new(kind: Kind, resource: ApiResource, manager: String) -> Self {
        Self { kind, resource, manager, names: Names::default() }
    }

    pub(super) fn resource(&self) -> &ApiResource {
        &self.resource
    }

    pub(super) fn read(&mut self, object: DynamicObject) -> Known {
        let mut fields = match object.data {
            Json::Object(fields) => fields,
            _ => Map::new(),
        };
        let status = fields.remove("status");
        self.known(object.metadata, fields, status)
    }

    pub(super) fn read_metadata(&mut self, object: PartialObjectMeta<DynamicObject>) -> Known {
        self.known(object.metadata, Map::new(), None)
    }

    fn known(
        &mut self,
        metadata: ObjectMeta,
        mut fields: Map<String, Json>,
        status: Option<Json>,
    ) -> Known {
        let ObjectMeta { name, namespace, labels, annotations, .. } = metadata;
        let (name, namespace) = (name.unwrap_or_default(), namespace.unwrap_or_default());
        let creation_timestamp = metadata.creation_timestamp.map(|time| time.0.to_string());
        let mut described = json!({ "name": name, "namespace": namespace });
        // Those of the others say nothing to us, and some change all the time.
        if matches!(self.kind, Kind::Ingress | Kind::IngressClass | Kind::RouteRule) {
            described["annotations"] = json!(annotations);
        }
        fields.insert("apiVersion".into(), self.resource.api_version.clone().into());
        fields.insert("kind".into(), self.resource.kind.clone().into());
        fields.insert("metadata".into(), described);
        let is_ingress = self.kind == Kind::Ingress;
        let published = status.filter(|_| is_ingress).and_then(published).unwrap_or_default();
        let managers = metadata.managed_fields.unwrap_or_default();
        Known {
            object: Object {
                file: None,
                api_version: self.resource.api_version.as_str().into(),
                kind: self.resource.kind.as_str().into(),
                name: name.into(),
                namespace: namespace.into(),
                creation_timestamp: creation_timestamp.map(Into::into),
                labels: labels
                    .unwrap_or_default()
                    .into_iter()
                    .map(|(key, value)| (key.into(), value.into()))
                    .collect(),
                node: Node::from_json(Json::Object(fields), &mut self.names),
                kept: Kept::default(),
            },
            uid: metadata.uid.unwrap_or_default(),
            resource_version: metadata.resource_version.unwrap_or_default(),
            is_published_by_us: !published.is_empty() && is_published_by(&managers, &self.manager),
            published,
        }
    }
}

fn published(mut status: Json) -> Option<Vec<Json>> {
    match status.pointer_mut("/loadBalancer/ingress")?.take() {
        Json::Array(addresses) => Some(addresses),
        _ => None,
    }
}
