//! A radix trie of byte strings, built once from all its keys, and read in the bytes of
//! a table.
//!
//! A lookup compares each byte of the key at most once, and stops at the first byte with
//! which no stored key continues. Its cost depends on the length of the key, not on the
//! stored keys. A hash table would need a secret seed against collisions.

use std::collections::VecDeque;

use crate::flat::{Bytes, Flat, List, Records, Text, Writer, record};

/// A map from byte strings to values that also finds all stored keys that are prefixes of
/// a key.
///
/// Its nodes are in breadth-first order, so the children of a node are adjacent, in the
/// order of their first bytes. Node 0 is the root.
pub(crate) struct Trie<V>(List<Node<V>>);

/// A node, and the value of the key that ends at it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node<V> {
    branch: Branch,
    /// `V::default()` if no key ends at this node.
    value: V,
}

record! {
    /// The edges of a node. Most nodes are read only this far.
    struct Branch {
        /// The first byte of the edge from the parent; unused in the root.
        byte: u8,
        /// The number of the first child; unused without children.
        first_byte: u8,
        /// Whether a key ends at this node.
        ends_here: bool,
        children: u16,
        first_child: u32,
        /// The bytes of the edge after `byte`, as a part of one of the keys.
        label: Text,
    }
}

impl<V> Clone for Trie<V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for Trie<V> {}

impl<V> std::fmt::Debug for Trie<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl<V: Flat> Flat for Node<V> {
    const SIZE: usize = Branch::SIZE + V::SIZE;

    fn put(self, out: &mut Vec<u8>) {
        self.branch.put(out);
        self.value.put(out);
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        Some(Self { branch: Flat::take(from)?, value: Flat::take(from)? })
    }
}

impl<V> Flat for Trie<V> {
    const SIZE: usize = 8;

    fn put(self, out: &mut Vec<u8>) {
        self.0.put(out);
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        List::take(from).map(Self)
    }
}

/// A key to store, its position in the table, and its value.
pub(crate) type Entry<'k, V> = (&'k [u8], Text, V);

impl<V: Flat + Default> Trie<V> {
    /// Writes the trie of `entries`. For a key with several entries, `merge` adds the
    /// values of the later ones to that of the first.
    pub(crate) fn write(
        mut entries: Vec<Entry<'_, V>>,
        mut merge: impl FnMut(&mut V, V),
        writer: &mut Writer,
    ) -> Self {
        // Stable, so that entries of the same key keep their order.
        entries.sort_by_key(|(key, ..)| *key);
        entries.dedup_by(|(later, _, value), (key, _, first)| {
            let is_same = later == key;
            if is_same {
                merge(first, *value);
            }
            is_same
        });
        let nodes = layout(&entries);
        Self(writer.list(&nodes))
    }
}

