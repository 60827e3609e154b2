//! The permissions that a gateway needs for certain manifests, and no others, as RBAC
//! objects (<https://kubernetes.io/docs/reference/access-authn-authz/rbac/>).
//!
//! Secrets are named one by one, because an account that may read all Secrets has the
//! permissions of every service account whose token is in one.

mod secrets;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{
    ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use serde_json::json;

use crate::settings::{Gateway, Settings};

pub(crate) use secrets::{Secrets, named_secrets};
pub(crate) use text::{to_json, to_yaml};

/// An object, and the reason for it in one line.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) why: String,
    pub(crate) object: Object,
}

/// An object of one of the kinds of RBAC.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Object {
    ServiceAccount(ServiceAccount),
    ClusterRole(ClusterRole),
    ClusterRoleBinding(ClusterRoleBinding),
    Role(Role),
    RoleBinding(RoleBinding),
}

const READ: &[&str] = &["get", "list", "watch"];

/// Finds the Events of earlier controllers, and writes Events.
const ON_EVENTS: &[&str] = &["list", "create", "patch", "delete"];

/// The API groups of Ingresses: the current one, and that of old clusters.
const INGRESS_GROUPS: &[&str] = &["networking.k8s.io", "extensions"];

/// The objects for a controller that watches `namespaces`, or all if the list is empty, and
/// serves Ingresses that name these `secrets`.
pub(crate) fn grants(settings: &Settings, namespaces: &[String], secrets: &Secrets) -> Vec<Grant> {
    let who = Who { gateway: &settings.gateway };
    let mut grants = vec![Grant {
        why: "What the pods of the gateway run as.".into(),
        object: Object::ServiceAccount(ServiceAccount {
            metadata: metadata(&who.account(), Some(&who.gateway.namespace)),
            ..ServiceAccount::default()
        }),
    }];
    let mut rules = BTreeMap::from([(&*who.gateway.namespace, lease_rules(who.gateway))]);
    let mut why = BTreeMap::from([(
        &*who.gateway.namespace,
        "Its pods agree by a Lease on which of them writes to the API.",
    )]);
    if namespaces.is_empty() {
        let rules = [class_rules(), watch_rules(), report_rules()].concat();
        grants.extend(who.cluster_wide(
            "In all namespaces: read the objects that define routes, and report on them in status and Events.",
            rules,
        ));
    } else {
        grants.extend(who.cluster_wide(
            "Outside its namespaces: read IngressClasses, which have no namespace.",
            class_rules(),
        ));
        for namespace in namespaces.iter().collect::<BTreeSet<_>>() {
            let is_of_gateway = *namespace == who.gateway.namespace;
            why.insert(namespace, if is_of_gateway { WHY_BOTH } else { WHY_WATCHED });
            let rules = rules.entry(namespace).or_default();
            *rules = [watch_rules(), report_rules(), std::mem::take(rules)].concat();
        }
        if !namespaces.contains(&who.gateway.namespace) {
            why.insert(&who.gateway.namespace, WHY_APART);
            rules.entry(&who.gateway.namespace).or_default().push(own_service(who.gateway));
        }
    }
    for (namespace, rules) in rules {
        grants.extend(who.within(namespace, &who.gateway.name, why[namespace], rules));
    }
    for (namespace, names) in &secrets.by_namespace {
        let name = certificates_role_name(who.gateway);
        let why = "The Secrets that are used for TLS, each by its name.";
        grants.extend(who.within(namespace, &name, why, vec![secret_rule(names)]));
    }
    grants
}

/// The Role that lets a gateway read these Secrets, as one line of JSON.
pub(crate) fn role_for_secrets(
    gateway: &Gateway,
    namespace: &str,
    names: &BTreeSet<String>,
) -> String {
    one_line_role(&certificates_role_name(gateway), namespace, names)
}

/// The same for one Secret, in addition to the Role for others.
pub(crate) fn role_for_secret(gateway: &Gateway, namespace: &str, name: &str) -> String {
    let role_name = format!("{}-certificate-{name}", gateway.name);
    one_line_role(&role_name, namespace, &BTreeSet::from([name.to_owned()]))
}

fn one_line_role(role_name: &str, namespace: &str, secrets: &BTreeSet<String>) -> String {
    let role = Role {
        metadata: metadata(role_name, Some(namespace)),
        rules: Some(vec![secret_rule(secrets)]),
    };
    json!(role).to_string()
}

fn certificates_role_name(gateway: &Gateway) -> String {
    format!("{}-certificates", gateway.name)
}

const WHY_WATCHED: &str =
    "Here: read the objects that define routes, and report on them in status and Events.";
