//! Checks certificates and their keys before Envoy gets them, because Envoy rejects a
//! whole listener for one certificate.
//!
//! The input is from anyone who may write a Secret. No input makes this panic or take
//! long, and no part of a key gets into a message.

mod authorities;
mod chain;
mod check_cache;
mod der;
mod ec;
mod extensions;
mod key;
mod names;
mod pem;
mod problem;
mod rsa;
mod strict;
#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use rustls_pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use x509_parser::certificate::X509Certificate;

use crate::digest::hex;
use crate::finding::Severity;

pub(crate) use authorities::Authorities;
pub(crate) use check_cache::CheckCache;
pub(crate) use key::{KeyType, PrivateKey};
pub(crate) use problem::Problem;

/// The most bytes of a chain, and of a key: the limit of a Secret.
pub(crate) const MAX_BYTES: usize = 1024 * 1024;

/// The certificate chain and the key for Envoy.
#[derive(Debug)]
pub(crate) struct KeyPair {
    /// The chain in PEM, with the server's own certificate first, and nothing else.
    pub(crate) chain: String,
    pub(crate) key: PrivateKey,
    fingerprint: OnceLock<String>,
}

impl PartialEq for KeyPair {
    fn eq(&self, other: &Self) -> bool {
        (&self.chain, &self.key) == (&other.chain, &other.key)
    }
}

impl Eq for KeyPair {}

impl KeyPair {
    pub(crate) fn new(chain: String, key: PrivateKey) -> Self {
        Self { chain, key, fingerprint: OnceLock::new() }
    }

    /// A hash of the chain and the key.
    pub(crate) fn fingerprint(&self) -> &str {
        self.fingerprint.get_or_init(|| {
            let digest = Sha256::new().chain_update(&self.chain).chain_update(self.key.pem());
            hex(&digest.finalize()[..6])
        })
    }
}

/// A certificate that Envoy accepts, and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Certificate {
    pub(crate) pair: Arc<KeyPair>,
    /// The DNS names among its subject alternative names, unchanged.
    pub(crate) names: Vec<String>,
    pub(crate) key_type: KeyType,
    /// The times at which the findings about its validity change, in order.
    turns: [SystemTime; 3],
}

impl Certificate {
    /// The next time after `now` at which its findings change.
    pub(crate) fn turns_after(&self, now: SystemTime) -> Option<SystemTime> {
        self.turns.into_iter().find(|turn| *turn > now)
    }

    /// The times at which its validity begins and has ended.
    pub(crate) fn validity(&self) -> (SystemTime, SystemTime) {
        let [begins, _, ended] = self.turns;
        (begins, ended)
    }

    /// Whether a server can have both certificates, and choose by what the client supports.
    pub(crate) fn complements(&self, other: &Self) -> bool {
        matches!(
            (self.key_type, other.key_type),
            (KeyType::Rsa, KeyType::Ec) | (KeyType::Ec, KeyType::Rsa)
        )
    }

    /// Whether clients accept it for `host`, a host of an Ingress, which may have a
    /// wildcard.
    pub(crate) fn covers(&self, host: &str) -> bool {
        self.names.iter().any(|name| names::covers(name, host))
    }
}

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    /// For hosts of Ingresses, shown to clients.
    Server,
    /// For the gateway, shown to upstreams.
    Client,
}

/// The result of a check of a `Certificate` and its key, or of `Authorities`.
#[derive(Debug)]
pub(crate) struct Checked<T = Certificate> {
    /// `None` if any problem is an error.
    pub(crate) certificate: Option<Arc<T>>,
    pub(crate) problems: Vec<Problem>,
}

/// Reads and checks certificates of authorities, in PEM.
pub(crate) fn read_authorities(text: &[u8], now: SystemTime) -> Checked<Authorities> {
    let mut problems = Vec::new();
    let authorities = Authorities::read(text, now, &mut problems);
    let authorities = authorities.map_err(|problem| problems.push(problem)).ok();
    Checked { certificate: authorities.map(Arc::new), problems }
}

/// Same as [`read_for`], for hosts of Ingresses.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn read(chain_pem: &[u8], key_pem: &[u8], now: SystemTime) -> Checked {
    read_for(Role::Server, chain_pem, key_pem, now)
}

/// Reads and checks a chain of certificates and the key of the first one, both in PEM.
pub(crate) fn read_for(role: Role, chain_pem: &[u8], key_pem: &[u8], now: SystemTime) -> Checked {
    let mut problems = Vec::new();
    let certificate = match (read_chain(chain_pem), read_key(key_pem)) {
        (Ok(chain), Ok(key)) => {
            check(&chain, &key, now, &mut problems).map_err(|problem| problems.push(problem)).ok()
        }
        (chain, key) => {
            problems.extend(chain.err());
            problems.extend(key.err());
            None
        }
    };
    if role == Role::Client {
        problems.retain(|problem| !problem.is_only_of_servers());
    }
    let is_error = |problem: &Problem| problem.code().severity() == Severity::Error;
    let certificate = certificate.filter(|_| !problems.iter().any(is_error));
    Checked { certificate: certificate.map(Arc::new), problems }
}

fn read_chain(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, Problem> {
    if text.len() > MAX_BYTES {
        return Err(Problem::ChainTooLarge);
    }
    chain::read(text)
}

fn read_key(text: &[u8]) -> Result<key::Parsed, Problem> {
    if text.len() > MAX_BYTES {
        return Err(Problem::KeyTooLarge);
    }
    let key = key::Parsed::read(text)?;
    key.parts()?.check()?;
    Ok(key)
}

fn check(
    ders: &[CertificateDer<'_>],
    key: &key::Parsed,
    now: SystemTime,
    problems: &mut Vec<Problem>,
) -> Result<Certificate, Problem> {
    let chain = chain::parse(ders)?;
    let parts = key.parts()?;
    let is_its = |certificate: &X509Certificate<'_>| parts.belongs_to(certificate.public_key());
    let index = chain.iter().position(is_its).ok_or(Problem::Mismatch)?;
    let leaf = &chain[index];
    let now = seconds(now);
    chain::check_leaf(leaf, now, problems);
    chain::check_issuers(&chain, index, now, problems);
    extensions::check(&chain, index, problems);

    let others = ders.iter().enumerate().filter(|(other, _)| *other != index);
    let sections = std::iter::once(&ders[index]).chain(others.map(|(_, der)| der));
    let sections = sections.map(|der| pem::encode("CERTIFICATE", der).to_string());
    Ok(Certificate {
        pair: Arc::new(KeyPair::new(sections.collect(), key.to_pem())),
        names: chain::dns_names(leaf),
        key_type: parts.key_type(),
        turns: chain::turns(leaf).map(system_time),
    })
}

/// Seconds since 1970; an earlier time is the minimum.
fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn system_time(seconds: i64) -> SystemTime {
    let since = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH)
}
