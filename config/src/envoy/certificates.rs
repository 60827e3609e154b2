//! Certificates and keys on disk, readable only for the owner.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::{fs, io};

use super::files::Layout;
use crate::certificates::KeyPair;
use crate::files::{entries_of, write_private};
use crate::model::{Gateway, UpstreamSecrets};

/// The files of a certificate. Their names contain a fingerprint, so a listener
/// with a different certificate is different.
pub(super) struct CertificateFiles {
    pub(super) chain: PathBuf,
    pub(super) key: PathBuf,
}

/// The file of authorities; its name is built in the same way.
pub(super) struct AuthoritiesFile(pub(super) PathBuf);

impl CertificateFiles {
    pub(super) fn new(layout: &Layout, name: &str, pair: &KeyPair) -> Self {
        let path = |extension| path(layout, name, pair.fingerprint(), extension);
        Self { chain: path("crt"), key: path("key") }
    }
}

impl AuthoritiesFile {
    pub(super) fn new(layout: &Layout, name: &str, fingerprint: &str) -> Self {
        Self(path(layout, name, fingerprint, "crt"))
    }
}

fn path(layout: &Layout, name: &str, fingerprint: &str, extension: &str) -> PathBuf {
    // Namespaces contain no dots, so names are unique.
    let stem = format!("{}.{fingerprint}", name.replace(['/', ':'], "."));
    layout.certificates().join(format!("{stem}.{extension}"))
}

/// The files of all certificates, keys and authorities of a gateway, with their content.
fn files<'g>(layout: &Layout, gateway: &'g Gateway) -> Vec<(PathBuf, &'g str)> {
    let mut all = Vec::new();
    let UpstreamSecrets { authorities, clients } = &gateway.upstream_secrets;
    for (name, authorities) in authorities {
        let file = AuthoritiesFile::new(layout, name, authorities.fingerprint());
        all.push((file.0, &*authorities.pem));
    }
    let https = gateway.https.iter().flat_map(|https| &https.certificates);
    let https = https.map(|(name, certificate)| (name, &certificate.pair));
    for (name, pair) in https.chain(clients) {
        let files = CertificateFiles::new(layout, name, pair);
        all.push((files.chain, &*pair.chain));
        all.push((files.key, pair.key.pem()));
    }
    all
}

/// Writes all certificates, before listeners and clusters name them.
///
/// # Errors
/// If the folder is not writable.
pub(crate) fn write_certificates(layout: &Layout, gateway: &Gateway) -> io::Result<()> {
    let mut files = files(layout, gateway).into_iter();
    files.try_for_each(|(path, content)| write_private(&path, content))
}

/// Removes certificates that no listener and no cluster names any more.
///
/// # Errors
/// If the folder is not writable.
pub(crate) fn remove_other_certificates(layout: &Layout, gateway: &Gateway) -> io::Result<()> {
    let named: BTreeSet<_> = files(layout, gateway).into_iter().map(|(path, _)| path).collect();
    for entry in entries_of(&layout.certificates())? {
        let path = entry?.path();
        let is_certificate = path.extension().is_some_and(|end| end == "crt" || end == "key");
        if is_certificate && !named.contains(&path) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}
