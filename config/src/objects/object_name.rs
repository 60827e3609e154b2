//! The names of objects in settings and manifests.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{is_dns_label, is_object_name};
use crate::finding::quote;

/// An object in a namespace, written as `NAMESPACE/NAME`. Kubernetes accepts both names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectName {
    namespace: String,
    name: String,
}

impl ObjectName {
    /// `None` if one of the two is not valid.
    pub fn new(namespace: &str, name: &str) -> Option<Self> {
        (is_dns_label(namespace) && is_object_name(name))
            .then(|| Self { namespace: namespace.into(), name: name.into() })
    }

    /// The Secret that Istio 0.5 used for TLS.
    pub(crate) fn default_certificate() -> Self {
        Self { namespace: "istio-system".into(), name: "istio-ingress-certs".into() }
    }

    /// Its namespace, a DNS label.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Its name, a DNS subdomain.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The text is not the name of an object in a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{} is not of the form NAMESPACE/NAME; write it as in istio-system/istio-ingress-certs", quote(.0))]
pub struct ObjectNameError(String);

impl FromStr for ObjectName {
    type Err = ObjectNameError;

    fn from_str(text: &str) -> Result<Self, ObjectNameError> {
        let parts = text.split_once('/');
        let name = parts.and_then(|(namespace, name)| Self::new(namespace, name));
        name.ok_or_else(|| ObjectNameError(text.into()))
    }
}

impl TryFrom<String> for ObjectName {
    type Error = ObjectNameError;

    fn try_from(text: String) -> Result<Self, ObjectNameError> {
        text.parse()
    }
}

impl From<ObjectName> for String {
    fn from(object: ObjectName) -> Self {
        object.to_string()
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_has_a_namespace_and_a_name() {
        let object: ObjectName = "edge/certs.example".parse().unwrap();
        assert_eq!((object.namespace(), object.name()), ("edge", "certs.example"));
        assert_eq!(String::from(object), "edge/certs.example");
        for bad in ["", "certs", "/certs", "edge/", "a.b/certs", "edge/a/b", "edge/A"] {
            assert!(bad.parse::<ObjectName>().is_err(), "{bad}");
        }
    }
}
