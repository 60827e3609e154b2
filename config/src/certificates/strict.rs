//! Whether a certificate is DER to the letter (X.690) and has the structure of
//! RFC 5280, section 4.1. The library that reads it forgives a wrong tag here
//! and there, Envoy does not: it would take a listener down.

const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const NULL: u8 = 0x05;
const OID: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const BMP_STRING: u8 = 0x1e;
const UNIVERSAL_STRING: u8 = 0x1c;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;
const ISSUER_ID: u8 = 0x81;
const SUBJECT_ID: u8 = 0x82;
const EXTENSIONS: u8 = 0xa3;

/// See the module.
pub(super) fn is_certificate(der: &[u8]) -> bool {
    whole(der, certificate)
}

fn certificate(der: &mut Der<'_>) -> Option<()> {
    let mut certificate = der.inside(SEQUENCE)?;
    let mut signed = certificate.inside(SEQUENCE)?;
    // Version 1, the default, is not written; only version 3 has extensions.
    let version = if signed.is_next(VERSION) { signed.next(VERSION)? } else { &[] };
    matches!(version, [] | [INTEGER, 1, 1 | 2]).then_some(())?;
    integer(signed.next(INTEGER)?)?;
    let signature = algorithm(&mut signed)?;
    name(&mut signed)?;
    let mut validity = signed.inside(SEQUENCE)?;
    time(&mut validity)?;
    time(&mut validity)?;
    validity.end()?;
    name(&mut signed)?;
    let mut key = signed.inside(SEQUENCE)?;
    algorithm(&mut key)?;
    bit_string(&mut key)?;
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
    bit_string(&mut certificate)?;
    certificate.end()
}

/// An algorithm, and all of its bytes.
fn algorithm<'a>(der: &mut Der<'a>) -> Option<&'a [u8]> {
    let content = der.next(SEQUENCE)?;
    let mut algorithm = Der(content);
    oid(&mut algorithm)?;
    if !algorithm.0.is_empty() {
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
    while !parts.0.is_empty() {
        let mut part = parts.inside(SET)?;
        // Each holds one attribute or more.
        loop {
            let mut attribute = part.inside(SEQUENCE)?;
            oid(&mut attribute)?;
            let (tag, text) = attribute.any()?;
            is_string(tag, text).then_some(())?;
            attribute.end()?;
            if part.0.is_empty() {
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
    while !extensions.0.is_empty() {
        let mut extension = extensions.inside(SEQUENCE)?;
        oid(&mut extension)?;
        if extension.is_next(BOOLEAN) {
            // False is the default, which DER does not write.
            (extension.next(BOOLEAN)? == [0xff]).then_some(())?;
        }
        extension.next(OCTET_STRING)?;
        extension.end()?;
    }
    Some(())
}

fn oid(der: &mut Der<'_>) -> Option<()> {
    is_oid(der.next(OID)?).then_some(())
}

/// Whether each number in it ends, and begins with no zero.
fn is_oid(content: &[u8]) -> bool {
    let is_end = |byte: &u8| byte & 0x80 == 0;
    content.last().is_some_and(is_end)
        && content.split_inclusive(is_end).all(|number| number.first() != Some(&0x80))
}

/// A number in as few bytes as it takes.
fn integer(content: &[u8]) -> Option<()> {
    match content {
        [] | [0, 0..=0x7f, ..] | [0xff, 0x80..=0xff, ..] => None,
        _ => Some(()),
    }
}

/// Of whole bytes, as keys and signatures are.
fn bit_string(der: &mut Der<'_>) -> Option<()> {
    (*der.next(BIT_STRING)?.first()? == 0).then_some(())
}

fn whole<'a>(der: &'a [u8], read: impl FnOnce(&mut Der<'a>) -> Option<()>) -> bool {
    let mut der = Der(der);
    read(&mut der).and_then(|()| der.end()).is_some()
}

/// Whether this is an RSA public key (RFC 8017).
pub(super) fn is_rsa_key(der: &[u8]) -> bool {
    whole(der, |der| {
        let mut numbers = der.inside(SEQUENCE)?;
        integer(numbers.next(INTEGER)?)?;
        integer(numbers.next(INTEGER)?)?;
        numbers.end()
    })
}

/// What is left to read.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn is_next(&self, tag: u8) -> bool {
        self.0.first() == Some(&tag)
    }

    /// The content of what comes next, which has this tag.
    fn next(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.is_next(tag).then_some(())?;
        self.any().map(|(_, content)| content)
    }

    fn inside(&mut self, tag: u8) -> Option<Self> {
        self.next(tag).map(Self)
    }

    /// The tag and the content of what comes next, whose length is written in
    /// as few bytes as it takes.
    fn any(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, rest) = self.0.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(*first), rest),
            0x81..=0x83 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let length = bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
                let is_short = *bytes.first()? == 0 || length < 0x80;
                (!is_short).then_some((length, rest))?
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        // A number after the tag is in no certificate.
        (tag & 0x1f != 0x1f).then_some((*tag, content))
    }

    fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}
