//! Converts objects of the API to the form of manifests.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::{ApiResource, DynamicObject};
use serde_json::{Map, Value as Json, json};

use super::kinds::Kind;
use crate::manifest::{Kept, Names, Node, Object};

/// The keys of a Secret that are used; all others are discarded.
const KEYS: [&str; 2] = ["tls.crt", "tls.key"];

/// Reads the objects of one kind.
pub(crate) struct Reader {
    kind: Kind,
    resource: ApiResource,
    names: Names,
}

impl Reader {
    pub(crate) fn new(kind: Kind, resource: ApiResource) -> Self {
        Self { kind, resource, names: Names::default() }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn resource(&self) -> &ApiResource {
        &self.resource
    }

    /// Converts an object with these metadata and other fields.
    pub(crate) fn read(&mut self, metadata: ObjectMeta, mut fields: Map<String, Json>) -> Object {
        let ObjectMeta { name, namespace, labels, annotations, .. } = metadata;
        let (name, namespace) = (name.unwrap_or_default(), namespace.unwrap_or_default());
        let creation_timestamp = metadata.creation_timestamp.map(|time| time.0.to_string());
        let mut described = json!({ "name": name, "namespace": namespace });
        // Annotations of other kinds are not used, and some change all the time.
        if matches!(self.kind, Kind::Ingress | Kind::IngressClass | Kind::RouteRule) {
            described["annotations"] = json!(annotations);
        }
        if self.kind == Kind::Secret {
            reduce(&mut fields);
        }
        fields.insert("apiVersion".into(), self.resource.api_version.clone().into());
        fields.insert("kind".into(), self.resource.kind.clone().into());
        fields.insert("metadata".into(), described);
        Object {
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
        }
    }
}

fn reduce(secret: &mut Map<String, Json>) {
    if let Some(data) = secret.get_mut("data").and_then(Json::as_object_mut) {
        data.retain(|key, _| KEYS.contains(&&**key));
    }
}

/// Splits an object into its metadata and its other fields.
pub(crate) fn fields(object: DynamicObject) -> (ObjectMeta, Map<String, Json>) {
    let fields = match object.data {
        Json::Object(fields) => fields,
        _ => Map::new(),
    };
    (object.metadata, fields)
}
