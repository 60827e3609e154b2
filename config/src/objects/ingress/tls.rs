//! `spec.tls`: hosts, and the Secrets with their certificates.

use crate::finding::Code;
use crate::objects::{Cursor, Located, ObjectName, Place, Reading, host};

/// An entry, with its Secret.
#[derive(Debug)]
pub(crate) struct TlsEntry {
    index: usize,
    /// The Secret; `None` for the default certificate.
    pub(crate) secret: Option<Located<ObjectName>>,
    pub(crate) hosts: TlsHosts,
}

/// The hosts of a certificate.
#[derive(Debug)]
pub(crate) enum TlsHosts {
    /// The hosts of the rules that the certificate covers, because none are listed.
    OfRules,
    /// The valid ones of the listed hosts; may be empty.
    Listed(Vec<TlsHost>),
}

/// A host in the list of an entry.
#[derive(Debug)]
pub(crate) struct TlsHost {
    index: usize,
    pub(crate) name: Located<Box<str>>,
}

/// The entries of an Ingress with a spec. Entries with an invalid name of a Secret are
/// left out.
pub(super) fn read(reading: &Reading<'_>) -> Vec<TlsEntry> {
    let root = reading.root();
    let Some(spec) = root.field("spec") else { return Vec::new() };
    let namespace = &reading.object().namespace;
    let entries = spec.list("tls");
    entries
        .iter()
        .filter_map(|item| TlsEntry::read(&item.cursor(), item.index, namespace))
        .collect()
}

impl TlsEntry {
    fn read(cursor: &Cursor<'_>, index: usize, namespace: &str) -> Option<Self> {
        if !cursor.expect_mapping() {
            return None;
        }
        cursor.only(&["hosts", "secretName"]);
        let secret = match cursor.field("secretName") {
            None => None,
            Some(field) => match field.as_string()? {
                "" => None,
                name => Some(field.located(read_secret(&field, namespace, name)?)),
            },
        };
        Some(Self { index, secret, hosts: TlsHosts::read(cursor) })
    }

    /// The position of the Secret's name.
    pub(crate) fn secret_place(&self, secret: &Located<ObjectName>) -> Place {
        Place::new(secret.at, format!("spec.tls[{}].secretName", self.index))
    }

    /// The position of a host of this entry.
    pub(crate) fn host_place(&self, host: &TlsHost) -> Place {
        Place::new(host.name.at, format!("spec.tls[{}].hosts[{}]", self.index, host.index))
    }
}

fn read_secret(field: &Cursor<'_>, namespace: &str, name: &str) -> Option<ObjectName> {
    let secret = ObjectName::new(namespace, name);
    if secret.is_none() {
        field.report(
            Code::NameNotValid,
            "is not a valid Secret name; use lower-case letters, digits, - and ., 253 characters at most",
        );
    }
    secret
}

impl TlsHosts {
    fn read(entry: &Cursor<'_>) -> Self {
        let is_empty = |hosts: Cursor<'_>| hosts.node().as_list().is_some_and(<[_]>::is_empty);
        if entry.field("hosts").is_none_or(is_empty) {
            return Self::OfRules;
        }
        let items = entry.list("hosts");
        let hosts = items.iter().filter_map(|item| TlsHost::read(&item.cursor(), item.index));
        Self::Listed(hosts.collect())
    }
}

impl TlsHost {
    fn read(cursor: &Cursor<'_>, index: usize) -> Option<Self> {
        match host::parse(cursor.as_string()?) {
            Ok(name) => Some(Self { index, name: cursor.located(name.into()) }),
            Err(error) => {
                cursor.report(Code::HostNotValid, format!("{error}. It gets no certificate"));
                None
            }
        }
    }
}