const WHY_BOTH: &str =
    "Here: the same; its pods also agree by a Lease on which of them writes to the API.";
const WHY_APART: &str = "Its pods agree by a Lease on which of them writes to the API, and publish the address of its Service.";

fn class_rules() -> Vec<PolicyRule> {
    vec![rule(&["networking.k8s.io"], &["ingressclasses"], READ)]
}

/// The objects that define routes.
fn watch_rules() -> Vec<PolicyRule> {
    vec![
        rule(INGRESS_GROUPS, &["ingresses"], READ),
        rule(&["config.istio.io"], &["routerules"], READ),
        rule(&[""], &["services", "endpoints", "pods"], READ),
        rule(&["discovery.k8s.io"], &["endpointslices"], READ),
    ]
}

/// Writes the status of Ingresses, and Events.
fn report_rules() -> Vec<PolicyRule> {
    vec![
        rule(INGRESS_GROUPS, &["ingresses/status"], &["patch"]),
        rule(&[""], &["events"], ON_EVENTS),
    ]
}

/// `create` cannot be limited to a name.
fn lease_rules(gateway: &Gateway) -> Vec<PolicyRule> {
    let leases = |verbs| rule(&["coordination.k8s.io"], &["leases"], verbs);
    vec![leases(&["create"]), of_names(leases(&["get", "update", "patch"]), [&*gateway.name])]
}

/// Reads the Service of `--publish-service`.
fn own_service(gateway: &Gateway) -> PolicyRule {
    of_names(rule(&[""], &["services"], READ), [&*gateway.name])
}

/// Includes `list` and `watch`, which a field selector for `metadata.name` limits to a name.
fn secret_rule(names: &BTreeSet<String>) -> PolicyRule {
    of_names(rule(&[""], &["secrets"], READ), names.iter().map(String::as_str))
}

fn rule(groups: &[&str], resources: &[&str], verbs: &[&str]) -> PolicyRule {
    PolicyRule {
        api_groups: Some(strings(groups.iter().copied())),
        resources: Some(strings(resources.iter().copied())),
        verbs: strings(verbs.iter().copied()),
        ..PolicyRule::default()
    }
}

fn of_names<'a>(rule: PolicyRule, names: impl IntoIterator<Item = &'a str>) -> PolicyRule {
    PolicyRule { resource_names: Some(strings(names)), ..rule }
}

fn strings<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    texts.into_iter().map(str::to_owned).collect()
}

/// The account that gets the permissions.
struct Who<'a> {
    gateway: &'a Gateway,
}

const GROUP: &str = "rbac.authorization.k8s.io";

impl Who<'_> {
    fn account(&self) -> String {
        format!("{}-service-account", self.gateway.name)
    }

    /// A `ClusterRole` and its binding.
    fn cluster_wide(&self, why: &str, rules: Vec<PolicyRule>) -> [Grant; 2] {
        let name = &self.gateway.name;
        let role = ClusterRole {
            metadata: metadata(name, None),
            rules: Some(rules),
            ..ClusterRole::default()
        };
        let binding = ClusterRoleBinding {
            metadata: metadata(name, None),
            role_ref: role_ref("ClusterRole", name),
            subjects: Some(vec![self.subject()]),
        };
        self.bound(why, Object::ClusterRole(role), Object::ClusterRoleBinding(binding))
    }

    /// A `Role` and its binding.
    fn within(&self, namespace: &str, name: &str, why: &str, rules: Vec<PolicyRule>) -> [Grant; 2] {
        let role = Role { metadata: metadata(name, Some(namespace)), rules: Some(rules) };
        let binding = RoleBinding {
            metadata: metadata(name, Some(namespace)),
            role_ref: role_ref("Role", name),
            subjects: Some(vec![self.subject()]),
        };
        self.bound(why, Object::Role(role), Object::RoleBinding(binding))
    }

    fn bound(&self, why: &str, role: Object, binding: Object) -> [Grant; 2] {
        let whom = format!("Gives that to {}/{}.", self.gateway.namespace, self.account());
        [Grant { why: why.to_owned(), object: role }, Grant { why: whom, object: binding }]
    }

    fn subject(&self) -> Subject {
        Subject {
            kind: "ServiceAccount".into(),
            name: self.account(),
            namespace: Some(self.gateway.namespace.clone()),
            api_group: None,
        }
    }
}

fn metadata(name: &str, namespace: Option<&str>) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: namespace.map(str::to_owned),
        ..ObjectMeta::default()
    }
}

fn role_ref(kind: &str, name: &str) -> RoleRef {
    RoleRef { api_group: GROUP.into(), kind: kind.into(), name: name.to_owned() }
}
