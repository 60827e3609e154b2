//! Certificates of authorities, with which the certificates of servers are verified.

use std::sync::OnceLock;
use std::time::SystemTime;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use sha2::{Digest, Sha256};

use super::problem::Problem;
use super::{chain, pem, seconds, system_time};
use crate::digest::hex;

/// The most bytes of the certificates of authorities, as many as systems trust: Envoy copies
/// them for each cluster.
const MAX_AUTHORITY_BYTES: usize = 256 * 1024;

/// The certificates of authorities for Envoy.
#[derive(Debug)]
pub(crate) struct Authorities {
    /// In PEM, and nothing else.
    pub(crate) pem: String,
    fingerprint: OnceLock<String>,
    /// The times at which certificates expire.
    ends: Vec<SystemTime>,
}

impl PartialEq for Authorities {
    fn eq(&self, other: &Self) -> bool {
        self.pem == other.pem
    }
}

impl Eq for Authorities {}

impl Authorities {
    /// Reads the certificates from PEM. Problems that are not errors are added to `problems`.
    pub(super) fn read(
        text: &[u8],
        now: SystemTime,
        problems: &mut Vec<Problem>,
    ) -> Result<Self, Problem> {
        if text.len() > MAX_AUTHORITY_BYTES {
            return Err(Problem::AuthoritiesTooLarge);
        }
        let ders: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem::unglued(text)).collect();
        let ders = ders.map_err(|error| Problem::BrokenAuthorities(pem::describe(&error)))?;
        if ders.is_empty() {
            return Err(Problem::NoAuthority);
        }
        let parsed = chain::parse(&ders).map_err(|problem| match problem {
            Problem::Malformed(index) => Problem::MalformedAuthority(index),
            other => other,
        })?;
        let now = seconds(now);
        let mut ends = Vec::with_capacity(parsed.len());
        for (index, certificate) in parsed.iter().enumerate() {
            let end = certificate.validity().not_after;
            if now > end.timestamp() {
                problems.push(Problem::AuthorityExpired(index + 1, chain::time(end)));
            }
            ends.push(system_time(end.timestamp().saturating_add(1)));
        }
        let sections = ders.iter().map(|der| pem::encode("CERTIFICATE", der).to_string());
        Ok(Self { pem: sections.collect(), fingerprint: OnceLock::new(), ends })
    }

    /// Without any check.
    #[cfg(test)]
    pub(crate) fn unchecked(pem: &str) -> Self {
        Self { pem: pem.to_owned(), fingerprint: OnceLock::new(), ends: Vec::new() }
    }

    /// A hash of the certificates.
    pub(crate) fn fingerprint(&self) -> &str {
        self.fingerprint.get_or_init(|| hex(&Sha256::digest(&self.pem)[..6]))
    }

    /// The next time after `now` at which a certificate expires.
    pub(crate) fn turns_after(&self, now: SystemTime) -> Option<SystemTime> {
        self.ends.iter().copied().filter(|end| *end > now).min()
    }
}
