//! Checks whether a certificate is strict DER (X.690) with the structure of RFC 5280,
//! section 4.1. The library that parses it accepts some wrong tags; Envoy does not, and
//! would reject the whole listener.

use jiff::civil::DateTime;

use super::der::{
    BIT_STRING, BOOLEAN, Der, INTEGER, NULL, OCTET_STRING, OID, SEQUENCE, SET, is_bit_string,
    is_integer, is_oid, whole,
};

const ENUMERATED: u8 = 0x0a;
const RELATIVE_OID: u8 = 0x0d;
const UTF8_STRING: u8 = 0x0c;
const BMP_STRING: u8 = 0x1e;
const UNIVERSAL_STRING: u8 = 0x1c;
const IA5_STRING: u8 = 0x16;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const VERSION: u8 = 0xa0;
const ISSUER_ID: u8 = 0x81;
const SUBJECT_ID: u8 = 0x82;
const EXTENSIONS: u8 = 0xa3;

/// Whether the certificate is strict DER.
pub(super) fn is_certificate(der: &[u8]) -> bool {
    whole(der, certificate).is_some()
}

fn certificate(der: &mut Der<'_>) -> Option<()> {
    let mut certificate = der.inside(SEQUENCE)?;
    let mut signed = certificate.inside(SEQUENCE)?;
    // Version 1 is the default and omitted. Only later versions have identifiers, and
    // only version 3 has extensions.
    let version = if signed.is_next(VERSION) { signed.next(VERSION)? } else { &[] };
    matches!(version, [] | [INTEGER, 1, 1 | 2]).then_some(())?;
    signed.integer()?;
    let signature = algorithm(&mut signed)?;
    name(&mut signed)?;
    let mut validity = signed.inside(SEQUENCE)?;
    time(&mut validity)?;
    time(&mut validity)?;
    validity.end()?;
    name(&mut signed)?;
    let mut key = signed.inside(SEQUENCE)?;
    algorithm(&mut key)?;
    key.bit_string()?;
    key.end()?;
    for id in [ISSUER_ID, SUBJECT_ID] {
        if !version.is_empty() && signed.is_next(id) {
            is_bit_string(signed.next(id)?).then_some(())?;
        }
    }
    if version == [INTEGER, 1, 2] && signed.is_next(EXTENSIONS) {
        extensions(&mut signed)?;
    }
    signed.end()?;
    (algorithm(&mut certificate)? == signature).then_some(())?;
    certificate.bit_string()?;
    certificate.end()
}

/// An algorithm, with its bytes.
fn algorithm<'a>(der: &mut Der<'a>) -> Option<&'a [u8]> {
    let content = der.next(SEQUENCE)?;
    let mut algorithm = Der::new(content);
    algorithm.oid()?;
    if !algorithm.is_empty() {
        match algorithm.any()? {
            (OID, content) => is_oid(content).then_some(())?,
            (NULL, content) => content.is_empty().then_some(())?,
            (SEQUENCE, _) => {}
            _ => return None,
        }
    }
    algorithm.end()?;
    Some(content)
}

pub(super) fn name(der: &mut Der<'_>) -> Option<()> {
    let mut parts = der.inside(SEQUENCE)?;
    while !parts.is_empty() {
        let mut part = parts.inside(SET)?;
        // Each has one attribute or more.
        loop {
            attribute(&mut part)?;
            if part.is_empty() {
                break;
            }
        }
    }
    Some(())
}

pub(super) fn attribute(der: &mut Der<'_>) -> Option<()> {
    let mut attribute = der.inside(SEQUENCE)?;
    attribute.oid()?;
    let (tag, text) = attribute.any()?;
    is_string(tag, text).then_some(())?;
    attribute.end()
}

/// Whether it is a `DirectoryString`.
pub(super) fn is_directory_string(tag: u8, text: &[u8]) -> bool {
    tag != IA5_STRING && is_string(tag, text)
}

