//! Keys on elliptic curves (RFC 5915).

use p521::elliptic_curve::sec1::ToSec1Point;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm,
};
use x509_parser::oid_registry::{OID_EC_P256, OID_NIST_EC_P384, OID_NIST_EC_P521};
use zeroize::Zeroizing;

use super::der::{Der, INTEGER, OCTET_STRING, OID, sequence, whole};
use super::problem::Problem;

const PARAMETERS: u8 = 0xa0;
const PUBLIC_KEY: u8 = 0xa1;

/// The curves that Envoy supports.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
}

/// `ECPrivateKey`.
pub(super) struct PrivateKey<'a> {
    curve: Curve,
    scalar: Zeroizing<Vec<u8>>,
    /// The public key, if it is included.
    point: Option<&'a [u8]>,
}

/// The fields in DER.
struct Fields<'a> {
    scalar: &'a [u8],
    /// The tag and the content of the curve's parameters.
    parameters: Option<(u8, &'a [u8])>,
    point: Option<&'a [u8]>,
}

impl Curve {
    /// The curve with an OID of this content.
    pub(super) fn of_oid(oid: &[u8]) -> Result<Self, Problem> {
        [(OID_EC_P256, Self::P256), (OID_NIST_EC_P384, Self::P384), (OID_NIST_EC_P521, Self::P521)]
            .into_iter()
            .find_map(|(known, curve)| (known.as_bytes() == oid).then_some(curve))
            .ok_or(Problem::UnsupportedKey)
    }

    /// The curve of parameters, by their tag and content. Envoy supports only named
    /// curves.
    pub(super) fn of_parameters((tag, content): (u8, &[u8])) -> Result<Self, Problem> {
        if tag == OID { Self::of_oid(content) } else { Err(Problem::UnsupportedKey) }
    }

    /// The number of bytes of a scalar.
    fn scalar_len(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }
}

impl<'a> PrivateKey<'a> {
    /// Reads a key. The curve is in the key unless it is already known.
    pub(super) fn read(der: &'a [u8], curve: Option<Curve>) -> Result<Self, Problem> {
        let fields = sequence(der, Fields::read).ok_or(Problem::MalformedKey)?;
        let within = fields.parameters.map(Curve::of_parameters).transpose()?;
        if curve.is_some() && within.is_some() && curve != within {
            return Err(Problem::MalformedKey);
        }
        let curve = curve.or(within).ok_or(Problem::MalformedKey)?;
        let scalar = padded(fields.scalar, curve.scalar_len()).ok_or(Problem::MalformedKey)?;
        Ok(Self { curve, scalar, point: fields.point })
    }

    /// Whether the included public key belongs to the private key.
    pub(super) fn is_consistent(&self) -> bool {
        self.point.is_none_or(|point| self.is_half_of(point))
    }

    /// Whether this is the private key of an uncompressed point.
    pub(super) fn belongs_to(&self, curve: Curve, point: &[u8]) -> bool {
        self.curve == curve && self.is_half_of(point)
    }

    fn is_half_of(&self, point: &[u8]) -> bool {
        match self.curve {
            Curve::P256 => self.is_pair(&ECDSA_P256_SHA256_ASN1_SIGNING, point),
            Curve::P384 => self.is_pair(&ECDSA_P384_SHA384_ASN1_SIGNING, point),
            // *ring* does not support it.
            Curve::P521 => p521::SecretKey::from_slice(&self.scalar)
                .is_ok_and(|key| key.public_key().to_sec1_point(false).as_bytes() == point),
        }
    }

    fn is_pair(&self, algorithm: &'static EcdsaSigningAlgorithm, point: &[u8]) -> bool {
        let random = SystemRandom::new();
        EcdsaKeyPair::from_private_key_and_public_key(algorithm, &self.scalar, point, &random)
            .is_ok()
    }
}

impl<'a> Fields<'a> {
    fn read(der: &mut Der<'a>) -> Option<Self> {
        (der.next(INTEGER)? == [1]).then_some(())?;
        let scalar = der.next(OCTET_STRING)?;
        let mut tagged = |tag| der.is_next(tag).then(|| der.next(tag));
        let (parameters, point) = (tagged(PARAMETERS), tagged(PUBLIC_KEY));
        let parameters = match parameters {
            Some(content) => Some(whole(content?, Der::any)?),
            None => None,
        };
        let point = match point {
            Some(content) => Some(whole(content?, Der::bit_string)?),
            None => None,
        };
        Some(Self { scalar, parameters, point })
    }
}

/// A number with the byte length of its curve. In a key, leading zeros may be missing or
/// too many.
fn padded(number: &[u8], len: usize) -> Option<Zeroizing<Vec<u8>>> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let number = number.get(zeros..)?;
    let missing = len.checked_sub(number.len())?;
    let mut padded = Zeroizing::new(vec![0; len]);
    padded.get_mut(missing..)?.copy_from_slice(number);
    Some(padded)
}
