//! The problems of a certificate and its key.

use super::Role;
use crate::finding::Code;

/// A problem and its remedy. The message never contains a part of a key.
///
/// A problem is an error if Envoy 1.40 rejects the certificate, and with it all its
/// listeners, or if a limit is exceeded; the certificate is not served then. The others
/// are decided by clients: the certificate is served as in its Secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    #[error("is larger than 1 MiB; keep only the certificate and those that issued it")]
    ChainTooLarge,
    #[error("is larger than 1 MiB; keep only one private key")]
    KeyTooLarge,
    #[error(
        "has {0} certificates, more than clients accept; keep only the server's own and those that issued it"
    )]
    ChainTooLong(usize),
    #[error(
        "is not valid PEM: {0}; replace it by the file from the certificate authority, unchanged from -----BEGIN to -----END"
    )]
    BrokenChain(&'static str),
    #[error("has no certificate; add one in PEM, which begins with -----BEGIN CERTIFICATE-----")]
    NoCertificate,
    #[error("certificate {0} of the chain is malformed; have it issued again")]
    Malformed(usize),
    #[error(
        "the key usage of the certificate is malformed, so Envoy rejects it; have it issued again"
    )]
    MalformedKeyUsage,
    #[error(
        "the extension {1} of certificate {0} of the chain is malformed, so clients may reject it; have the certificate issued again"
    )]
    MalformedExtension(usize, &'static str),
    #[error(
        "certificate {0} of the chain has a pathLenConstraint but is not a CA certificate, so some clients reject it; have it issued again without pathLenConstraint"
    )]
    PathLengthWithoutCa(usize),
    #[error(
        "is not valid PEM: {0}; replace it by the original key, unchanged from -----BEGIN to -----END"
    )]
    BrokenKey(&'static str),
    #[error("has no private key; add one in PEM, which begins with -----BEGIN PRIVATE KEY-----")]
    NoKey,
    #[error(
        "is encrypted, and the gateway has no password for it; decrypt it: openssl pkey -in FILE"
    )]
    EncryptedKey,
    #[error(
        "is malformed; replace it by the original key, and check that: openssl pkey -check -in FILE"
    )]
    MalformedKey,
    #[error(
        "is in version 2 of PKCS #8, which Envoy does not read; convert it: openssl pkey -in FILE"
    )]
    NewerPkcs8,
    #[error(
        "is a kind of key that Envoy does not support; use ECDSA on P-256, P-384 or P-521, or RSA of 2048 to 8192 bits"
    )]
    UnsupportedKey,
    #[error("is an RSA key of {0} bits, but Envoy requires 2048 or more; create a new key")]
    WeakKey(usize),
    #[error(
        "does not belong to any certificate in tls.crt; use the key that the certificate was issued for, for which openssl x509 -pubkey -noout -in FILE and openssl pkey -pubout -in FILE print the same"
    )]
    Mismatch,
    #[error("the certificate expired at {0}, so clients reject it; renew it")]
    Expired(jiff::Timestamp),
    #[error(
        "the certificate is not valid before {0}, so clients reject it; use another one until then, or correct the clock of this machine"
    )]
    NotYetValid(jiff::Timestamp),
    #[error("the certificate expires at {0}; renew it")]
    ExpiresSoon(jiff::Timestamp),
    #[error(
        "the certificate requires a stapled OCSP response (TLS feature status_request), and without one Envoy rejects it; have it issued without this feature"
    )]
    MustStaple,
    #[error(
        "the key usage of the certificate does not allow signatures, so Envoy rejects it; have it issued with digitalSignature"
    )]
    NotForSignatures,
    #[error(
        "the certificate is not for servers, so clients reject it; have it issued with the extended key usage serverAuth"
    )]
    NotForServers,
    #[error(
        "the certificate has neither a subject nor a subject alternative name, so Envoy rejects it; have it issued with the hosts as subject alternative names"
    )]
    NoNames,
    #[error(
        "the certificate has no host as subject alternative name, and clients ignore its common name; have it issued with the hosts as subject alternative names"
    )]
    NoHosts,
    #[error("the certificate is signed with {0}, which clients reject; have it issued again")]
    WeakSignature(&'static str),
    #[error(
        "the certificate of the key is number {0} of the chain; put it first, since it is served first"
    )]
    LeafNotFirst(usize),
    #[error(
        "certificate {0} of the chain is before one that it issued; put each certificate after the one that it issued"
    )]
    OutOfOrder(usize),
    #[error("certificate {0} of the chain did not issue any of the others; remove it")]
    Stranger(usize),
    #[error(
        "certificate {0} of the chain expired at {1}, so clients may reject it; replace it by the issuer's new one"
    )]
    IssuerExpired(usize, jiff::Timestamp),
    #[error("is larger than 256 KiB; keep only the authorities of the service")]
    AuthoritiesTooLarge,
    #[error(
        "is not valid PEM: {0}; replace it by the file of the authority, unchanged from -----BEGIN to -----END"
    )]
    BrokenAuthorities(&'static str),
    #[error(
        "has no certificate; add that of the authority in PEM, which begins with -----BEGIN CERTIFICATE-----"
    )]
    NoAuthority,
    #[error("certificate {0} is malformed; replace it by the original one")]
    MalformedAuthority(usize),
    #[error(
        "certificate {0} expired at {1}, so certificates that it issued are not accepted; replace it by the new one"
    )]
    AuthorityExpired(usize, jiff::Timestamp),
}

impl Problem {
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::ChainTooLarge
            | Self::KeyTooLarge
            | Self::ChainTooLong(_)
            | Self::AuthoritiesTooLarge => Code::CertificateTooLarge,
            Self::BrokenChain(_) | Self::BrokenKey(_) | Self::BrokenAuthorities(_) => {
                Code::PemNotValid
            }
            Self::NoCertificate | Self::NoKey | Self::NoAuthority => Code::PemMissing,
            Self::Malformed(_) | Self::MalformedKeyUsage | Self::MalformedAuthority(_) => {
                Code::CertificateMalformed
            }
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
            Self::IssuerExpired(..) | Self::AuthorityExpired(..) => Code::IssuerExpired,
        }
    }

    /// The message about a certificate with this role: servers verify that of a client.
    pub(crate) fn message(&self, role: Role) -> String {
        let message = self.to_string();
        match role {
            Role::Server => message,
            Role::Client => message.replace("clients ", "servers "),
        }
    }

    /// Whether it is a problem only for a certificate that clients verify.
    pub(super) fn is_only_of_servers(&self) -> bool {
        matches!(self, Self::NotForServers | Self::NoNames | Self::NoHosts | Self::MustStaple)
    }

    /// The affected key of the Secret: `tls.crt` or `tls.key`.
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
