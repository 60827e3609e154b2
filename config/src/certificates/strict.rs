//! Whether a certificate is DER to the letter (X.690) and has the structure of
//! RFC 5280, section 4.1. The library that reads it forgives a wrong tag here
//! and there, Envoy does not: it would take a listener down.

use super::der::{Der, INTEGER, NULL, OCTET_STRING, OID, SEQUENCE, SET, is_oid, whole};

const BOOLEAN: u8 = 0x01;
const UTF8_STRING: u8 = 0x0c;
const BMP_STRING: u8 = 0x1e;
const UNIVERSAL_STRING: u8 = 0x1c;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const VERSION: u8 = 0xa0;
const ISSUER_ID: u8 = 0x81;
const SUBJECT_ID: u8 = 0x82;
const EXTENSIONS: u8 = 0xa3;

/// See the module.
pub(super) fn is_certificate(der: &[u8]) -> bool {
    whole(der, certificate).is_some()
}

fn certificate(der: &mut Der<'_>) -> Option<()> {
    let mut certificate = der.inside(SEQUENCE)?;
    let mut signed = certificate.inside(SEQUENCE)?;
    // Version 1, the default, is not written; only version 3 has extensions.
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
        if signed.is_next(id) {
            signed.next(id)?;
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

/// An algorithm, and all of its bytes.
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

fn name(der: &mut Der<'_>) -> Option<()> {
    let mut parts = der.inside(SEQUENCE)?;
    while !parts.is_empty() {
        let mut part = parts.inside(SET)?;
        // Each holds one attribute or more.
        loop {
            let mut attribute = part.inside(SEQUENCE)?;
            attribute.oid()?;
            let (tag, text) = attribute.any()?;
            is_string(tag, text).then_some(())?;
            attribute.end()?;
            if part.is_empty() {
                break;
            }
        }
    }
    Some(())
}

/// Whether it is a string of a type that names are made of.
fn is_string(tag: u8, text: &[u8]) -> bool {
    let is_ascii = |byte: &u8| byte.is_ascii();
    match tag {
        UTF8_STRING => std::str::from_utf8(text).is_ok(),
        BMP_STRING => are_characters(text, 2),
        UNIVERSAL_STRING => are_characters(text, 4),
        // PrintableString and IA5String; TeletexString has all bytes.
        0x13 | 0x16 => text.iter().all(is_ascii),
        0x14 => true,
        _ => false,
    }
}

/// Whether each `width` bytes are a character.
fn are_characters(text: &[u8], width: usize) -> bool {
    let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
    text.len().is_multiple_of(width)
        && text.chunks(width).all(|bytes| char::from_u32(number(bytes)).is_some())
}

fn time(der: &mut Der<'_>) -> Option<()> {
    let (tag, text) = der.any()?;
    let length = match tag {
        UTC_TIME => 13,
        GENERALIZED_TIME => 15,
        _ => return None,
    };
    let (zone, digits) = text.split_last()?;
    let is_time = text.len() == length && *zone == b'Z' && digits.iter().all(u8::is_ascii_digit);
    is_time.then_some(())
}

fn extensions(der: &mut Der<'_>) -> Option<()> {
    let mut outer = der.inside(EXTENSIONS)?;
    let mut extensions = outer.inside(SEQUENCE)?;
    outer.end()?;
    while !extensions.is_empty() {
        let mut extension = extensions.inside(SEQUENCE)?;
        extension.oid()?;
        if extension.is_next(BOOLEAN) {
            // False is the default, which DER does not write.
            (extension.next(BOOLEAN)? == [0xff]).then_some(())?;
        }
        extension.next(OCTET_STRING)?;
        extension.end()?;
    }
    Some(())
}
