//! Secrets that are named, and cannot be read.

use std::collections::{BTreeMap, BTreeSet};

use crate::finding::quote;
use crate::rbac;
use crate::settings::{ObjectName, Settings};

/// The longest Role that a message has: an Event has room for 1024 bytes, of
/// which some say what the Role is for.
const MAX_ROLE: usize = 800;

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
/// gives them for all Secrets in that namespace among `named`, or where these are
/// too many, a Role beside it.
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
            let mut role = rbac::role_for_secrets(&settings.gateway, namespace, &all);
            let mut whence = "both of which ingressctl rbac prints";
            if role.len() > MAX_ROLE {
                role = rbac::role_for_secret(&settings.gateway, namespace, name.name());
                whence = "or by what ingressctl rbac prints for all Secrets here";
            }
            format!(
                "Secret {secret} may not be read by this gateway; allow it by the Role {role} \
                 bound to the gateway's service account, {whence}."
            )
        }
    }
}
