//! Certificates and their keys on disk, readable for the owner alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::{fs, io};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::files::Layout;
use super::wire::{Message, messages};
use super::writing::{entries_of, write_private};
use crate::certificates::{KeyPair, PrivateKey};

/// What listeners name, by its name.
pub(crate) type KeyPairs = BTreeMap<String, Arc<KeyPair>>;

/// Where a certificate lies by itself. The name says which it is, so that a
/// listener that names another one is another listener.
pub(super) struct CertificateFiles {
    pub(super) chain: PathBuf,
    pub(super) key: PathBuf,
}

impl CertificateFiles {
    pub(super) fn new(layout: &Layout, name: &str, pair: &KeyPair) -> Self {
        // Namespaces have no dots, so no two names become the same.
        let stem = format!("{}.{}", name.replace('/', "."), pair.fingerprint());
        let path = |extension| layout.certificates().join(format!("{stem}.{extension}"));
        Self { chain: path("crt"), key: path("key") }
    }
}

/// Writes each by itself; listeners may name them only after that.
///
/// # Errors
/// Where the folder cannot be written to.
pub(crate) fn write_certificates(layout: &Layout, pairs: &KeyPairs) -> io::Result<()> {
    for (name, pair) in pairs {
        let files = CertificateFiles::new(layout, name, pair);
        write_private(&files.chain, &pair.chain)?;
        write_private(&files.key, pair.key.pem())?;
    }
    Ok(())
}

/// Removes those that no listener names any more.
///
/// # Errors
/// Where the folder cannot be written to.
pub(crate) fn remove_other_certificates(layout: &Layout, pairs: &KeyPairs) -> io::Result<()> {
    let files = pairs.iter().map(|(name, pair)| CertificateFiles::new(layout, name, pair));
    let named: BTreeSet<_> = files.flat_map(|files| [files.chain, files.key]).collect();
    for entry in entries_of(&layout.certificates())? {
        let path = entry?.path();
        let is_certificate = path.extension().is_some_and(|end| end == "crt" || end == "key");
        if is_certificate && !named.contains(&path) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// `transport_sockets.tls.v3.Secret`.
#[derive(Debug, Serialize)]
struct Secret<'s> {
    name: &'s str,
    tls_certificate: TlsCertificate<&'s str, &'s str>,
}

#[derive(Debug, Serialize, Deserialize)]
struct TlsCertificate<C, K> {
    certificate_chain: Inline<C>,
    private_key: Inline<K>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Inline<T> {
    inline_string: T,
}

/// What is read back of a [`Secret`].
#[derive(Deserialize)]
struct ReadSecret {
    name: String,
    tls_certificate: TlsCertificate<String, PrivateKey>,
}

#[derive(Serialize, Deserialize)]
struct Secrets<S> {
    resources: Vec<S>,
}

messages! {
    Secret<'_> = "envoy.extensions.transport_sockets.tls.v3.Secret",
}

/// Writes down all that are served, for whoever follows us.
///
/// # Errors
/// Where the folder cannot be written to.
pub(crate) fn write_secrets(layout: &Layout, pairs: &KeyPairs) -> io::Result<()> {
    let resources = pairs.iter().map(|(name, pair)| Secret::new(name, pair).into_any());
    let secrets = Secrets { resources: resources.collect() };
    let json = Zeroizing::new(serde_json::to_string_pretty(&secrets).unwrap_or_default());
    write_private(&layout.secrets(), &*json)
}

/// What an earlier process has written down; nothing where that is no more.
pub(crate) fn read_secrets(layout: &Layout) -> KeyPairs {
    let json = Zeroizing::new(fs::read(layout.secrets()).unwrap_or_default());
    let secrets: Option<Secrets<ReadSecret>> = serde_json::from_slice(&json).ok();
    let secrets = secrets.into_iter().flat_map(|secrets| secrets.resources);
    secrets.map(|secret| (secret.name, secret.tls_certificate.into())).collect()
}

impl<'s> Secret<'s> {
    fn new(name: &'s str, pair: &'s KeyPair) -> Self {
        Self {
            name,
            tls_certificate: TlsCertificate {
                certificate_chain: Inline { inline_string: &pair.chain },
                private_key: Inline { inline_string: pair.key.pem() },
            },
        }
    }
}

impl From<TlsCertificate<String, PrivateKey>> for Arc<KeyPair> {
    fn from(read: TlsCertificate<String, PrivateKey>) -> Self {
        let (chain, key) = (read.certificate_chain.inline_string, read.private_key.inline_string);
        Self::new(KeyPair { chain, key })
    }
}
