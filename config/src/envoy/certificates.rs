//! Certificates and keys on disk, readable only for the owner.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::{fs, io};

use super::files::Layout;
use crate::certificates::KeyPair;
use crate::files::{entries_of, write_private};
use crate::model::KeyPairs;

/// The files of a certificate. Their names contain a fingerprint, so a listener
/// with a different certificate is different.
pub(super) struct CertificateFiles {
    pub(super) chain: PathBuf,
    pub(super) key: PathBuf,
}

impl CertificateFiles {
    pub(super) fn new(layout: &Layout, name: &str, pair: &KeyPair) -> Self {
        // Namespaces contain no dots, so names are unique.
        let stem = format!("{}.{}", name.replace('/', "."), pair.fingerprint());
        let path = |extension| layout.certificates().join(format!("{stem}.{extension}"));
        Self { chain: path("crt"), key: path("key") }
    }
}

/// Writes all certificates, before listeners name them.
///
/// # Errors
/// If the folder is not writable.
pub(crate) fn write_certificates(layout: &Layout, pairs: &KeyPairs) -> io::Result<()> {
    for (name, pair) in pairs {
        let files = CertificateFiles::new(layout, name, pair);
        write_private(&files.chain, &pair.chain)?;
        write_private(&files.key, pair.key.pem())?;
    }
    Ok(())
}

/// Removes certificates that no listener names any more.
///
/// # Errors
/// If the folder is not writable.
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