/// Whether it is a string of a type that is allowed in names.
fn is_string(tag: u8, text: &[u8]) -> bool {
    let is_ascii = |byte: &u8| byte.is_ascii();
    match tag {
        UTF8_STRING => std::str::from_utf8(text).is_ok_and(|text| text.chars().all(is_character)),
        BMP_STRING => are_characters(text, 2),
        UNIVERSAL_STRING => are_characters(text, 4),
        // PrintableString and IA5String; TeletexString allows all bytes.
        0x13 | IA5_STRING => text.iter().all(is_ascii),
        0x14 => true,
        _ => false,
    }
}

/// Whether all characters, of `width` bytes each, are valid.
fn are_characters(text: &[u8], width: usize) -> bool {
    let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
    text.len().is_multiple_of(width)
        && text.chunks(width).all(|bytes| char::from_u32(number(bytes)).is_some_and(is_character))
}

/// Whether it is not a noncharacter of Unicode, which `BoringSSL` rejects.
fn is_character(character: char) -> bool {
    let number = u32::from(character);
    number & 0xfffe != 0xfffe && !(0xfdd0..=0xfdef).contains(&number)
}

/// Whether it is a value of any type, with valid content for the type.
pub(super) fn is_value(tag: u8, content: &[u8]) -> bool {
    match tag {
        BOOLEAN => matches!(content, [0 | 0xff]),
        INTEGER | ENUMERATED => is_integer(content),
        BIT_STRING => is_bit_string(content),
        NULL => content.is_empty(),
        OID | RELATIVE_OID => is_oid(content),
        UTF8_STRING | BMP_STRING | UNIVERSAL_STRING => is_string(tag, content),
        UTC_TIME | GENERALIZED_TIME => is_time(tag, content),
        // Constructed types: EXTERNAL, EMBEDDED PDV, sequences and sets, CHARACTER
        // STRING; and an unassigned one.
        0x28 | 0x2b | SEQUENCE | SET | 0x3d | 0x2f => true,
        // All others are primitive; 0 is not a type.
        _ => tag >= 0x40 || (1..0x20).contains(&tag),
    }
}

fn time(der: &mut Der<'_>) -> Option<()> {
    let (tag, text) = der.any()?;
    is_time(tag, text).then_some(())
}

/// Whether it is a time to the second, in UTC.
fn is_time(tag: u8, text: &[u8]) -> bool {
    let Some((b'Z', digits)) = text.split_last() else { return false };
    let (pairs, []) = digits.as_chunks::<2>() else { return false };
    if !digits.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let digit = |digit: u8| i8::try_from(digit - b'0').unwrap_or_default();
    let numbers = pairs.iter().map(|[tens, ones]| digit(*tens) * 10 + digit(*ones));
    let numbers: Vec<i8> = numbers.collect();
    let (year, rest) = match (tag, &*numbers) {
        // The years mean 1950 to 2049, whose leap years are the same.
        (UTC_TIME, [year, rest @ ..]) => (2000 + i16::from(*year), rest),
        (GENERALIZED_TIME, [century, year, rest @ ..]) => {
            (i16::from(*century) * 100 + i16::from(*year), rest)
        }
        _ => return false,
    };
    let &[month, day, hour, minute, second] = rest else { return false };
    DateTime::new(year, month, day, hour, minute, second, 0).is_ok()
}

fn extensions(der: &mut Der<'_>) -> Option<()> {
    let mut outer = der.inside(EXTENSIONS)?;
    let mut extensions = outer.inside(SEQUENCE)?;
    outer.end()?;
    while !extensions.is_empty() {
        let mut extension = extensions.inside(SEQUENCE)?;
        extension.oid()?;
        if extension.is_next(BOOLEAN) {
            // False is the default, which DER omits.
            (extension.next(BOOLEAN)? == [0xff]).then_some(())?;
        }
        extension.next(OCTET_STRING)?;
        extension.end()?;
    }
    Some(())
}
