//! Private keys: kept secret, and compared with the certificate that they should belong
//! to.

use std::borrow::Cow;
use std::fmt;

use ring::signature::Ed25519KeyPair;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::{Error, PemObject};
use x509_parser::asn1_rs::Oid;
use x509_parser::oid_registry::{
    OID_KEY_TYPE_EC_PUBLIC_KEY, OID_PKCS1_RSAENCRYPTION, OID_SIG_ED25519,
};
use x509_parser::x509::SubjectPublicKeyInfo;
use zeroize::{Zeroize, Zeroizing};

use super::der::{Der, INTEGER, NULL, OCTET_STRING, SEQUENCE, sequence, whole};
use super::ec::{self, Curve};
use super::pem;
use super::problem::Problem;
use super::rsa;

/// A private key in PEM. It is never printed, and is wiped from memory when dropped.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PrivateKey(Zeroizing<String>);

impl PrivateKey {
    /// The key, only for the file from which Envoy reads it.
    pub(crate) fn pem(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}

/// A private key in DER, wiped from memory when dropped.
pub(super) struct Parsed(PrivateKeyDer<'static>);

impl Drop for Parsed {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// The sizes of an RSA key that Envoy accepts, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

impl Parsed {
    /// Reads the first private key in PEM, as Envoy does.
    pub(super) fn read(text: &[u8]) -> Result<Self, Problem> {
        // An encrypted section has another label, or headers that are not base64
        // (RFC 1421).
        let is_encrypted = contains(text, b"BEGIN ENCRYPTED PRIVATE KEY-----")
            || contains(text, b"Proc-Type: 4,ENCRYPTED");
        let mut unglued = pem::unglued(text);
        let key = PrivateKeyDer::from_pem_slice(&unglued);
        if let Cow::Owned(text) = &mut unglued {
            text.zeroize();
        }
        key.map(Self).map_err(|error| match error {
            _ if is_encrypted => Problem::EncryptedKey,
            Error::NoItemsFound => Problem::NoKey,
            error => Problem::BrokenKey(pem::describe(&error)),
        })
    }

    pub(super) fn to_pem(&self) -> PrivateKey {
        let label = match &self.0 {
            PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
            PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
            _ => "PRIVATE KEY",
        };
        PrivateKey(pem::encode(label, self.0.secret_der()))
    }

    /// The parts of the key.
    pub(super) fn parts(&self) -> Result<Parts<'_>, Problem> {
        match &self.0 {
            PrivateKeyDer::Pkcs1(key) => Parts::rsa(key.secret_pkcs1_der()),
            PrivateKeyDer::Sec1(key) => Parts::ec(key.secret_sec1_der(), None),
            PrivateKeyDer::Pkcs8(key) => Parts::pkcs8(key.secret_pkcs8_der()),
            _ => Err(Problem::UnsupportedKey),
        }
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// The type of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyType {
    Rsa,
    /// For ECDSA.
    Ec,
    Ed25519,
}

/// The parts of a private key.
pub(super) enum Parts<'a> {
    Rsa(rsa::PrivateKey<'a>),
    Ec(ec::PrivateKey<'a>),
    Ed25519 { seed: &'a [u8] },
}

/// `PrivateKeyInfo` of RFC 5208. RFC 5958 has a second version, with the public key,
/// which Envoy does not read.
struct Pkcs8<'a> {
    identifier: Identifier<'a>,
    key: &'a [u8],
}

/// `AlgorithmIdentifier` of RFC 5280.
struct Identifier<'a> {
    algorithm: &'a [u8],
    /// The tag and the content.
    parameters: Option<(u8, &'a [u8])>,
}

/// The algorithm of a key.
#[derive(PartialEq, Eq)]
enum Algorithm {
    Rsa,
    Ec(Curve),
    Ed25519,
}

impl<'a> Parts<'a> {
    fn pkcs8(der: &'a [u8]) -> Result<Self, Problem> {
        let version = Der::new(der).inside(SEQUENCE).and_then(|mut der| der.next(INTEGER));
        if version == Some(&[1]) {
            return Err(Problem::NewerPkcs8);
        }
        let Pkcs8 { identifier, key } = sequence(der, Pkcs8::read).ok_or(Problem::MalformedKey)?;
        match identifier.algorithm()? {
            Algorithm::Rsa => Self::rsa(key),
            Algorithm::Ec(curve) => Self::ec(key, Some(curve)),
            Algorithm::Ed25519 => {
                // RFC 8410: an octet string in the octet string.
                let seed = whole(key, |key| key.next(OCTET_STRING)).ok_or(Problem::MalformedKey)?;
                Ok(Self::Ed25519 { seed })
            }
        }
    }

    fn rsa(der: &'a [u8]) -> Result<Self, Problem> {
        rsa::PrivateKey::read(der).map(Self::Rsa).ok_or(Problem::MalformedKey)
    }

    fn ec(der: &'a [u8], curve: Option<Curve>) -> Result<Self, Problem> {
        ec::PrivateKey::read(der, curve).map(Self::Ec)
    }

    pub(super) fn key_type(&self) -> KeyType {
        match self {
            Self::Rsa(_) => KeyType::Rsa,
            Self::Ec(_) => KeyType::Ec,
            Self::Ed25519 { .. } => KeyType::Ed25519,
        }
    }

    /// Checks whether Envoy supports this key.
    pub(super) fn check(&self) -> Result<(), Problem> {
        let is_sound = match self {
            Self::Rsa(key) => match key.bits() {
                bits if bits < *RSA_BITS.start() => return Err(Problem::WeakKey(bits)),
                bits if bits > *RSA_BITS.end() => return Err(Problem::UnsupportedKey),
                _ => key.is_consistent(),
            },
            Self::Ec(key) => key.is_consistent(),
            Self::Ed25519 { seed } => Ed25519KeyPair::from_seed_unchecked(seed).is_ok(),
        };
        is_sound.then_some(()).ok_or(Problem::MalformedKey)
    }

    /// Whether this is the private key of a public key.
    pub(super) fn belongs_to(&self, public: &SubjectPublicKeyInfo<'_>) -> bool {
        let public = sequence(public.raw, |der| Some((Identifier::read(der)?, der.bit_string()?)));
        let Some((identifier, public)) = public else { return false };
        match (self, identifier.algorithm()) {
            (Self::Rsa(key), Ok(Algorithm::Rsa)) => {
                rsa::PublicKey::read(public) == Some(key.public())
            }
            (Self::Ec(key), Ok(Algorithm::Ec(curve))) => key.belongs_to(curve, public),
            (Self::Ed25519 { seed }, Ok(Algorithm::Ed25519)) => {
                Ed25519KeyPair::from_seed_and_public_key(seed, public).is_ok()
            }
            _ => false,
        }
    }
}

impl<'a> Identifier<'a> {
    fn read(der: &mut Der<'a>) -> Option<Self> {
        let mut identifier = der.inside(SEQUENCE)?;
        let algorithm = identifier.oid()?;
        let parameters = if identifier.is_empty() { None } else { Some(identifier.any()?) };
        identifier.end()?;
        Some(Self { algorithm, parameters })
    }

    fn algorithm(&self) -> Result<Algorithm, Problem> {
        let is = |oid: &Oid<'_>| self.algorithm == oid.as_bytes();
        match self.parameters {
            Some((NULL, [])) if is(&OID_PKCS1_RSAENCRYPTION) => Ok(Algorithm::Rsa),
            Some(parameters) if is(&OID_KEY_TYPE_EC_PUBLIC_KEY) => {
                Curve::of_parameters(parameters).map(Algorithm::Ec)
            }
            None if is(&OID_SIG_ED25519) => Ok(Algorithm::Ed25519),
            _ => Err(Problem::UnsupportedKey),
        }
    }
}

impl<'a> Pkcs8<'a> {
    fn read(der: &mut Der<'a>) -> Option<Self> {
        const ATTRIBUTES: u8 = 0xa0;
        (der.next(INTEGER)? == [0]).then_some(())?;
        let identifier = Identifier::read(der)?;
        let key = der.next(OCTET_STRING)?;
        if der.is_next(ATTRIBUTES) {
            der.next(ATTRIBUTES)?;
        }
        Some(Self { identifier, key })
    }
}
