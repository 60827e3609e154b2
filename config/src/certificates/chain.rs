//! Chains of certificates: the server's own, and those of its issuers.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::{OID_KEY_TYPE_EC_PUBLIC_KEY, Oid, asn1_rs::oid};
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

use super::pem;
use super::problem::Problem;
use super::strict;

/// Clients accept no longer chain; usual ones have two to four certificates.
const MAX_CERTIFICATES: usize = 32;

/// The time before a certificate expires from which it is reported, in seconds.
const SOON: i64 = 14 * 24 * 60 * 60;

/// Signature algorithms that clients no longer trust.
const WEAK_SIGNATURES: [(Oid<'_>, &str); 4] = [
    (oid!(1.2.840.113549.1.1.4), "MD5"),
    (oid!(1.2.840.113549.1.1.5), "SHA-1"),
    (oid!(1.3.14.3.2.29), "SHA-1"),
    (oid!(1.2.840.10045.4.1), "SHA-1"),
];

/// The extension of RFC 7633.
const TLS_FEATURE: Oid<'_> = oid!(1.3.6.1.5.5.7.1.24);

/// The number of `status_request` in DER.
const STATUS_REQUEST: [u8; 3] = [2, 1, 5];

/// Reads the certificates from PEM, without parsing them.
pub(super) fn read(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem::unglued(text)).collect();
    let all = all.map_err(|error| Problem::BrokenChain(pem::describe(&error)))?;
    match all.len() {
        0 => Err(Problem::NoCertificate),
        1..=MAX_CERTIFICATES => Ok(all),
        more => Err(Problem::ChainTooLong(more)),
    }
}

/// Parses the certificates. Envoy rejects the whole chain if one of them does not
/// parse.
pub(super) fn parse<'a>(
    chain: &'a [CertificateDer<'_>],
) -> Result<Vec<X509Certificate<'a>>, Problem> {
    let parse = |(index, der): (usize, &'a CertificateDer<'_>)| {
        let malformed = Problem::Malformed(index + 1);
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| malformed.clone())?;
        // A repeated extension is an error, too (RFC 5280, section 4.2).
        let is_sound =
            rest.is_empty() && certificate.extensions_map().is_ok() && strict::is_certificate(der);
        if is_sound { Ok(certificate) } else { Err(malformed) }
    };
    chain.iter().enumerate().map(parse).collect()
}

/// Checks the server's own certificate.
pub(super) fn check_leaf(leaf: &X509Certificate<'_>, now: i64, problems: &mut Vec<Problem>) {
    problems.extend(validity(leaf, now));
    problems.extend(usage(leaf));
    problems.extend(naming(leaf));
    let signature = &leaf.signature_algorithm.algorithm;
    let weak = WEAK_SIGNATURES.into_iter().find(|(algorithm, _)| algorithm == signature);
    problems.extend(weak.map(|(_, name)| Problem::WeakSignature(name)));
}

/// The times at which the findings about the validity change: it begins, ends soon, and
/// has ended.
pub(super) fn turns(leaf: &X509Certificate<'_>) -> [i64; 3] {
    let (from, to) = (leaf.validity().not_before, leaf.validity().not_after);
    let [from, to] = [from, to].map(|time| time.timestamp());
    // The last second is included in each period.
    [from, to.saturating_sub(SOON).saturating_add(1), to.saturating_add(1)]
}

fn validity(leaf: &X509Certificate<'_>, now: i64) -> Option<Problem> {
    let validity = leaf.validity();
    let (from, to) = (validity.not_before, validity.not_after);
    if now > to.timestamp() {
        return Some(Problem::Expired(time(to)));
    }
    if now < from.timestamp() {
        return Some(Problem::NotYetValid(time(from)));
    }
    (to.timestamp().saturating_sub(now) < SOON).then(|| Problem::ExpiresSoon(time(to)))
}

/// Both types have years up to 9999.
pub(super) fn time(time: ASN1Time) -> jiff::Timestamp {
    jiff::Timestamp::from_second(time.timestamp()).unwrap_or(jiff::Timestamp::MAX)
}

/// Checks the uses that the certificate allows. Malformed extensions are ignored here;
/// `extensions` reports them.
fn usage(leaf: &X509Certificate<'_>) -> Vec<Problem> {
    let usage = leaf.key_usage().ok().flatten();
    let extended = leaf.extended_key_usage().ok().flatten();
    let mut problems = Vec::new();
    // BoringSSL requires this only for ECDSA keys.
    let is_ecdsa = leaf.public_key().algorithm.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY;
    if is_ecdsa && usage.is_some_and(|usage| !usage.value.digital_signature()) {
        problems.push(Problem::NotForSignatures);
    }
    if extended.is_some_and(|usage| !usage.value.any && !usage.value.server_auth) {
        problems.push(Problem::NotForServers);
    }
    let feature = leaf.get_extension_unique(&TLS_FEATURE).ok().flatten();
    let demands =
        |value: &[u8]| value.windows(STATUS_REQUEST.len()).any(|part| part == STATUS_REQUEST);
    if feature.is_some_and(|feature| demands(feature.value)) {
        problems.push(Problem::MustStaple);
    }
    problems
}

/// Checks the names of the certificate. Envoy requires a name of any kind; clients use
/// only subject alternative names (RFC 9525, section 2).
fn naming(leaf: &X509Certificate<'_>) -> Option<Problem> {
    let alternatives = leaf.subject_alternative_name().ok().flatten();
    if !dns_names(leaf).is_empty() {
        return None;
    }
    let is_counted =
        |name: &GeneralName<'_>| matches!(name, GeneralName::IPAddress(_) | GeneralName::URI(_));
    let has_name = leaf.subject().iter_common_name().next().is_some()
        || alternatives.is_some_and(|names| names.value.general_names.iter().any(is_counted));
    Some(if has_name { Problem::NoHosts } else { Problem::NoNames })
}

/// The DNS names among the subject alternative names, unchanged.
pub(super) fn dns_names(leaf: &X509Certificate<'_>) -> Vec<String> {
    let names = leaf.subject_alternative_name().ok().flatten();
    let names = names.map_or(&[][..], |names| &names.value.general_names);
    let dns = names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    });
    dns.collect()
}

/// Checks the certificates other than the leaf, which is at `leaf`: each has to have
/// issued one before it (RFC 5246, section 7.4.2).
pub(super) fn check_issuers(
    chain: &[X509Certificate<'_>],
    leaf: usize,
    now: i64,
    problems: &mut Vec<Problem>,
) {
    if leaf > 0 {
        problems.push(Problem::LeafNotFirst(leaf + 1));
    }
    for (index, certificate) in chain.iter().enumerate().filter(|(index, _)| *index != leaf) {
        let has_issued = |(other, issued): (usize, &X509Certificate<'_>)| {
            other != index && issued.issuer() == certificate.subject()
        };
        // The leaf is served first.
        let is_before = |(other, _): &(usize, _)| *other < index || *other == leaf;
        if !chain.iter().enumerate().any(has_issued) {
            problems.push(Problem::Stranger(index + 1));
        } else if !chain.iter().enumerate().filter(is_before).any(has_issued) {
            problems.push(Problem::OutOfOrder(index + 1));
        }
        let end = certificate.validity().not_after;
        if now > end.timestamp() {
            problems.push(Problem::IssuerExpired(index + 1, time(end)));
        }
    }
}
