//! A radix trie over bytes: built once from all its keys, never changed after.
//!
//! A walk compares each byte of the key at most once and stops at the first one
//! that no stored key continues with, so its cost depends on the length of the
//! key and not on how many keys are stored, whoever chose them. A hash table
//! would need a secret seed against keys made to collide; this needs nothing.

use std::collections::VecDeque;

/// A map from byte strings to values that also finds every stored key that
/// another key starts with.
#[derive(Debug)]
pub(crate) struct Trie<V> {
    /// Breadth-first, so that the children of a node lie side by side, in the
    /// order of the bytes that lead to them. Node 0 is the root.
    nodes: Vec<Node<V>>,
    /// What each node's keys have in common after that byte, end to end.
    labels: Vec<u8>,
}

#[derive(Debug)]
struct Node<V> {
    /// The byte that leads here from the parent; of no meaning in the root.
    byte: u8,
    label: Span,
    children: Span,
    value: Option<V>,
}

/// `start..start + len` of one of the arrays above.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: u32,
    len: u32,
}

impl Span {
    /// The range of the next `len` elements after `start` existing ones. Sizes
    /// beyond `u32` cannot occur in a 32-bit module; natively they saturate and
    /// a lookup finds nothing, rather than wrap and find something else.
    fn new(start: usize, len: usize) -> Self {
        Self {
            start: u32::try_from(start).unwrap_or(u32::MAX),
            len: u32::try_from(len).unwrap_or(u32::MAX),
        }
    }

    fn of<T>(self, all: &[T]) -> &[T] {
        let start = self.start as usize;
        all.get(start..start.saturating_add(self.len as usize)).unwrap_or(&[])
    }
}

impl<V> Trie<V> {
    /// Builds the trie of `entries`. Where a key stands more than once, `merge`
    /// takes the values of the later entries into the first one's.
    pub(crate) fn new(mut entries: Vec<(&[u8], V)>, mut merge: impl FnMut(&mut V, V)) -> Self {
        // Stable: entries of one key stay in their order.
        entries.sort_by_key(|(key, _)| *key);
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        for (key, value) in entries {
            match values.last_mut() {
                Some(Some(first)) if keys.last() == Some(&key) => merge(first, value),
                _ => {
                    keys.push(key);
                    values.push(Some(value));
                }
            }
        }

        let mut trie = Self { nodes: Vec::new(), labels: Vec::new() };
        // Subtrees still to be laid out, in the order of their nodes: the byte
        // that leads to each, the keys below it, and how many bytes of them lead
        // there.
        let mut pending = VecDeque::from([(0, 0..keys.len(), 0)]);
        while let Some((byte, range, consumed)) = pending.pop_front() {
            let below = keys.get(range.clone()).unwrap_or(&[]);
            let label = common_prefix(below, consumed);
            let depth = consumed + label.len();
            let ends_here = below.first().is_some_and(|key| key.len() == depth);

            let first_child = trie.nodes.len() + 1 + pending.len();
            let before = pending.len();
            let mut start = range.start + usize::from(ends_here);
            let longer = below.get(usize::from(ends_here)..).unwrap_or(&[]);
            for group in longer.chunk_by(|a, b| a.get(depth) == b.get(depth)) {
                let byte = group.first().and_then(|key| key.get(depth)).copied();
                pending.push_back((byte.unwrap_or(0), start..start + group.len(), depth + 1));
                start += group.len();
            }
            trie.nodes.push(Node {
                byte,
                label: Span::new(trie.labels.len(), label.len()),
                children: Span::new(first_child, pending.len() - before),
                value: values.get_mut(range.start).filter(|_| ends_here).and_then(Option::take),
            });
            trie.labels.extend_from_slice(label);
        }
        trie
    }

    /// The value stored under exactly `key`.
    pub(crate) fn get(&self, key: &[u8]) -> Option<&V> {
        self.walk(key).find_map(|(value, rest)| rest.is_empty().then_some(value))
    }

