//! RSA keys (RFC 8017). Envoy rejects a key if any of its numbers does not match the
//! others.

use crypto_bigint::{BoxedUint, ConcatenatingMul};
use zeroize::Zeroizing;

use super::der::{Der, sequence};

/// `RSAPrivateKey`: its numbers, big-endian and without leading zeros.
pub(super) struct PrivateKey<'a> {
    public: PublicKey<'a>,
    private_exponent: &'a [u8],
    first: Prime<'a>,
    second: Prime<'a>,
    /// The inverse of the second prime modulo the first.
    coefficient: &'a [u8],
}

/// `RSAPublicKey`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct PublicKey<'a> {
    modulus: &'a [u8],
    exponent: &'a [u8],
}

/// One of the two prime factors of the modulus.
struct Prime<'a> {
    prime: &'a [u8],
    /// The private exponent modulo the prime minus one.
    exponent: &'a [u8],
}

impl<'a> PublicKey<'a> {
    pub(super) fn read(der: &'a [u8]) -> Option<Self> {
        sequence(der, Self::fields)
    }

    fn fields(der: &mut Der<'a>) -> Option<Self> {
        Some(Self { modulus: der.unsigned()?, exponent: der.unsigned()? })
    }
}

impl<'a> PrivateKey<'a> {
    /// A key of two primes; Envoy does not support others.
    pub(super) fn read(der: &'a [u8]) -> Option<Self> {
        sequence(der, |der| {
            // Version 0, a number of zero bytes.
            der.unsigned()?.is_empty().then_some(())?;
            let public = PublicKey::fields(der)?;
            let private_exponent = der.unsigned()?;
            let primes = [der.unsigned()?, der.unsigned()?];
            let [first, second] = primes;
            let first = Prime { prime: first, exponent: der.unsigned()? };
            let second = Prime { prime: second, exponent: der.unsigned()? };
            Some(Self { public, private_exponent, first, second, coefficient: der.unsigned()? })
        })
    }

    pub(super) fn public(&self) -> PublicKey<'a> {
        self.public
    }

    /// The number of bits of the modulus.
    pub(super) fn bits(&self) -> usize {
        bits(self.public.modulus)
    }

    /// Whether the numbers match each other. Like `RSA_check_key` of `BoringSSL`, this does
    /// not prove that the primes are prime.
    pub(super) fn is_consistent(&self) -> bool {
        let PublicKey { modulus, exponent } = self.public;
        let is_odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
        let private = [
            self.private_exponent,
            self.first.prime,
            self.first.exponent,
            self.second.prime,
            self.second.exponent,
            self.coefficient,
        ];
        // This also bounds the work.
        private.into_iter().all(|number| number.len() <= modulus.len())
            && (2..=33).contains(&bits(exponent))
            && is_odd(exponent)
            && is_odd(modulus)
            && self.are_factors()
            && [&self.first, &self.second].into_iter().all(|prime| self.is_inverted(prime))
            && is_inverse(self.coefficient, self.second.prime, &number(self.first.prime))
    }

    fn are_factors(&self) -> bool {
        let (modulus, private) = (number(self.public.modulus), number(self.private_exponent));
        let (first, second) = (number(self.first.prime), number(self.second.prime));
        let product = Zeroizing::new(first.concatenating_mul(&*second));
        *private < *modulus && *first < *modulus && *second < *modulus && *product == *modulus
    }

    /// Whether both private exponents invert the public one modulo this prime.
    fn is_inverted(&self, Prime { prime, exponent }: &Prime<'_>) -> bool {
        let order = Zeroizing::new(number(prime).wrapping_sub(BoxedUint::one()));
        let public = self.public.exponent;
        is_product_one(self.private_exponent, public, &order)
            && is_inverse(exponent, public, &order)
    }
}

/// Whether a number below a modulus is the inverse of another.
fn is_inverse(inverse: &[u8], of: &[u8], modulus: &BoxedUint) -> bool {
    *number(inverse) < *modulus && is_product_one(inverse, of, modulus)
}

fn is_product_one(one: &[u8], other: &[u8], modulus: &BoxedUint) -> bool {
    let product = Zeroizing::new(number(one).concatenating_mul(&*number(other)));
    let rest = modulus.as_nz_vartime().map(|modulus| Zeroizing::new(product.rem_vartime(modulus)));
    rest.is_some_and(|rest| rest.is_one().to_bool())
}

fn number(bytes: &[u8]) -> Zeroizing<BoxedUint> {
    Zeroizing::new(BoxedUint::from_be_slice_vartime(bytes))
}

/// The number of bits of a number without leading zeros.
fn bits(number: &[u8]) -> usize {
    let unused = number.first().map_or(0, |first| first.leading_zeros() as usize);
    number.len() * 8 - unused
}
