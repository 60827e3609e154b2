//! Secrets that are named, and cannot be read.

use std::collections::{BTreeMap, BTreeSet};

use super::Circumstances;
use crate::finding::{Code, quote};
use crate::rbac;
use crate::settings::{Gateway, ObjectName};

/// The longest Role that a message has: an Event has room for 1024 bytes, of
/// which some say what the Role is for.
const MAX_ROLE: usize = 800;

/// Why a Secret could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UnreadableSecret {
    /// The gateway's account may not.
    Denied,
    /// We may not, who look at the cluster from outside.
    Hidden,
    /// What the API server says instead.
    Failed(String),
}

/// The Secrets that could not be read. One that is just not there is not among
/// them.
pub(crate) type UnreadableSecrets = BTreeMap<ObjectName, UnreadableSecret>;

/// What is wrong with Secrets that cannot be read, and what to do about it.
pub(super) struct Remedies<'a> {
    unreadable: &'a UnreadableSecrets,
    gateway: &'a Gateway,
    /// By namespace, the Role for all Secrets that are named there, unless these
    /// are too many for a message.
    roles: BTreeMap<&'a str, Option<String>>,
}

impl<'a> Remedies<'a> {
    /// For those among `named`.
    pub(super) fn new(
        circumstances: &Circumstances<'a>,
        named: impl Iterator<Item = &'a ObjectName>,
    ) -> Self {
        let Circumstances { unreadable, settings, .. } = *circumstances;
        let gateway = &settings.gateway;
        let mut by_namespace: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
        // Mostly there is none to be told of.
        for name in named.filter(|_| !unreadable.is_empty()) {
            by_namespace.entry(name.namespace()).or_default().insert(name.name().to_owned());
        }
        let role = |(namespace, all): (&'a str, BTreeSet<String>)| {
            let role = rbac::role_for_secrets(gateway, namespace, &all);
            (namespace, Some(role).filter(|role| role.len() <= MAX_ROLE))
        };
        Self { unreadable, gateway, roles: by_namespace.into_iter().map(role).collect() }
    }

    /// For one of them, with the code of the finding. None where it can be read, or
    /// is not there.
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

    /// The Role for all Secrets in its namespace, or where these are too many, a
    /// Role beside that.
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
