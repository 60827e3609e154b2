//! Builds the tree of a document from the parser's events.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_saphyr::granit_parser::{Event, ScalarStyle, Tag};

use super::names::Names;
use super::node::{Flawed, Key, Node, Position, Value};
use super::parse_budget::{ParseBudget, Weight};
use super::scalar;
use super::yaml::{Cause, MAX_DEPTH, SyntaxError};

/// Mappings up to this size are searched; larger ones keep a set of their keys.
const SMALL_MAP: usize = 16;

/// The position of a value, and that of its tag, or of the value again if it has no
/// tag.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) at: Position,
    pub(super) tag_at: Position,
}

/// A list or mapping whose end is not reached yet.
struct Open {
    at: Position,
    anchor: usize,
    weight: Weight,
    parts: Parts,
    /// The first error of the list or mapping itself, not of the values in it.
    flaw: Option<SyntaxError>,
}

enum Parts {
    List(Vec<Node>),
    Map(OpenMap),
}

#[derive(Default)]
struct OpenMap {
    entries: Vec<(Key, Node)>,
    /// The names in `entries`, once the mapping is large.
    seen: HashSet<Arc<str>>,
    /// The key of the next value, or whether the next value is merged. If neither
    /// is set, a key is expected.
    key: Option<Key>,
    merging: bool,
    merged: Vec<Node>,
}

impl OpenMap {
    fn wants_key(&self) -> bool {
        self.key.is_none() && !self.merging
    }

    fn contains(&mut self, name: &Arc<str>) -> bool {
        if self.entries.len() <= SMALL_MAP {
            return self.entries.iter().any(|(key, _)| key.name == *name);
        }
        if self.seen.is_empty() {
            self.seen = self.entries.iter().map(|(key, _)| Arc::clone(&key.name)).collect();
        }
        self.seen.contains(name)
    }

    fn insert(&mut self, key: Key, node: Node) {
        if !self.seen.is_empty() {
            self.seen.insert(Arc::clone(&key.name));
        }
        self.entries.push((key, node));
    }

    /// Merged entries come last. They never replace an entry of the mapping itself
    /// or of an earlier merged mapping.
    fn finish(mut self) -> Value {
        for source in std::mem::take(&mut self.merged) {
            let maps = match source.value {
                Value::List(maps) => maps.into_vec(),
                _ => vec![source],
            };
            for map in maps {
                let Value::Map(entries) = map.value else {
                    continue;
                };
                for (key, node) in entries {
                    if !self.contains(&key.name) {
                        self.insert(key, node);
                    }
                }
            }
        }
        Value::Map(self.entries.into())
    }
}

/// Turns the parser's events into a tree.
pub(super) struct Builder<'a> {
    budget: &'a mut ParseBudget,
    /// The lists and mappings that are still open, innermost last.
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, Weight)>,
    names: Names,
    root: Option<Node>,
    has_flaws: bool,
}

impl<'a> Builder<'a> {
    pub(super) fn new(budget: &'a mut ParseBudget) -> Self {
        Self {
            budget,
            open: Vec::new(),
            anchors: HashMap::new(),
            names: Names::default(),
            root: None,
            has_flaws: false,
        }
    }

    /// The root value, after all events; `None` if there was no value.
    pub(super) fn into_root(self) -> Option<Node> {
        self.root
    }

    /// Whether any value is flawed.
    pub(super) fn has_flaws(&self) -> bool {
        self.has_flaws
    }

