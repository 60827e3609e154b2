//! A strict reader of DER (X.690): each value has the expected tag, and a length in the
//! fewest bytes.

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const NULL: u8 = 0x05;
pub(super) const OID: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// The remaining input.
pub(super) struct Der<'a>(&'a [u8]);

/// Reads the whole input; `None` if bytes are left.
pub(super) fn whole<'a, T>(
    der: &'a [u8],
    read: impl FnOnce(&mut Der<'a>) -> Option<T>,
) -> Option<T> {
    let mut der = Der(der);
    let value = read(&mut der)?;
    der.end()?;
    Some(value)
}

/// Reads a sequence, which has to be the whole input.
pub(super) fn sequence<'a, T>(
    der: &'a [u8],
    read: impl FnOnce(&mut Der<'a>) -> Option<T>,
) -> Option<T> {
    whole(whole(der, |der| der.next(SEQUENCE))?, read)
}

impl<'a> Der<'a> {
    pub(super) fn new(der: &'a [u8]) -> Self {
        Self(der)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn is_next(&self, tag: u8) -> bool {
        self.0.first() == Some(&tag)
    }

    /// The content of the next value, which has this tag.
    pub(super) fn next(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.is_next(tag).then_some(())?;
        self.any().map(|(_, content)| content)
    }

    pub(super) fn inside(&mut self, tag: u8) -> Option<Self> {
        self.next(tag).map(Self)
    }

    /// The tag and the content of the next value, whose length is in the fewest bytes.
    pub(super) fn any(&mut self) -> Option<(u8, &'a [u8])> {
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
        // Certificates have no tags of several bytes.
        (tag & 0x1f != 0x1f).then_some((*tag, content))
    }

    pub(super) fn oid(&mut self) -> Option<&'a [u8]> {
        self.next(OID).filter(|content| is_oid(content))
    }

    /// A number in the fewest bytes.
    pub(super) fn integer(&mut self) -> Option<&'a [u8]> {
        self.next(INTEGER).filter(|content| is_integer(content))
    }

    /// A number that is not negative, without the leading zero of its sign.
    pub(super) fn unsigned(&mut self) -> Option<&'a [u8]> {
        match self.integer()? {
            [0, rest @ ..] => Some(rest),
            [0x80..=0xff, ..] => None,
            content => Some(content),
        }
    }

    /// A bit string of whole bytes, such as keys and signatures.
    pub(super) fn bit_string(&mut self) -> Option<&'a [u8]> {
        match self.next(BIT_STRING)?.split_first()? {
            (0, content) => Some(content),
            _ => None,
        }
    }

    pub(super) fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

/// Whether it is a number in the fewest bytes.
pub(super) fn is_integer(content: &[u8]) -> bool {
    !matches!(content, [] | [0, 0..=0x7f, ..] | [0xff, 0x80..=0xff, ..])
}

/// Whether the unused bits are present and zero.
pub(super) fn is_bit_string(content: &[u8]) -> bool {
    match content {
        [0, ..] => true,
        [unused @ 1..=7, .., last] => last.trailing_zeros() >= u32::from(*unused),
        _ => false,
    }
}

/// Whether each number of an OID ends, and does not begin with a zero.
pub(super) fn is_oid(content: &[u8]) -> bool {
    let is_end = |byte: &u8| byte & 0x80 == 0;
    content.last().is_some_and(is_end)
        && content.split_inclusive(is_end).all(|number| number.first() != Some(&0x80))
}
