//! Checks the extensions of a certificate (RFC 5280, section 4.2.1) strictly. `BoringSSL`
//! reads the key usage when it loads a certificate, and all extensions that are checked
//! here when it verifies one. The library that parses the rest of a certificate accepts
//! wrong tags, and bytes after a value.

use x509_parser::certificate::X509Certificate;
use x509_parser::oid_registry::{
    OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER, OID_X509_EXT_BASIC_CONSTRAINTS,
    OID_X509_EXT_CRL_DISTRIBUTION_POINTS, OID_X509_EXT_EXTENDED_KEY_USAGE, OID_X509_EXT_KEY_USAGE,
    OID_X509_EXT_NAME_CONSTRAINTS, OID_X509_EXT_SUBJECT_ALT_NAME,
    OID_X509_EXT_SUBJECT_KEY_IDENTIFIER, Oid,
};

use super::der::{
    BIT_STRING, BOOLEAN, Der, OCTET_STRING, SEQUENCE, is_bit_string, is_integer, is_oid, whole,
};
use super::problem::Problem;
use super::strict::{attribute, is_directory_string, is_value, name};

type Read = fn(&mut Der<'_>) -> Option<()>;

const KNOWN: [(Oid<'static>, &str, Read); 8] = [
    (OID_X509_EXT_BASIC_CONSTRAINTS, "basicConstraints", |der| basic_constraints(der).map(drop)),
    (OID_X509_EXT_KEY_USAGE, "keyUsage", |der| valid(is_bit_string(der.next(BIT_STRING)?))),
    (OID_X509_EXT_EXTENDED_KEY_USAGE, "extKeyUsage", |der| list(der, |der| der.oid().map(drop))),
    (OID_X509_EXT_SUBJECT_ALT_NAME, "subjectAltName", |der| list(der, general_name)),
    (OID_X509_EXT_NAME_CONSTRAINTS, "nameConstraints", name_constraints),
    (OID_X509_EXT_CRL_DISTRIBUTION_POINTS, "cRLDistributionPoints", |der| list(der, point)),
    (OID_X509_EXT_SUBJECT_KEY_IDENTIFIER, "subjectKeyIdentifier", |der| {
        der.next(OCTET_STRING).map(drop)
    }),
    (OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER, "authorityKeyIdentifier", authority_key),
];

/// Checks the extensions of the certificates of a chain, of which `leaf` is the server's
/// own.
pub(super) fn check(chain: &[X509Certificate<'_>], leaf: usize, problems: &mut Vec<Problem>) {
    for (index, certificate) in chain.iter().enumerate() {
        problems.extend(malformed(certificate).map(|(id, name)| match id {
            _ if id == OID_X509_EXT_KEY_USAGE && index == leaf => Problem::MalformedKeyUsage,
            _ => Problem::MalformedExtension(index + 1, name),
        }));
        let is_doubtful = path_length_without_ca(certificate).unwrap_or_default();
        problems.extend(is_doubtful.then_some(Problem::PathLengthWithoutCa(index + 1)));
    }
}

/// The names of the malformed extensions.
fn malformed(
    certificate: &X509Certificate<'_>,
) -> impl Iterator<Item = (Oid<'static>, &'static str)> {
    certificate.extensions().iter().filter_map(|extension| {
        let (id, name, read) = KNOWN.into_iter().find(|(id, ..)| *id == extension.oid)?;
        whole(extension.value, read).is_none().then_some((id, name))
    })
}

fn path_length_without_ca(certificate: &X509Certificate<'_>) -> Option<bool> {
    let extension = certificate.get_extension_unique(&OID_X509_EXT_BASIC_CONSTRAINTS).ok()??;
    let constraints = whole(extension.value, basic_constraints)?;
    Some(constraints.has_path_length && !constraints.is_ca)
}

struct BasicConstraints {
    is_ca: bool,
    has_path_length: bool,
}

fn basic_constraints(der: &mut Der<'_>) -> Option<BasicConstraints> {
    let mut fields = der.inside(SEQUENCE)?;
    let is_ca = if fields.is_next(BOOLEAN) {
        // False is the default, which DER omits, but `BoringSSL` accepts it.
        match fields.next(BOOLEAN)? {
            [0] => false,
            [0xff] => true,
            _ => return None,
        }
    } else {
        false
    };
    let has_path_length = !fields.is_empty();
    if has_path_length {
        fields.unsigned()?;
    }
    fields.end()?;
    Some(BasicConstraints { is_ca, has_path_length })
}

fn name_constraints(der: &mut Der<'_>) -> Option<()> {
    let mut fields = der.inside(SEQUENCE)?;
    optional(&mut fields, 0xa0, |permitted| all(permitted, subtree))?;
    optional(&mut fields, 0xa1, |excluded| all(excluded, subtree))?;
    fields.end()
}

fn subtree(der: &mut Der<'_>) -> Option<()> {
    let mut fields = der.inside(SEQUENCE)?;
    general_name(&mut fields)?;
    optional(&mut fields, 0x80, is_integer)?;
    optional(&mut fields, 0x81, is_integer)?;
    fields.end()
}

fn authority_key(der: &mut Der<'_>) -> Option<()> {
    let mut fields = der.inside(SEQUENCE)?;
    optional(&mut fields, 0x80, |_| true)?;
    optional(&mut fields, 0xa1, |issuer| all(issuer, general_name))?;
    optional(&mut fields, 0x82, is_integer)?;
    fields.end()
}

/// A `DistributionPoint` of lists of revoked certificates.
fn point(der: &mut Der<'_>) -> Option<()> {
    let mut fields = der.inside(SEQUENCE)?;
    optional(&mut fields, 0xa0, |name| whole(name, point_name).is_some())?;
    optional(&mut fields, 0x81, is_bit_string)?;
    optional(&mut fields, 0xa2, |issuer| all(issuer, general_name))?;
    fields.end()
}

fn point_name(der: &mut Der<'_>) -> Option<()> {
    match der.any()? {
        (0xa0, full) => valid(all(full, general_name)),
        (0xa1, relative) => valid(all(relative, attribute)),
        _ => None,
    }
}

fn general_name(der: &mut Der<'_>) -> Option<()> {
    valid(match der.any()? {
        (0xa0, other) => whole(other, other_name).is_some(),
        // rfc822Name, dNSName, x400Address, uniformResourceIdentifier, iPAddress.
        (0x81 | 0x82 | 0xa3 | 0x86 | 0x87, _) => true,
        (0xa4, directory) => whole(directory, name).is_some(),
        (0xa5, party) => whole(party, party_name).is_some(),
        (0x88, registered) => is_oid(registered),
        _ => false,
    })
}

fn other_name(der: &mut Der<'_>) -> Option<()> {
    der.oid()?;
    let value = der.next(0xa0)?;
    valid(whole(value, |der| der.any().filter(|(tag, content)| is_value(*tag, content))).is_some())
}

/// `EDIPartyName`.
fn party_name(der: &mut Der<'_>) -> Option<()> {
    let is_text = |field| {
        whole(field, |der| der.any().filter(|(tag, text)| is_directory_string(*tag, text)))
            .is_some()
    };
    optional(der, 0xa0, is_text)?;
    valid(is_text(der.next(0xa1)?))
}

/// A sequence of any number of values.
fn list(der: &mut Der<'_>, read: Read) -> Option<()> {
    valid(all(der.next(SEQUENCE)?, read))
}

fn all(content: &[u8], read: Read) -> bool {
    let mut der = Der::new(content);
    while !der.is_empty() {
        if read(&mut der).is_none() {
            return false;
        }
    }
    true
}

/// Reads a field if it is next.
fn optional<'a>(der: &mut Der<'a>, tag: u8, is_valid: impl FnOnce(&'a [u8]) -> bool) -> Option<()> {
    if der.is_next(tag) { valid(is_valid(der.next(tag)?)) } else { Some(()) }
}

fn valid(is_valid: bool) -> Option<()> {
    is_valid.then_some(())
}
