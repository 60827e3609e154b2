//! Secrets that are named but cannot be read.

use std::collections::{BTreeMap, BTreeSet};

use super::Circumstances;
use crate::finding::{Code, quote};
use crate::rbac;
use crate::settings::{Gateway, ObjectName};

/// The maximum length of a Role in a message: an Event has at most 1024 bytes, including
/// the rest of the message.
const MAX_ROLE: usize = 800;

/// The reason why a Secret could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UnreadableSecret {
    /// The gateway's service account does not have permission.
    Denied,
    /// The credentials with which the cluster is read from outside do not have permission.
    Hidden,
    /// Another error of the API server.
    Failed(String),
}

/// The Secrets that could not be read, without those that do not exist.
pub(crate) type UnreadableSecrets = BTreeMap<ObjectName, UnreadableSecret>;

/// The messages for Secrets that cannot be read, with the remedy.
pub(super) struct Remedies<'a> {
    unreadable: &'a UnreadableSecrets,
    gateway: &'a Gateway,
    /// For each namespace, the Role for all Secrets that are named there, unless it is too
    /// long for a message.
    roles: BTreeMap<&'a str, Option<String>>,
}

impl<'a> Remedies<'a> {
    /// The messages for those of `named` that cannot be read.
    pub(super) fn new(
        circumstances: &Circumstances<'a>,
        named: impl Iterator<Item = &'a ObjectName>,
    ) -> Self {
        let Circumstances { unreadable, settings, .. } = *circumstances;
        let gateway = &settings.gateway;
        let mut by_namespace: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
        // Usually all Secrets can be read.
        for name in named.filter(|_| !unreadable.is_empty()) {
            by_namespace.entry(name.namespace()).or_default().insert(name.name().to_owned());
        }
        let role = |(namespace, all): (&'a str, BTreeSet<String>)| {
            let role = rbac::role_for_secrets(gateway, namespace, &all);
            (namespace, Some(role).filter(|role| role.len() <= MAX_ROLE))
        };
        Self { unreadable, gateway, roles: by_namespace.into_iter().map(role).collect() }
    }

    /// The code and message for one Secret; `None` if it can be read or does not exist.
    pub(super) fn of(&self, name: &ObjectName) -> Option<(Code, String)> {
        let secret = quote(&name.to_string());
        Some(match self.unreadable.get(name)? {
            UnreadableSecret::Hidden => (
                Code::SecretNotShown,
                format!(
                    "Secret {secret} cannot be read with these credentials, so it counts as \
                     missing here; allow them to get it, or add a file with it with -f."
                ),
            ),
            UnreadableSecret::Failed(reason) => (
                Code::SecretNotReadable,
                format!("Secret {secret} cannot be read: {reason}; reading is repeated."),
            ),
            UnreadableSecret::Denied => {
                let (role, whence) = self.role(name);
                let message = format!(
                    "Secret {secret} may not be read by this gateway; bind the Role {role} to the gateway's service account, {whence}."
                );
                (Code::SecretNotAllowed, message)
            }
        })
    }

    /// The Role for all Secrets in its namespace, or if that is too long, an additional
    /// Role for this one.
    fn role(&self, name: &ObjectName) -> (String, &'static str) {
        match self.roles.get(name.namespace()) {
            Some(Some(role)) => (role.clone(), "as ingressctl rbac prints it"),
            _ => (
                rbac::role_for_secret(self.gateway, name.namespace(), name.name()),
                "or apply what ingressctl rbac prints for all Secrets of this namespace",
            ),
        }
    }
}
