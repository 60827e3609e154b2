//! DER as a tree, so that a change deep inside keeps the enclosing lengths valid.

use libfuzzer_sys::fuzzer_mutate;

/// A sequence of values.
pub(crate) struct Der(Vec<Value>);

struct Value {
    tag: u8,
    content: Content,
}

enum Content {
    Bytes(Vec<u8>),
    /// The content of a constructed value, or of a string that contains DER.
    Values {
        prefix: Vec<u8>,
        values: Vec<Value>,
    },
}

/// The maximum depth.
const MAX_DEPTH: usize = 16;

impl Der {
    /// Bytes that are not DER become a single value.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let raw = || vec![Value { tag: 0, content: Content::Bytes(bytes.to_vec()) }];
        Self(values(bytes, MAX_DEPTH).unwrap_or_else(raw))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(&self.0, &mut bytes);
        bytes
    }

    /// Changes, moves or removes one value.
    pub(crate) fn mutate(&mut self, random: &mut Random) {
        let count = count(&self.0);
        if let Some(index) = random.below(count) {
            change(&mut self.0, &mut { index }, random);
        }
    }
}

fn values(mut bytes: &[u8], depth: usize) -> Option<Vec<Value>> {
    let mut values = Vec::new();
    while let [tag, length, rest @ ..] = bytes {
        let (length, rest) = match length {
            0..=0x7f => (usize::from(*length), rest),
            0x81..=0x83 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
                (bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        values.push(Value { tag: *tag, content: Content::parse(*tag, content, depth) });
        bytes = rest;
    }
    bytes.is_empty().then_some(values)
}

impl Content {
    fn parse(tag: u8, bytes: &[u8], depth: usize) -> Self {
        // A bit string begins with a separate byte; an octet string may contain
        // DER.
        let skipped = match tag {
            0x03 => bytes.len().min(1),
            _ if tag & 0x20 != 0 || tag == 0x04 => 0,
            _ => return Self::Bytes(bytes.to_vec()),
        };
        let (prefix, inner) = bytes.split_at(skipped);
        match values(inner, depth.saturating_sub(1))
            .filter(|values| depth > 0 && !values.is_empty())
        {
            Some(values) => Self::Values { prefix: prefix.to_vec(), values },
            None => Self::Bytes(bytes.to_vec()),
        }
    }
}

fn encode(values: &[Value], bytes: &mut Vec<u8>) {
    for Value { tag, content } in values {
        let content = match content {
            Content::Bytes(bytes) => bytes.clone(),
            Content::Values { prefix, values } => {
                let mut bytes = prefix.clone();
                encode(values, &mut bytes);
                bytes
            }
        };
        bytes.push(*tag);
        let length = content.len().to_be_bytes();
        let length = &length[length.iter().take_while(|byte| **byte == 0).count()..];
        match length {
            [] => bytes.push(0),
            [short @ 0..=0x7f] => bytes.push(*short),
            long => {
                bytes.push(0x80 | u8::try_from(long.len()).unwrap_or_default());
                bytes.extend(long);
            }
        }
        bytes.extend(content);
    }
}

fn count(values: &[Value]) -> usize {
    let inner = |value: &Value| match &value.content {
        Content::Bytes(_) => 0,
        Content::Values { values, .. } => count(values),
    };
    values.iter().map(|value| 1 + inner(value)).sum()
}

/// Changes one value, after skipping `index` others.
fn change(values: &mut Vec<Value>, index: &mut usize, random: &mut Random) {
    for at in 0..values.len() {
        if *index == 0 {
            change_at(values, at, random);
            *index = usize::MAX;
            return;
        }
        *index -= 1;
        if let Content::Values { values, .. } = &mut values[at].content {
            change(values, index, random);
            if *index == usize::MAX {
                return;
            }
        }
    }
}

fn change_at(values: &mut Vec<Value>, at: usize, random: &mut Random) {
    const TAGS: [u8; 16] =
        [1, 2, 3, 4, 5, 6, 0x0c, 0x13, 0x16, 0x17, 0x18, 0x30, 0x31, 0xa0, 0xa1, 0x80];
    match random.next() % 16 {
        0 => drop(values.remove(at)),
        1 => {
            let mut bytes = Vec::new();
            encode(&values[at..=at], &mut bytes);
            let again = self::values(&bytes, MAX_DEPTH).unwrap_or_default();
            values.splice(at..at, again);
        }
        2 if values.len() > 1 => {
            let other = random.below(values.len()).unwrap_or_default();
            values.swap(at, other);
        }
        3 => values[at].tag = TAGS[random.below(TAGS.len()).unwrap_or_default()],
        4 => values[at].tag ^= 1 << (random.next() % 8),
        5 => values.insert(at, Value { tag: 5, content: Content::Bytes(Vec::new()) }),
        6 => values[at].content = Content::Bytes(Vec::new()),
        _ => {
            let value = &mut values[at];
            match &mut value.content {
                Content::Bytes(bytes) | Content::Values { prefix: bytes, .. } => {
                    let size = bytes.len();
                    bytes.resize(size + 8, 0);
                    let size = fuzzer_mutate(bytes, size, size + 8);
                    bytes.truncate(size);
                }
            }
        }
    }
}

/// Pseudo-random numbers from a seed (`SplitMix64`).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u32) -> Self {
        Self(u64::from(seed))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// `None` if there are no values.
    pub(crate) fn below(&mut self, end: usize) -> Option<usize> {
        let end = u64::try_from(end).ok().filter(|end| *end > 0)?;
        usize::try_from(self.next() % end).ok()
    }
}
