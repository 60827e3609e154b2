//! Objects of the API, reduced to the fields that are used.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::{ApiResource, DynamicObject, PartialObjectMeta};
use serde_json::{Map, Value as Json};

use super::status::is_published_by;
use crate::cluster::{Kind, Reader, fields};
use crate::manifest::Object;

/// One object.
#[derive(Debug)]
pub(super) struct Known {
    /// The fields that affect how it is served.
    pub(super) object: Object,
    pub(super) uid: String,
    pub(super) resource_version: String,
    /// `status.loadBalancer.ingress` of an Ingress.
    pub(super) published: Vec<Json>,
    /// Whether this controller's field manager owns it by `metadata.managedFields`:
    /// see [`is_published_by`].
    pub(super) is_published_by_us: bool,
}

impl Known {
    /// An object with only the fields that affect how it is served.
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

    /// Whether another state of the same object is served in the same way.
    pub(super) fn is_served_like(&self, other: &Self) -> bool {
        self.object.node == other.object.node
            && self.object.labels == other.object.labels
            && self.object.creation_timestamp == other.object.creation_timestamp
    }
}

/// Converts objects of the API to [`Known`] ones.
pub(super) struct KnownReader {
    reader: Reader,
    /// The name of this controller's field manager.
    manager: String,
}

impl KnownReader {
    pub(super) fn new(kind: Kind, resource: ApiResource, manager: String) -> Self {
        Self { reader: Reader::new(kind, resource), manager }
    }

    pub(super) fn resource(&self) -> &ApiResource {
        self.reader.resource()
    }

    pub(super) fn read(&mut self, object: DynamicObject) -> Known {
        let (metadata, mut fields) = fields(object);
        let status = fields.remove("status");
        self.known(metadata, fields, status)
    }

    pub(super) fn read_metadata(&mut self, object: PartialObjectMeta<DynamicObject>) -> Known {
        self.known(object.metadata, Map::new(), None)
    }

    fn known(
        &mut self,
        mut metadata: ObjectMeta,
        fields: Map<String, Json>,
        status: Option<Json>,
    ) -> Known {
        let is_ingress = self.reader.kind() == Kind::Ingress;
        let published = status.filter(|_| is_ingress).and_then(published).unwrap_or_default();
        let managers = metadata.managed_fields.take().unwrap_or_default();
        Known {
            uid: metadata.uid.take().unwrap_or_default(),
            resource_version: metadata.resource_version.take().unwrap_or_default(),
            is_published_by_us: !published.is_empty() && is_published_by(&managers, &self.manager),
            published,
            object: self.reader.read(metadata, fields),
        }
    }
}

fn published(mut status: Json) -> Option<Vec<Json>> {
    match status.pointer_mut("/loadBalancer/ingress")?.take() {
        Json::Array(addresses) => Some(addresses),
        _ => None,
    }
}