    /// Every stored key that `key` starts with, shortest first: its value, and
    /// what of `key` comes after it.
    pub(crate) fn walk<'k>(&self, key: &'k [u8]) -> Walk<'_, 'k, V> {
        Walk { trie: self, node: self.nodes.first(), rest: key }
    }

    /// The child of `node` to which `byte` leads.
    fn child(&self, node: &Node<V>, byte: u8) -> Option<&Node<V>> {
        let children = node.children.of(&self.nodes);
        // Numbered names are common, and their digits lie side by side.
        let guess = usize::from(byte.wrapping_sub(children.first()?.byte));
        match children.get(guess) {
            Some(child) if child.byte == byte => Some(child),
            _ => {
                let index = children.binary_search_by_key(&byte, |child| child.byte).ok()?;
                children.get(index)
            }
        }
    }
}

/// See [`Trie::walk`].
pub(crate) struct Walk<'t, 'k, V> {
    trie: &'t Trie<V>,
    node: Option<&'t Node<V>>,
    rest: &'k [u8],
}

impl<'t, 'k, V> Iterator for Walk<'t, 'k, V> {
    type Item = (&'t V, &'k [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(node) = self.node.take() {
            if node.label.len > 0 {
                self.rest = self.rest.strip_prefix(node.label.of(&self.trie.labels))?;
            }
            let after_label = self.rest;
            if let Some((byte, rest)) = after_label.split_first() {
                self.rest = rest;
                self.node = self.trie.child(node, *byte);
            }
            if let Some(value) = &node.value {
                return Some((value, after_label));
            }
        }
        None
    }
}

/// What all of `keys`, which are sorted, have in common after `from`.
fn common_prefix<'k>(keys: &[&'k [u8]], from: usize) -> &'k [u8] {
    let (Some(first), Some(last)) = (keys.first(), keys.last()) else { return &[] };
    let (first, last) = (first.get(from..).unwrap_or(&[]), last.get(from..).unwrap_or(&[]));
    let len = first.iter().zip(last).take_while(|(a, b)| a == b).count();
    first.get(..len).unwrap_or(first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn trie<'k>(keys: &[&'k str]) -> Trie<&'k str> {
        Trie::new(keys.iter().map(|key| (key.as_bytes(), *key)).collect(), |_, _| ())
    }

    #[test]
    fn an_empty_trie_finds_nothing() {
        assert_eq!(trie(&[]).get(b""), None);
        assert_eq!(trie(&[]).get(b"/"), None);
    }

    #[test]
    fn a_walk_visits_prefixes_shortest_first() {
        let trie = trie(&["/status/", "/", "", "/status", "/stat/x", "/statuses"]);
        let visited: Vec<_> = trie.walk(b"/status/200").collect();
        assert_eq!(
            visited,
            [
                (&"", "/status/200".as_bytes()),
                (&"/", b"status/200"),
                (&"/status", b"/200"),
                (&"/status/", b"200"),
            ]
        );
    }

    #[test]
    fn nesting_as_deep_as_a_key_is_long_needs_no_stack() {
        let long = "a".repeat(20_000);
        let keys: Vec<_> = (0..long.len()).map(|len| &long.as_bytes()[..len]).collect();
        let trie = Trie::new(keys.iter().map(|key| (*key, key.len())).collect(), |_, _| ());
        assert_eq!(trie.walk(long.as_bytes()).count(), long.len());
    }

    proptest! {
        #[test]
        fn agrees_with_a_list(
            keys in prop::collection::btree_set("[ab/]{0,6}", 0..40),
            key in "[ab/]{0,8}",
        ) {
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            let trie = trie(&keys);
            let mut expected: Vec<_> = keys.iter().copied().filter(|k| key.starts_with(k)).collect();
            expected.sort_by_key(|k| k.len());
            let walked: Vec<_> = trie.walk(key.as_bytes()).map(|(value, _)| *value).collect();
            prop_assert_eq!(walked, expected);
            prop_assert_eq!(trie.get(key.as_bytes()).is_some(), keys.contains(&key.as_str()));
        }
    }
}
