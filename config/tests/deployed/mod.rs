//! The manifests in `config/deploy`, and whether today's Kubernetes knows all their fields.

#![allow(dead_code, reason = "each test uses what it needs")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v1::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::{IngressClass, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub(crate) const FOLDER: &str = "deploy";

/// The resources that the kustomization names.
pub(crate) fn files() -> BTreeSet<String> {
    let text = fs::read_to_string(Path::new(FOLDER).join("kustomization.yaml")).unwrap();
    let kustomization: Value = serde_saphyr::from_str(&text).unwrap();
    let resources = kustomization["resources"].as_array().unwrap().iter();
    resources.map(|name| name.as_str().unwrap().to_owned()).collect()
}

pub(crate) fn objects() -> Vec<Value> {
    let mut objects = Vec::new();
    for file in files() {
        let text = fs::read_to_string(Path::new(FOLDER).join(&file)).unwrap();
        for document in text.split("\n---\n") {
            objects
                .push(serde_saphyr::from_str(document).unwrap_or_else(|e| panic!("{file}: {e}")));
        }
    }
    objects
}

/// The first field of an object that today's Kubernetes does not know.
///
/// # Panics
/// If it does not know the kind.
pub(crate) fn lost_field(object: &Value) -> Option<String> {
    let version = object["apiVersion"].as_str().unwrap();
    let known = match (version, object["kind"].as_str().unwrap()) {
        ("v1", "Namespace") => as_known::<Namespace>(object),
        ("v1", "ServiceAccount") => as_known::<ServiceAccount>(object),
        ("v1", "ConfigMap") => as_known::<ConfigMap>(object),
        ("v1", "Service") => as_known::<Service>(object),
        ("apps/v1", "Deployment") => as_known::<Deployment>(object),
        ("autoscaling/v1", "HorizontalPodAutoscaler") => {
            as_known::<HorizontalPodAutoscaler>(object)
        }
        ("policy/v1", "PodDisruptionBudget") => as_known::<PodDisruptionBudget>(object),
        ("networking.k8s.io/v1", "NetworkPolicy") => as_known::<NetworkPolicy>(object),
        ("networking.k8s.io/v1", "IngressClass") => as_known::<IngressClass>(object),
        ("scheduling.k8s.io/v1", "PriorityClass") => as_known::<PriorityClass>(object),
        ("rbac.authorization.k8s.io/v1", "ClusterRole") => as_known::<ClusterRole>(object),
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding") => {
            as_known::<ClusterRoleBinding>(object)
        }
        ("rbac.authorization.k8s.io/v1", "Role") => as_known::<Role>(object),
        ("rbac.authorization.k8s.io/v1", "RoleBinding") => as_known::<RoleBinding>(object),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition") => {
            as_known::<CustomResourceDefinition>(object)
        }
        other => panic!("{other:?} is not a known kind"),
    };
    first_difference("", &known, object)
}

/// A field that is unknown, or has another type, is lost.
fn as_known<T: DeserializeOwned + Serialize>(object: &Value) -> Value {
    let typed: T =
        serde_json::from_value(object.clone()).unwrap_or_else(|e| panic!("{e}: {object}"));
    serde_json::to_value(typed).unwrap()
}

/// The first field that differs.
fn first_difference(path: &str, one: &Value, other: &Value) -> Option<String> {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let names: BTreeSet<_> = one.keys().chain(other.keys()).collect();
            names.into_iter().find_map(|name| {
                let of = |map: &serde_json::Map<_, Value>| map.get(name).cloned();
                let (one, other) = (of(one).unwrap_or_default(), of(other).unwrap_or_default());
                first_difference(&format!("{path}.{name}"), &one, &other)
            })
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            let mut items = one.iter().zip(other).enumerate();
            items.find_map(|(at, (one, other))| {
                first_difference(&format!("{path}[{at}]"), one, other)
            })
        }
        // 599.0 and 599 are equal.
        (Value::Number(one), Value::Number(other)) if one.as_f64() == other.as_f64() => None,
        _ => (one != other).then(|| path.to_owned()),
    }
}
