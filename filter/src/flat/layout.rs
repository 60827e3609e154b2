//! The records in the bytes of a table, which are read by checked offsets.

use std::marker::PhantomData;

use crate::error::Broken;

/// A type that is encoded in a fixed number of bytes.
pub(crate) trait Flat: Copy {
    /// The number of bytes.
    const SIZE: usize;

    fn put(self, out: &mut Vec<u8>);

    /// Decodes a value and removes it from the start of `from`. `None` if the bytes are
    /// missing or are not a valid value.
    fn take(from: &mut &[u8]) -> Option<Self>;
}

macro_rules! numbers {
    ($($type:ty),*) => { $(
        impl Flat for $type {
            const SIZE: usize = size_of::<$type>();

            fn put(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn take(from: &mut &[u8]) -> Option<Self> {
                let (number, rest) = from.split_first_chunk()?;
                *from = rest;
                Some(Self::from_le_bytes(*number))
            }
        }
    )* };
}
numbers!(u8, u16, u32, u64, u128);

impl Flat for bool {
    const SIZE: usize = 1;

    fn put(self, out: &mut Vec<u8>) {
        out.push(self.into());
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        match u8::take(from)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

/// Defines a struct as a record, encoded as the sequence of its fields.
macro_rules! record {
    ($($(#[$meta:meta])* $vis:vis struct $name:ident {
        $($(#[$field_meta:meta])* $field_vis:vis $field:ident: $type:ty,)*
    })*) => { $(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        $vis struct $name { $($(#[$field_meta])* $field_vis $field: $type,)* }

        impl $crate::flat::Flat for $name {
            const SIZE: usize = 0 $(+ <$type as $crate::flat::Flat>::SIZE)*;

            fn put(self, out: &mut Vec<u8>) {
                $($crate::flat::Flat::put(self.$field, out);)*
            }

            fn take(from: &mut &[u8]) -> Option<Self> {
                Some(Self { $($field: $crate::flat::Flat::take(from)?,)* })
            }
        }
    )* };
}
pub(crate) use record;

/// Defines an enum without fields as a tag of one byte.
macro_rules! tags {
    ($($(#[$meta:meta])* $vis:vis enum $name:ident {
        $($(#[$tag_meta:meta])* $tag:ident = $number:literal,)*
    })*) => { $(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $vis enum $name { $($(#[$tag_meta])* $tag = $number,)* }

        impl $crate::flat::Flat for $name {
            const SIZE: usize = 1;

            fn put(self, out: &mut Vec<u8>) {
                out.push(self as u8);
            }

            fn take(from: &mut &[u8]) -> Option<Self> {
                match <u8 as $crate::flat::Flat>::take(from)? {
                    $($number => Some(Self::$tag),)*
                    _ => None,
                }
            }
        }
    )* };
}
pub(crate) use tags;

/// The offset of a `T`.
pub(crate) struct At<T> {
    offset: u32,
    of: PhantomData<T>,
}

/// The offset and length of a sequence of `T`.
pub(crate) struct List<T> {
    start: u32,
    len: u32,
    of: PhantomData<T>,
}

/// Bytes.
pub(crate) type Text = List<u8>;

impl<T> Clone for At<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for At<T> {}

impl<T> Clone for List<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for List<T> {}

impl<T> std::fmt::Debug for At<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "@{}", self.offset)
    }
}

impl<T> std::fmt::Debug for List<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "@{}+{}", self.start, self.len)
    }
}

impl<T> At<T> {
    pub(crate) const fn new(offset: u32) -> Self {
        Self { offset, of: PhantomData }
    }

    pub(super) const fn offset(self) -> u32 {
        self.offset
    }
}

impl<T> List<T> {
    pub(crate) const EMPTY: Self = Self::new(0, 0);

    pub(super) const fn new(start: u32, len: u32) -> Self {
        Self { start, len, of: PhantomData }
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.len == 0
    }

    pub(crate) const fn len(self) -> u32 {
        self.len
    }
}

/// The bytes of a record.
impl<T: Flat> From<At<T>> for Text {
    fn from(at: At<T>) -> Self {
        Self::new(at.offset, u32::try_from(T::SIZE).unwrap_or(u32::MAX))
    }
}

impl Text {
    /// The part between two indexes.
    pub(crate) const fn part(self, from: u32, len: u32) -> Self {
        Self::new(self.start.saturating_add(from), len)
    }
}

impl<T> PartialEq for List<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.start, self.len) == (other.start, other.len)
    }
}

impl<T> Eq for List<T> {}

impl<T> PartialOrd for List<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Orders by position. The order has no meaning beyond equality.
impl<T> Ord for List<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.start, self.len).cmp(&(other.start, other.len))
    }
}

impl<T> Flat for At<T> {
    const SIZE: usize = 4;

    fn put(self, out: &mut Vec<u8>) {
        self.offset.put(out);
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        u32::take(from).map(Self::new)
    }
}

impl<T> Flat for List<T> {
    const SIZE: usize = 8;

    fn put(self, out: &mut Vec<u8>) {
        self.start.put(out);
        self.len.put(out);
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        Some(Self::new(u32::take(from)?, u32::take(from)?))
    }
}

/// `None` is encoded as the greatest number, which is not an index.
impl Flat for Option<u32> {
    const SIZE: usize = 4;

    fn put(self, out: &mut Vec<u8>) {
        self.unwrap_or(u32::MAX).put(out);
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        u32::take(from).map(|index| Some(index).filter(|index| *index < u32::MAX))
    }
}

/// `None` is encoded as offset 0, where no record can be.
impl<T> Flat for Option<At<T>> {
    const SIZE: usize = 4;

    fn put(self, out: &mut Vec<u8>) {
        self.map_or(0, At::offset).put(out);
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        let at = At::take(from)?;
        Some((at.offset > 0).then_some(at))
    }
}

/// `None` is encoded as for [`At`], so that it differs from an empty text.
impl Flat for Option<Text> {
    const SIZE: usize = 8;

    fn put(self, out: &mut Vec<u8>) {
        self.unwrap_or(Text::EMPTY).put(out);
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        let text = Text::take(from)?;
        Some((text.start > 0).then_some(text))
    }
}

/// The bytes of a table.
#[derive(Clone, Copy)]
pub(crate) struct Bytes<'t>(&'t [u8]);