/// The nodes of the trie of sorted `entries`.
fn layout<V: Flat + Default>(entries: &[Entry<'_, V>]) -> Vec<Node<V>> {
    let mut nodes = Vec::new();
    // The subtrees that still need a node, in the order of these nodes: the first byte
    // of the edge, the entries, and the number of bytes of their keys before the edge.
    let mut pending = VecDeque::from([(0, entries, 0)]);
    while let Some((byte, below, consumed)) = pending.pop_front() {
        let label_len = common_prefix(below, consumed);
        let depth = consumed + label_len;
        let (ends_here, longer) = match below {
            [first, longer @ ..] if first.0.len() == depth => (Some(first), longer),
            _ => (None, below),
        };
        let first_child = nodes.len() + 1 + pending.len();
        let before = pending.len();
        let mut first_byte = None;
        for group in longer.chunk_by(|a, b| a.0.get(depth) == b.0.get(depth)) {
            let byte = group.first().and_then(|(key, ..)| key.get(depth)).copied().unwrap_or(0);
            first_byte = first_byte.or(Some(byte));
            pending.push_back((byte, group, depth + 1));
        }
        let label = below.first().map_or(Text::EMPTY, |(_, text, _)| {
            text.part(saturated(consumed), saturated(label_len))
        });
        let branch = Branch {
            byte,
            first_byte: first_byte.unwrap_or(0),
            ends_here: ends_here.is_some(),
            // At most 256.
            children: u16::try_from(pending.len() - before).unwrap_or(u16::MAX),
            first_child: saturated(first_child),
            label,
        };
        nodes.push(Node { branch, value: ends_here.map_or_else(V::default, |(.., value)| *value) });
    }
    nodes
}

/// Saturates, because the writer rejects tables whose sizes do not fit into `u32`.
fn saturated(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

/// The number of bytes after `from` that all the sorted keys have in common.
fn common_prefix<V>(entries: &[Entry<'_, V>], from: usize) -> usize {
    let (Some((first, ..)), Some((last, ..))) = (entries.first(), entries.last()) else { return 0 };
    let (first, last) = (first.get(from..).unwrap_or(&[]), last.get(from..).unwrap_or(&[]));
    first.iter().zip(last).take_while(|(a, b)| a == b).count()
}

impl<V: Flat> Trie<V> {
    /// The value of `key` itself.
    pub(crate) fn get(self, key: &[u8], bytes: Bytes<'_>) -> Option<V> {
        self.walk(key, bytes)?.find_map(|(value, rest)| rest.is_empty().then_some(value))
    }

    /// Finds all stored keys that are prefixes of `key`, shortest first. Each item is the
    /// value and the rest of `key`.
    pub(crate) fn walk<'t, 'k>(self, key: &'k [u8], bytes: Bytes<'t>) -> Option<Walk<'t, 'k, V>> {
        let nodes = bytes.list(self.0).ok()?;
        Some(Walk { bytes, nodes, node: Some(0), rest: key })
    }
}

/// See [`Trie::walk`].
pub(crate) struct Walk<'t, 'k, V> {
    bytes: Bytes<'t>,
    nodes: Records<'t, Node<V>>,
    /// The number of the next node.
    node: Option<u32>,
    rest: &'k [u8],
}

impl<'k, V: Flat> Iterator for Walk<'_, 'k, V> {
    type Item = (V, &'k [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(number) = self.node.take() {
            let branch = self.nodes.head::<Branch>(number).ok()?;
            if !branch.label.is_empty() {
                self.rest = self.rest.strip_prefix(self.bytes.text(branch.label).ok()?)?;
            }
            let after_label = self.rest;
            if let Some((byte, rest)) = after_label.split_first() {
                self.rest = rest;
                self.node = branch.child(self.nodes, *byte);
            }
            if branch.ends_here {
                return Some((self.nodes.get(number).ok()?.value, after_label));
            }
        }
        None
    }
}

impl Branch {
    /// The number of the child whose edge starts with `byte`.
    fn child<V: Flat>(&self, nodes: Records<'_, Node<V>>, byte: u8) -> Option<u32> {
        if self.children == 0 {
            return None;
        }
        // The byte is the first field of a node.
        let byte_of = |number: u32| nodes.head::<u8>(number).ok();
        let mut from = self.first_child;
        let mut to = from.saturating_add(self.children.into());
        // Numbered names are common, and the digits are adjacent bytes.
        let guess = from.saturating_add(byte.wrapping_sub(self.first_byte).into());
        if guess < to && byte_of(guess)? == byte {
            return Some(guess);
        }
        while from < to {
            let middle = u32::midpoint(from, to);
            match byte_of(middle)?.cmp(&byte) {
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Less => from = middle.saturating_add(1),
                std::cmp::Ordering::Greater => to = middle,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::flat::FlatTable;

    /// A table that contains only a trie of `keys`, each with its index as value.
    struct Indexed {
        table: FlatTable,
        trie: Trie<Option<u32>>,
    }

    impl Indexed {
        fn new<K: AsRef<[u8]>>(keys: &[K]) -> Self {
            let mut writer = Writer::new();
            let mut entries = Vec::new();
            for (number, key) in (0..).zip(keys) {
                entries.push((key.as_ref(), writer.text(key), Some(number)));
            }
            let trie = Trie::write(entries, |_, _| (), &mut writer);
            Self { table: writer.finish(trie).unwrap(), trie }
        }

        fn get(&self, key: &str) -> Option<u32> {
            self.trie.get(key.as_bytes(), self.table.reader()).flatten()
        }

        fn walk<'k>(&self, key: &'k [u8]) -> Vec<(u32, &'k [u8])> {
            let visited = self.trie.walk(key, self.table.reader()).unwrap();
            visited.filter_map(|(value, rest)| Some((value?, rest))).collect()
        }
    }

    #[test]
    fn an_empty_trie_finds_nothing() {
        let trie = Indexed::new::<&str>(&[]);
        assert_eq!(trie.get(""), None);
        assert_eq!(trie.get("/"), None);
    }

    #[test]
    fn a_walk_visits_prefixes_shortest_first() {
        let trie = Indexed::new(&["/status/", "/", "", "/status", "/stat/x", "/statuses"]);
        let visited = trie.walk(b"/status/200");
        let expected: [(u32, &[u8]); 4] =
            [(2, b"/status/200"), (1, b"status/200"), (3, b"/200"), (0, b"200")];
        assert_eq!(visited, expected);
    }

    #[test]
    fn nesting_as_deep_as_a_key_is_long_needs_no_stack() {
        let long = "a".repeat(5_000);
        let keys: Vec<_> = (0..long.len()).map(|len| &long[..len]).collect();
        assert_eq!(Indexed::new(&keys).walk(long.as_bytes()).len(), long.len());
    }

    proptest! {
        #[test]
        fn agrees_with_a_list(
            keys in prop::collection::btree_set("[ab/]{0,6}", 0..40),
            key in "[ab/]{0,8}",
        ) {
            let keys: Vec<String> = keys.into_iter().collect();
            let trie = Indexed::new(&keys);
            let mut expected: Vec<_> = keys.iter().filter(|k| key.starts_with(&***k)).collect();
            expected.sort_by_key(|k| k.len());
            let walked = trie.walk(key.as_bytes());
            let walked: Vec<_> = walked.iter().map(|(number, _)| &keys[*number as usize]).collect();
            prop_assert_eq!(walked, expected);
            prop_assert_eq!(trie.get(&key).is_some(), keys.contains(&key));
        }
    }
}
