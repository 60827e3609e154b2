//! What can be wrong with a certificate and its key.

use crate::finding::Code;

/// One thing that is wrong, and what to do about it. It never repeats a part of
/// a key.
///
/// An error is what Envoy 1.40 refuses, and all its listeners with it, or more than
/// is looked into; the certificate is not to be served then. The rest is for clients
/// to decide: a certificate is served as its Secret says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    #[error("is larger than 1 MiB; give the certificate and those that issued it alone")]
    ChainTooLarge,
    #[error("is larger than 1 MiB; give one private key alone")]
    KeyTooLarge,
    #[error(
        "holds {0} certificates, more than clients take; give the server's own and those that issued it"
    )]
    ChainTooLong(usize),
    #[error(
        "is broken PEM: {0}; replace it by what the certificate authority gave, unchanged from -----BEGIN to -----END"
    )]
    BrokenChain(&'static str),
    #[error("holds no certificate; give one in PEM, which begins with -----BEGIN CERTIFICATE-----")]
    NoCertificate,
    #[error("certificate {0} of the chain is malformed; have it issued again")]
    Malformed(usize),
    #[error(
        "the key usage of the certificate is malformed, so Envoy refuses it; have it issued again"
    )]
    MalformedKeyUsage,
    #[error(
        "the extension {1} of certificate {0} of the chain is malformed, so clients may refuse it; have the certificate issued again"
    )]
    MalformedExtension(usize, &'static str),
    #[error(
        "certificate {0} of the chain has a pathLenConstraint and is not that of a CA, so some clients refuse it; have it issued again without"
    )]
    PathLengthWithoutCa(usize),
    #[error(
        "is broken PEM: {0}; replace it by the key as it was made, unchanged from -----BEGIN to -----END"
    )]
    BrokenKey(&'static str),
    #[error("holds no private key; give one in PEM, which begins with -----BEGIN PRIVATE KEY-----")]
    NoKey,
    #[error(
        "is encrypted, and nobody is there to give the password; decrypt it: openssl pkey -in FILE"
    )]
    EncryptedKey,
    #[error("is malformed; replace it by the key as it was made: openssl pkey -check -in FILE")]
    MalformedKey,
    #[error(
        "is in version 2 of PKCS #8, which Envoy does not read; convert it: openssl pkey -in FILE"
    )]
    NewerPkcs8,
    #[error(
        "is a key of a kind that Envoy does not take; use ECDSA on P-256, P-384 or P-521, or RSA of 2048 to 8192 bits"
    )]
    UnsupportedKey,
    #[error("is an RSA key of {0} bits, of which Envoy demands 2048 or more; make a new one")]
    WeakKey(usize),
    #[error(
        "is not the key of any certificate in tls.crt; give the two that were made together: openssl x509 -pubkey -noout -in FILE and openssl pkey -pubout -in FILE print the same"
    )]
    Mismatch,
    #[error("the certificate has been expired since {0}, so clients refuse it; renew it")]
    Expired(jiff::Timestamp),
    #[error(
        "the certificate is valid only from {0} on, so clients refuse it before; use another until then, or correct the clock of this machine"
    )]
    NotYetValid(jiff::Timestamp),
    #[error("the certificate expires at {0}; renew it")]
    ExpiresSoon(jiff::Timestamp),
    #[error(
        "the certificate demands a stapled OCSP response (TLS feature status_request), and without one Envoy refuses it; have it issued without that demand"
    )]
    MustStaple,
    #[error(
        "the key usage of the certificate is not for signatures, so Envoy refuses it; have it issued with digitalSignature"
    )]
    NotForSignatures,
    #[error(
        "the certificate is not for servers, so clients refuse it; have it issued with the extended key usage serverAuth"
    )]
    NotForServers,
    #[error(
        "the certificate names nobody, so Envoy refuses it; have it issued with the hosts as subject alternative names"
    )]
    NoNames,
    #[error(
        "the certificate names no host as subject alternative name, and clients ignore its common name; have it issued with the hosts as such names"
    )]
    NoHosts,
    #[error("the certificate is signed with {0}, which clients refuse; have it issued again")]
    WeakSignature(&'static str),
    #[error(
        "the certificate that belongs to the key is number {0}; it is served first all the same, put it first"
    )]
    LeafNotFirst(usize),
    #[error(
        "certificate {0} of the chain issued none of those before it, though one after it; put each behind the one that it issued"
    )]
    OutOfOrder(usize),
    #[error("certificate {0} of the chain issued none of the others; remove it")]
    Stranger(usize),
    #[error(
        "certificate {0} of the chain has been expired since {1}, so clients may refuse it; replace it by the issuer's new one"
    )]
    IssuerExpired(usize, jiff::Timestamp),
}

impl Problem {
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::ChainTooLarge | Self::KeyTooLarge | Self::ChainTooLong(_) => {
                Code::CertificateTooLarge
            }
            Self::BrokenChain(_) | Self::BrokenKey(_) => Code::PemNotValid,
            Self::NoCertificate | Self::NoKey => Code::PemMissing,
            Self::Malformed(_) | Self::MalformedKeyUsage => Code::CertificateMalformed,
            Self::MalformedExtension(..) | Self::PathLengthWithoutCa(_) => {
                Code::CertificateExtensionMalformed
            }
            Self::EncryptedKey => Code::KeyEncrypted,
            Self::MalformedKey => Code::KeyMalformed,
            Self::NewerPkcs8 => Code::KeyFormatNotSupported,
            Self::UnsupportedKey | Self::WeakKey(_) => Code::KeyNotSupported,
            Self::Mismatch => Code::KeyNotOfCertificate,
            Self::Expired(_) => Code::CertificateExpired,
            Self::NotYetValid(_) => Code::CertificateNotYetValid,
            Self::ExpiresSoon(_) => Code::CertificateExpiresSoon,
            Self::MustStaple => Code::CertificateMustStaple,
            Self::NotForSignatures => Code::CertificateNotForSignatures,
            Self::NotForServers => Code::CertificateNotForServers,
            Self::NoNames => Code::CertificateWithoutNames,
            Self::NoHosts => Code::CertificateWithoutHosts,
            Self::WeakSignature(_) => Code::CertificateWeakSignature,
            Self::LeafNotFirst(_) | Self::OutOfOrder(_) | Self::Stranger(_) => {
                Code::CertificateChainDisordered
            }
            Self::IssuerExpired(..) => Code::IssuerExpired,
        }
    }

    /// The key of the Secret that it is about: `tls.crt` or `tls.key`.
    pub(crate) fn key(&self) -> &'static str {
        match self {
            Self::KeyTooLarge
            | Self::BrokenKey(_)
            | Self::NoKey
            | Self::EncryptedKey
            | Self::MalformedKey
            | Self::NewerPkcs8
            | Self::UnsupportedKey
            | Self::WeakKey(_)
            | Self::Mismatch => "tls.key",
            _ => "tls.crt",
        }
    }
}
