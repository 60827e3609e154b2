//! Header maps, and their encoding in the ABI.

use crate::abi::MapType;
use crate::joined::is_joined;
use std::fmt;

/// Headers in the order in which they were added.
///
/// Names are converted to lower case, as in Envoy; values are any bytes. Repeated headers stay
/// separate here; an exchange joins those that Envoy joins, with `,`.
///
/// ```
/// use proxy_wasm_test::HeaderMap;
///
/// let mut headers = HeaderMap::from([(":path", "/"), ("Accept", "text/html")]);
/// headers.add("accept", b"\xff");
/// assert_eq!(headers.get("ACCEPT"), Some(&b"text/html"[..]));
/// assert_eq!(headers.get_all("accept").count(), 2);
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct HeaderMap {
    entries: Vec<(Vec<u8>, Vec<u8>)>,
}

impl HeaderMap {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// The first value of a header.
    pub fn get(&self, name: impl AsRef<[u8]>) -> Option<&[u8]> {
        let name = name.as_ref();
        self.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Every value of a header, in order.
    pub fn get_all(&self, name: impl AsRef<[u8]>) -> impl Iterator<Item = &[u8]> {
        self.iter()
            .filter(move |(key, _)| key.eq_ignore_ascii_case(name.as_ref()))
            .map(|(_, value)| value)
    }

    /// The first value of a header as text, if it is UTF-8.
    pub fn get_str(&self, name: impl AsRef<[u8]>) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Whether the header is present.
    pub fn contains(&self, name: impl AsRef<[u8]>) -> bool {
        self.get(name).is_some()
    }

    /// Adds a header at the end, even if there are others with the same name.
    pub fn add(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        self.entries.push((name.as_ref().to_ascii_lowercase(), value.as_ref().to_vec()));
    }

    /// The headers of a request as Envoy's filters get them: `host` is `:authority`.
    pub(crate) fn with_authority(mut self) -> Self {
        if !self.contains(":authority") {
            let host = self.entries.iter_mut().find(|(name, _)| name == b"host");
            if let Some((name, _)) = host {
                *name = b":authority".to_vec();
            }
        }
        self.remove("host");
        self
    }

    /// Adds a header as Envoy does: the values of some headers are joined.
    pub(crate) fn add_like_envoy(&mut self, map: MapType, name: &[u8], value: &[u8]) {
        let is_same = |(key, _): &&mut (Vec<u8>, Vec<u8>)| key.eq_ignore_ascii_case(name);
        match self.entries.iter_mut().find(is_same) {
            Some((_, existing)) if is_joined(map, name) => {
                if !existing.is_empty() && !value.is_empty() {
                    existing.push(b',');
                }
                existing.extend_from_slice(value);
            }
            _ => self.add(name, value),
        }
    }

    /// The headers as Envoy has them after it has received them.
    pub(crate) fn received(self, map: MapType) -> Self {
        let mut received = Self::new();
        for (name, value) in &self.entries {
            received.add_like_envoy(map, name, value);
        }
        received
    }

    /// Replaces the first value of a header, and removes its other values.
    pub fn replace(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        let name = name.as_ref();
        let Some(first) = self.entries.iter().position(|(key, _)| key.eq_ignore_ascii_case(name))
        else {
            return self.add(name, value);
        };
        self.entries[first].1 = value.as_ref().to_vec();
        let mut index = 0;
        self.entries.retain(|(key, _)| {
            index += 1;
            index - 1 == first || !key.eq_ignore_ascii_case(name)
        });
    }

    /// Removes every value of a header.
    pub fn remove(&mut self, name: impl AsRef<[u8]>) {
        let name = name.as_ref();
        self.entries.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
    }

    /// The number of headers, including repeated ones.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the map is empty.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Every header, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.entries.iter().map(|(name, value)| (name.as_slice(), value.as_slice()))
    }

    /// The bytes of all names and values, which is what Envoy calls the size of a map.
    pub(crate) fn byte_size(&self) -> usize {
        self.iter().map(|(name, value)| name.len() + value.len()).sum()
    }