    /// Processes the next event, which is at `at`.
    pub(super) fn take(&mut self, event: Event<'_>, at: Place) -> Result<(), Cause> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.scalar(&text, style, anchor, tag.as_deref(), at)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.start(at, anchor, tag.as_deref(), "seq", Parts::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                self.start(at, anchor, tag.as_deref(), "map", Parts::Map(OpenMap::default()))
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(id) => self.alias(id, at.at),
            // The other events, such as the start of a document, add nothing to the
            // tree.
            _ => Ok(()),
        }
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        Place { at, tag_at }: Place,
    ) -> Result<(), Cause> {
        let plain = style == ScalarStyle::Plain;
        if self.wants_key() {
            return self.key(text, plain, anchor, tag, Place { at, tag_at });
        }
        let value = match tag {
            None if plain => scalar::resolve(text),
            None => Value::String(text.into()),
            Some(tag) if is_non_specific(tag) => Value::String(text.into()),
            Some(tag) => scalar::resolve_tagged(tag.core_suffix(), text).unwrap_or_else(|| {
                let value = Value::String(text.into());
                self.flawed(value, SyntaxError { at: tag_at, cause: wrong_tag(tag) })
            }),
        };
        let weight = Weight { nodes: 1, bytes: text.len(), depth: 0 };
        self.finish(Node { at, value }, weight, anchor)
    }

    fn key(
        &mut self,
        text: &str,
        plain: bool,
        anchor: usize,
        tag: Option<&Tag>,
        Place { at, tag_at }: Place,
    ) -> Result<(), Cause> {
        let is_merge = tag.map_or(plain, is_merge);
        let is_known = |tag: &&Tag| is_non_specific(tag) || tag.core_suffix().is_some() || is_merge;
        if let Some(tag) = tag.filter(|tag| !is_known(tag)) {
            self.flaw(SyntaxError { at: tag_at, cause: wrong_tag(tag) });
        }
        if plain && tag.is_none() && matches!(scalar::resolve(text), Value::Null) {
            return Err(Cause::Key("null"));
        }
        if anchor != 0 {
            let weight = Weight { nodes: 1, bytes: text.len(), depth: 0 };
            self.remember(anchor, &Node { at, value: Value::String(text.into()) }, weight);
        }
        self.set_key(text, is_merge && text == "<<", at);
        Ok(())
    }

    fn set_key(&mut self, text: &str, merging: bool, at: Position) {
        let name = self.names.share(text);
        let Some(Open { parts: Parts::Map(map), weight, .. }) = self.open.last_mut() else {
            return;
        };
        weight.bytes += text.len();
        let is_twice = if merging { !map.merged.is_empty() } else { map.contains(&name) };
        if merging {
            map.merging = true;
        } else {
            map.key = Some(Key { at, name: Arc::clone(&name) });
        }
        if is_twice {
            self.flaw(SyntaxError { at, cause: Cause::DuplicateKey(name) });
        }
    }

    /// Records an error of the innermost open list or mapping.
    fn flaw(&mut self, flaw: SyntaxError) {
        if let Some(open) = self.open.last_mut() {
            open.flaw.get_or_insert(flaw);
        }
    }

    fn flawed(&mut self, value: Value, error: SyntaxError) -> Value {
        self.has_flaws = true;
        Value::Flawed(Box::new(Flawed { error, value }))
    }

    fn start(
        &mut self,
        Place { at, tag_at }: Place,
        anchor: usize,
        tag: Option<&Tag>,
        kind: &str,
        parts: Parts,
    ) -> Result<(), Cause> {
        if self.wants_key() {
            return Err(Cause::Key(if kind == "map" { "a mapping" } else { "a list" }));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(Cause::Depth);
        }
        let is_of_tag = |tag: &&Tag| tag.core_suffix() == Some(kind) || is_non_specific(tag);
        let tag = tag.filter(|tag| !is_of_tag(tag));
        let flaw = tag.map(|tag| SyntaxError { at: tag_at, cause: wrong_tag(tag) });
        let weight = Weight { nodes: 1, bytes: 0, depth: 1 };
        self.open.push(Open { at, anchor, weight, parts, flaw });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Cause> {
        let Some(Open { at, anchor, weight, parts, flaw }) = self.open.pop() else {
            return Ok(());
        };
        let value = match parts {
            Parts::List(items) => Value::List(items.into()),
            Parts::Map(map) => map.finish(),
        };
        let value = match flaw {
            Some(flaw) => self.flawed(value, flaw),
            None => value,
        };
        self.finish(Node { at, value }, weight, anchor)
    }

    fn alias(&mut self, id: usize, at: Position) -> Result<(), Cause> {
        if self.open.iter().any(|open| open.anchor == id) {
            return Err(Cause::SelfReference);
        }
        // The parser rejects undefined aliases, so this anchor was too large to
        // keep.
        let Some((node, weight)) = self.anchors.get(&id) else {
            return Err(Cause::Copies);
        };
        let weight = *weight;
        if self.open.len() + weight.depth > MAX_DEPTH {
            return Err(Cause::Depth);
        }
        self.budget.copy(weight)?;
        let node = node.clone();
        if self.wants_key() {
            let name = node.as_str().ok_or(Cause::Key(node.kind_name()))?;
            self.set_key(name, false, at);
            return Ok(());
        }
        self.place(node, weight)
    }

    fn wants_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { parts: Parts::Map(map), .. }) if map.wants_key())
    }

    fn finish(&mut self, node: Node, weight: Weight, anchor: usize) -> Result<(), Cause> {
        self.budget.add()?;
        if anchor != 0 {
            self.remember(anchor, &node, weight);
        }
        self.place(node, weight)
    }

    /// Keeps a copy for aliases, if the budget allows. A large anchor that no alias
    /// uses is not an error.
    fn remember(&mut self, anchor: usize, node: &Node, weight: Weight) {
        if self.budget.copy(weight).is_ok() {
            self.anchors.insert(anchor, (node.clone(), weight));
        }
    }

    /// Adds a complete value to the innermost open list or mapping.
    fn place(&mut self, node: Node, weight: Weight) -> Result<(), Cause> {
        let Some(Open { weight: total, parts, flaw, .. }) = self.open.last_mut() else {
            return match self.root.replace(node) {
                None => Ok(()),
                Some(_) => Err(Cause::SecondValue),
            };
        };
        total.nodes += weight.nodes;
        total.bytes += weight.bytes;
        total.depth = total.depth.max(weight.depth + 1);
        match parts {
            Parts::List(items) => items.push(node),
            Parts::Map(map) if map.merging => {
                map.merging = false;
                if let Some(other) = not_mergeable(&node) {
                    let cause = Cause::Merge(other.kind_name());
                    flaw.get_or_insert(SyntaxError { at: other.at, cause });
                }
                map.merged.push(node);
            }
            Parts::Map(map) => {
                let key = map.key.take().ok_or(Cause::Key(node.kind_name()))?;
                if !map.contains(&key.name) {
                    map.insert(key, node);
                }
            }
        }
        Ok(())
    }
}

/// The part of `node` that `<<` cannot merge.
fn not_mergeable(node: &Node) -> Option<&Node> {
    match &node.value {
        Value::Map(_) => None,
        Value::List(items) => items.iter().find(|item| item.as_map().is_none()),
        _ => Some(node),
    }
}

/// A lone `!`, which only makes the value a string.
fn is_non_specific(tag: &Tag) -> bool {
    tag.original_handle() == "!" && tag.suffix().is_empty()
        || tag.handle().is_empty() && tag.suffix() == "!"
}

/// The error for a tag that does not fit its value, or that is not supported.
fn wrong_tag(tag: &Tag) -> Cause {
    match tag.core_suffix() {
        Some(kind) => Cause::Tagged(kind.to_owned()),
        None => Cause::Tag(format!("{}{}", tag.original_handle(), tag.suffix())),
    }
}

/// Whether this is the tag of `<<`, which is also merged without the tag.
fn is_merge(tag: &Tag) -> bool {
    tag.suffix_in_namespace("tag:yaml.org,2002:").is_some_and(|name| name == "merge")
}
