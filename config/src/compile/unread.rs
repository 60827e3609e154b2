//! Secrets that are named, and cannot be read.

use std::collections::{BTreeMap, BTreeSet};

use crate::finding::quote;
use crate::rbac;
use crate::settings::{ObjectName, Settings};

/// Why a Secret could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// The account may not.
    Denied,
    /// What the API server says instead.
    Failed(String),
}

/// The Secrets that could not be read. One that is just not there is not among
/// them.
pub(crate) type UnreadSecrets = BTreeMap<ObjectName, Unread>;

/// What is wrong, and what to do about it: for want of rights, the Role that
/// gives them for all Secrets in that namespace among `named`.
pub(super) fn remedy<'a>(
    unread: &Unread,
    name: &ObjectName,
    named: impl Iterator<Item = &'a ObjectName>,
    settings: &Settings,
) -> String {
    let secret = quote(&name.to_string());
    match unread {
        Unread::Failed(reason) => {
            format!("Secret {secret} cannot be read: {reason}; it is tried again.")
        }
        Unread::Denied => {
            let namespace = name.namespace();
            let all = named.filter(|other| other.namespace() == namespace);
            let all: BTreeSet<_> = all.map(|other| other.name().to_owned()).collect();
            let role = rbac::role_for_secrets(&settings.gateway, namespace, &all);
            format!(
                "Secret {secret} may not be read by this gateway; allow it by the Role {role} \
                 bound to the gateway's service account, both of which ingressctl rbac prints."
            )
        }
    }
}
