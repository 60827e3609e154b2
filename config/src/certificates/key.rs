//! Private keys: kept from view, and compared with the certificate they are
//! said to belong to.

use std::fmt;

use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    RsaKeyPair,
};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::{Error, PemObject};
use x509_parser::asn1_rs::{Any, FromDer, Oid};
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_NIST_EC_P521,
    OID_PKCS1_RSAENCRYPTION, OID_SIG_ED25519,
};
use x509_parser::x509::SubjectPublicKeyInfo;
use zeroize::{Zeroize, Zeroizing};

use super::pem;
use super::problem::Problem;
use super::strict;

/// A private key in PEM. It shows nowhere, and is wiped from memory when
/// dropped.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PrivateKey(Zeroizing<String>);

impl PrivateKey {
    /// The key, for the file that Envoy reads it from and for nothing else.
    pub(crate) fn pem(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}

/// A private key as it was read, wiped from memory when dropped.
pub(super) struct Parsed(PrivateKeyDer<'static>);

impl Drop for Parsed {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// The bits of an RSA key that Envoy takes.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

impl Parsed {
    /// Reads the first private key in PEM; Envoy takes that one, too.
    pub(super) fn read(text: &[u8]) -> Result<Self, Problem> {
        // A section that is encrypted has another label, or headers that are
        // not base64 (RFC 1421).
        let is_encrypted = contains(text, b"BEGIN ENCRYPTED PRIVATE KEY-----")
            || contains(text, b"Proc-Type: 4,ENCRYPTED");
        PrivateKeyDer::from_pem_slice(text).map(Self).map_err(|error| match error {
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

    /// What the key is made of.
    pub(super) fn parts(&self) -> Result<Parts<'_>, Problem> {
        let parts = match &self.0 {
            PrivateKeyDer::Pkcs1(key) => Parts::rsa(key.secret_pkcs1_der()),
            PrivateKeyDer::Sec1(key) => Parts::ec(key.secret_sec1_der(), None)?,
            PrivateKeyDer::Pkcs8(key) => Parts::pkcs8(key.secret_pkcs8_der())?,
            _ => return Err(Problem::UnsupportedKey),
        };
        parts.ok_or(Problem::MalformedKey)
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// The parts of a private key.
pub(super) enum Parts<'a> {
    Rsa { pkcs1: &'a [u8], modulus: &'a [u8], exponent: &'a [u8] },
    Ec { curve: Curve, private: &'a [u8], public: Option<&'a [u8]> },
    Ed25519 { seed: &'a [u8] },
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    fn new(oid: &Oid<'_>) -> Result<Self, Problem> {
        [(OID_EC_P256, Self::P256), (OID_NIST_EC_P384, Self::P384), (OID_NIST_EC_P521, Self::P521)]
            .into_iter()
            .find_map(|(known, curve)| (*oid == known).then_some(curve))
            .ok_or(Problem::UnsupportedKey)
    }
}

/// `None` where the structure is not what it should be.
type Maybe<T> = Result<Option<T>, Problem>;

impl<'a> Parts<'a> {
    /// `PrivateKeyInfo` of RFC 5208, `OneAsymmetricKey` of RFC 5958.
    fn pkcs8(der: &'a [u8]) -> Maybe<Self> {
        let Some((algorithm, parameters, key)) = pkcs8_fields(der) else { return Ok(None) };
        if algorithm == OID_PKCS1_RSAENCRYPTION {
            return Ok(Self::rsa(key));
        }
        if algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY {
            return Self::ec(key, parameters.and_then(|parameters| parameters.oid().ok()));
        }
        if algorithm == OID_SIG_ED25519 {
            // RFC 8410: an octet string within the octet string.
            let seed = Any::from_der(key).ok().map(|(_, seed)| seed.data);
            return Ok(seed.map(|seed| Self::Ed25519 { seed }));
        }
        Err(Problem::UnsupportedKey)
    }

    /// `RSAPrivateKey` of RFC 8017.
    fn rsa(pkcs1: &'a [u8]) -> Option<Self> {
        let mut fields = Fields::of(pkcs1)?;
        fields.next()?;
        let (modulus, exponent) = (fields.next()?.data, fields.next()?.data);
        Some(Self::Rsa { pkcs1, modulus, exponent })
    }

    /// `ECPrivateKey` of RFC 5915; the curve is within, if not given before.
    fn ec(sec1: &'a [u8], curve: Option<Oid<'_>>) -> Maybe<Self> {
        let Some(mut fields) = Fields::of(sec1) else { return Ok(None) };
        let (Some(_), Some(private)) = (fields.next(), fields.next()) else { return Ok(None) };
        let (mut within, mut public) = (None, None);
        while let Some(field) = fields.next() {
            let content = Any::from_der(field.data).ok().map(|(_, content)| content);
            match field.header.tag().0 {
                0 => within = content.and_then(|content| content.oid().ok()),
                // A bit string begins with how many bits of it do not count.
                1 => public = content.and_then(|content| content.data.split_first()),
                _ => {}
            }
        }
        let Some(curve) = curve.or(within) else { return Ok(None) };
        let curve = Curve::new(&curve)?;
        Ok(Some(Self::Ec { curve, private: private.data, public: public.map(|(_, point)| point) }))
    }

    /// Whether Envoy takes keys like this.
    pub(super) fn check(&self) -> Result<(), Problem> {
        match self {
            Self::Rsa { modulus, .. } => match bits(modulus) {
                bits if RSA_BITS.contains(&bits) => Ok(()),
                bits if bits < *RSA_BITS.start() => Err(Problem::WeakKey(bits)),
                _ => Err(Problem::UnsupportedKey),
            },
            Self::Ec { .. } | Self::Ed25519 { .. } => Ok(()),
        }
    }

    /// Whether this is the private half of a public key.
    pub(super) fn belongs_to(&self, public: &SubjectPublicKeyInfo<'_>) -> bool {
        let algorithm = &public.algorithm.algorithm;
        let key = &*public.subject_public_key.data;
        match self {
            Self::Rsa { pkcs1, modulus, exponent } => {
                let same = |other: Fields<'_>| is_same_rsa(other, modulus, exponent);
                *algorithm == OID_PKCS1_RSAENCRYPTION
                    && strict::is_rsa_key(key)
                    && Fields::of(key).is_some_and(same)
                    && is_consistent_rsa(pkcs1, modulus, exponent)
            }
            Self::Ec { curve, private, public: within } => {
                *algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY
                    && public.algorithm.parameters.as_ref().is_some_and(|parameters| {
                        parameters.clone().oid().is_ok_and(|oid| Curve::new(&oid) == Ok(*curve))
                    })
                    && within.is_none_or(|within| within == key)
                    && is_ec_pair(*curve, private, within.is_some(), key)
            }
            Self::Ed25519 { seed } => {
                *algorithm == OID_SIG_ED25519
                    && Ed25519KeyPair::from_seed_and_public_key(seed, key).is_ok()
            }
        }
    }
}

fn pkcs8_fields(der: &[u8]) -> Option<(Oid<'_>, Option<Any<'_>>, &[u8])> {
    let mut fields = Fields::of(der)?;
    fields.next()?;
    let mut algorithm = Fields(fields.next()?.data);
    Some((algorithm.next()?.oid().ok()?, algorithm.next(), fields.next()?.data))
}

fn is_same_rsa(mut public: Fields<'_>, modulus: &[u8], exponent: &[u8]) -> bool {
    let mut is_next = |number: &[u8]| {
        public.next().is_some_and(|other| significant(other.data) == significant(number))
    };
    is_next(modulus) && is_next(exponent)
}

/// Whether the parts fit together, where they are such as *ring* knows: others
/// are told by their public part alone, and by Envoy.
fn is_consistent_rsa(pkcs1: &[u8], modulus: &[u8], exponent: &[u8]) -> bool {
    let is_known = bits(modulus) <= 4096 && bits(exponent) > 16 && bits(exponent) <= 33;
    !is_known || RsaKeyPair::from_der(pkcs1).is_ok()
}

/// Whether the two belong together. *ring* has no P-521: there, the key has to
/// say so itself.
fn is_ec_pair(curve: Curve, private: &[u8], says_so: bool, public: &[u8]) -> bool {
    let algorithm = match curve {
        Curve::P256 => &ECDSA_P256_SHA256_ASN1_SIGNING,
        Curve::P384 => &ECDSA_P384_SHA384_ASN1_SIGNING,
        Curve::P521 => return says_so,
    };
    let random = SystemRandom::new();
    EcdsaKeyPair::from_private_key_and_public_key(algorithm, private, public, &random).is_ok()
}

/// How many bits a number in DER has.
pub(super) fn bits(number: &[u8]) -> usize {
    let number = significant(number);
    let unused = number.first().map_or(0, |first| first.leading_zeros() as usize);
    number.len() * 8 - unused
}

/// A number without zeros in front: DER has one where a number would otherwise
/// be negative.
fn significant(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// What is left of a sequence in DER.
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// The fields of the sequence that `der` is.
    pub(super) fn of(der: &'a [u8]) -> Option<Self> {
        let (_, sequence) = Any::from_der(der).ok()?;
        sequence.header.is_constructed().then_some(Self(sequence.data))
    }

    pub(super) fn next(&mut self) -> Option<Any<'a>> {
        let (rest, field) = Any::from_der(self.0).ok()?;
        self.0 = rest;
        Some(field)
    }
}