    /// The map as encoded by the ABI: the count, the two lengths of each header, then each name and
    /// value, terminated by NUL. `None` if a length does not fit into 32 bits.
    pub(crate) fn to_pairs(&self) -> Option<Vec<u8>> {
        let mut bytes = u32::try_from(self.len()).ok()?.to_le_bytes().to_vec();
        for (name, value) in self.iter() {
            bytes.extend(u32::try_from(name.len()).ok()?.to_le_bytes());
            bytes.extend(u32::try_from(value.len()).ok()?.to_le_bytes());
        }
        for (name, value) in self.iter() {
            bytes.extend_from_slice(name);
            bytes.push(0);
            bytes.extend_from_slice(value);
            bytes.push(0);
        }
        Some(bytes)
    }

    /// Decodes the output of [`to_pairs`](Self::to_pairs). Zero bytes are an empty map.
    pub(crate) fn from_pairs(bytes: &[u8]) -> Option<Self> {
        let mut map = Self::new();
        if bytes.is_empty() {
            return Some(map);
        }
        let (count, rest) = split_u32(bytes)?;
        let (mut lengths, mut data) = rest.split_at_checked((count as usize).checked_mul(8)?)?;
        while !lengths.is_empty() {
            let (name_length, rest) = split_u32(lengths)?;
            let (value_length, rest) = split_u32(rest)?;
            lengths = rest;
            let name;
            let value;
            (name, data) = split_terminated(data, name_length)?;
            (value, data) = split_terminated(data, value_length)?;
            map.add(name, value);
        }
        Some(map)
    }
}

fn split_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*number), rest))
}

/// Splits off `length` bytes and their NUL, and returns the bytes and the rest.
fn split_terminated(bytes: &[u8], length: u32) -> Option<(&[u8], &[u8])> {
    let (text, rest) = bytes.split_at_checked(length as usize)?;
    Some((text, rest.strip_prefix(&[0])?))
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(N, V)> for HeaderMap {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(headers: I) -> Self {
        let mut map = Self::new();
        for (name, value) in headers {
            map.add(name, value);
        }
        map
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>, const COUNT: usize> From<[(N, V); COUNT]> for HeaderMap {
    fn from(headers: [(N, V); COUNT]) -> Self {
        headers.into_iter().collect()
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> From<Vec<(N, V)>> for HeaderMap {
    fn from(headers: Vec<(N, V)>) -> Self {
        headers.into_iter().collect()
    }
}

impl fmt::Debug for HeaderMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(
                self.iter().map(|(name, value)| {
                    format!("{}: {}", name.escape_ascii(), value.escape_ascii())
                }),
            )
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::HeaderMap;

    #[test]
    fn pairs_survive_the_round_trip() {
        let map = HeaderMap::from([("a", &b"1"[..]), ("a", b""), ("", b"\xff\0")]);
        assert_eq!(map.to_pairs().and_then(|bytes| HeaderMap::from_pairs(&bytes)), Some(map));
    }

    #[test]
    fn every_truncation_of_pairs_is_refused() {
        let bytes = HeaderMap::from([("name", "value"), ("b", "2")]).to_pairs().unwrap_or_default();
        for length in 1..bytes.len() {
            assert_eq!(HeaderMap::from_pairs(&bytes[..length]), None, "{length} bytes");
        }
        assert_eq!(HeaderMap::from_pairs(&u32::MAX.to_le_bytes()), None);
    }

    #[test]
    fn replacing_keeps_the_place_and_one_value() {
        let mut map = HeaderMap::from([("a", "1"), ("b", "2"), ("A", "3"), ("c", "4")]);
        map.replace("A", "5");
        assert_eq!(map, HeaderMap::from([("a", "5"), ("b", "2"), ("c", "4")]));
        map.replace("D", "6");
        assert_eq!(map.get("d"), Some(&b"6"[..]));
    }
}