/// The records of a list.
pub(crate) struct Records<'t, T> {
    bytes: &'t [u8],
    of: PhantomData<T>,
}

impl<T> Clone for Records<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Records<'_, T> {}

impl<'t> Bytes<'t> {
    pub(super) const fn new(bytes: &'t [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn at<T: Flat>(self, at: At<T>) -> Result<T, Broken> {
        T::take(&mut self.part(at.offset, T::SIZE)?).ok_or(Broken)
    }

    /// Reads an optional record.
    pub(crate) fn option<T: Flat>(self, at: Option<At<T>>) -> Result<Option<T>, Broken> {
        at.map(|at| self.at(at)).transpose()
    }

    pub(crate) fn text(self, text: Text) -> Result<&'t [u8], Broken> {
        self.part(text.start, text.len as usize)
    }

    /// Reads a text as UTF-8, which all texts are except patterns.
    pub(crate) fn str(self, text: Text) -> Result<&'t str, Broken> {
        std::str::from_utf8(self.text(text)?).map_err(|_| Broken)
    }

    pub(crate) fn string(self, text: Text) -> Result<String, Broken> {
        self.str(text).map(str::to_owned)
    }

    pub(crate) fn string_option(self, text: Option<Text>) -> Result<Option<String>, Broken> {
        text.map(|text| self.string(text)).transpose()
    }

    pub(crate) fn list<T: Flat>(self, list: List<T>) -> Result<Records<'t, T>, Broken> {
        let len = (list.len as usize).checked_mul(T::SIZE).ok_or(Broken)?;
        Ok(Records { bytes: self.part(list.start, len)?, of: PhantomData })
    }

    /// Reads all records of a list.
    pub(crate) fn collect<T: Flat, C: FromIterator<T>>(self, list: List<T>) -> Result<C, Broken> {
        self.list(list)?.iter().collect()
    }

    fn part(self, start: u32, len: usize) -> Result<&'t [u8], Broken> {
        self.0.get(start as usize..).and_then(|rest| rest.get(..len)).ok_or(Broken)
    }
}

impl<'t, T: Flat> Records<'t, T> {
    pub(crate) fn len(self) -> usize {
        self.bytes.len().checked_div(T::SIZE).unwrap_or_default()
    }

    pub(crate) fn get(self, index: u32) -> Result<T, Broken> {
        self.head(index)
    }

    /// Reads the first field of a record.
    pub(crate) fn head<U: Flat>(self, index: u32) -> Result<U, Broken> {
        // Checks that the index is in the list, once for all fields.
        let at = (index as usize).wrapping_mul(T::SIZE);
        let record = self.bytes.get(at..at.wrapping_add(U::SIZE)).ok_or(Broken)?;
        U::take(&mut { record }).ok_or(Broken)
    }

    /// Iterates over all records. One that cannot be read is an error, not skipped.
    pub(crate) fn iter(self) -> impl DoubleEndedIterator<Item = Result<T, Broken>> + 't
    where
        T: 't,
    {
        self.bytes.chunks_exact(T::SIZE).map(|mut record| T::take(&mut record).ok_or(Broken))
    }
}
