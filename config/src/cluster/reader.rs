//! Converts objects of the API to the form of manifests.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::{ApiResource, DynamicObject};
use serde_json::{Map, Value as Json, json};

use super::kinds::Kind;
use crate::manifest::{Kept, Names, Node, Object};
use crate::objects::ANNOTATION_PREFIX;

/// The keys of a Secret that are used; all others are discarded.
const KEYS: [&str; 3] = ["tls.crt", "tls.key", "ca.crt"];

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
        // Other annotations are not used, and some change all the time.
        if matches!(self.kind, Kind::Ingress | Kind::IngressClass | Kind::RouteRule) {
            described["annotations"] = json!(annotations);
        } else if self.kind == Kind::Service {
            let mut own = annotations.unwrap_or_default();
            own.retain(|name, _| name.starts_with(ANNOTATION_PREFIX));
            if !own.is_empty() {
                described["annotations"] = json!(own);
            }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn read(kind: Kind, fields: Json) -> Object {
        let annotations = ["ingressctl/upstream-verify", "deployment/revision"];
        let annotations = annotations.map(|name| (name.to_owned(), "true".to_owned()));
        let annotations = Some(BTreeMap::from(annotations));
        let metadata = ObjectMeta { annotations, ..ObjectMeta::default() };
        let Json::Object(fields) = fields else { panic!("a mapping") };
        Reader::new(kind, kind.resource()).read(metadata, fields)
    }

    #[test]
    fn only_what_is_used_is_kept() {
        let keys = |node: Option<&Node>| -> Vec<String> {
            let entries = node.map(Node::entries).unwrap_or_default();
            entries.iter().map(|(key, _)| key.name.to_string()).collect()
        };
        let service = read(Kind::Service, json!({}));
        assert_eq!(keys(service.annotations()), ["ingressctl/upstream-verify"]);
        assert_eq!(keys(read(Kind::Endpoints, json!({})).annotations()), [""; 0]);
        let data = json!({"data": {"tls.crt": "", "tls.key": "", "ca.crt": "", "token": ""}});
        let mut kept = keys(read(Kind::Secret, data).node.get("data"));
        kept.sort();
        assert_eq!(kept, ["ca.crt", "tls.crt", "tls.key"]);
    }
}
