//! The lines of a file that may have a part of a Secret.
//!
//! The documents are parsed, so the format of a Secret does not matter. What is not known to be
//! harmless is closed: only objects of the other kinds that are read are open. A misspelled
//! `kind: Secert` is none of them.

use std::collections::BTreeSet;

use crate::kinds::{SECRET, named};
use crate::manifest::{Chunk, Node, ParseBudget, Position, Value, chunks, parse};

/// The fields that say what an object is. They are open, because findings about kinds that
/// are not read mark them.
const TYPE: [&str; 2] = ["apiVersion", "kind"];

/// The fields of a Secret, which may have lost its kind or has a wrong one.
const CONTENT: [&str; 2] = ["data", "stringData"];

/// The closed lines of a file.
#[derive(Debug)]
pub(super) enum Closed {
    All,
    Lines(BTreeSet<u32>),
}

impl Closed {
    pub(super) fn of(text: &str) -> Self {
        // Only YAML has this line break, so the numbers of lines differ.
        if text.replace("\r\n", "").contains('\r') {
            return Self::All;
        }
        let mut lines = BTreeSet::new();
        for chunk in chunks(text) {
            close(chunk, &mut lines);
        }
        // A comment may be a Secret that is not needed at the moment.
        if may_be_secret(text) {
            let numbered = (1..).zip(text.split('\n'));
            let comments = numbered.filter(|(_, line)| line.trim_start().starts_with('#'));
            lines.extend(comments.map(|(number, _)| number));
        }
        Self::Lines(lines)
    }

    pub(super) fn has(&self, number: u32) -> bool {
        match self {
            Self::All => true,
            Self::Lines(lines) => lines.contains(&number),
        }
    }
}

/// Closes lines of a document: all, if it does not parse and may have a Secret.
fn close(chunk: Chunk<'_>, lines: &mut BTreeSet<u32>) {
    let first = chunk.at.line;
    let others = chunk.text.lines().count().saturating_sub(1);
    let last = first.saturating_add(u32::try_from(others).unwrap_or(u32::MAX));
    match parse(chunk.text, chunk.at, &mut ParseBudget::default()) {
        Ok(root) => {
            let mut map = Map::default();
            map.object(&root, None);
            map.close(chunk, last, lines);
        }
        Err(_) if may_be_secret(chunk.text) => lines.extend(first..=last),
        Err(_) => {}
    }
}

/// Whether there are words of a Secret, other than the field of an Ingress.
fn may_be_secret(text: &str) -> bool {
    let text = text.to_ascii_lowercase().replace("metadata", "").replace("secretname", "");
    [SECRET.name, "data"].iter().any(|word| text.contains(&word.to_ascii_lowercase()))
}

/// Where the keys and values of a document are, and which of them are closed.
#[derive(Default)]
struct Map(Vec<(Position, State)>);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Closed,
    Open,
}

impl Map {
    /// Adds an object, a list of objects, or what should be one. `kind` is what the list says
    /// of its items.
    fn object(&mut self, node: &Node, kind: Option<&str>) {
        self.0.push((node.at, State::Open));
        for item in node.items() {
            self.object(item, None);
        }
        let own = node.get("kind").map(|kind| kind.as_str().unwrap_or_default());
        let kind = own.or(kind);
        let of_items = kind.and_then(|kind| kind.strip_suffix("List"));
        for (key, value) in node.entries() {
            let state = state(&key.name, kind);
            self.0.push((key.at, state));
            let is_items = &*key.name == "items" && matches!(value.value, Value::List(_));
            match of_items.filter(|_| is_items) {
                Some(kind) => {
                    self.0.push((value.at, State::Open));
                    for item in value.items() {
                        self.object(item, Some(kind).filter(|kind| !kind.is_empty()));
                    }
                }
                None => self.value(value, state),
            }
        }
    }

    fn value(&mut self, node: &Node, state: State) {
        self.0.push((node.at, state));
        match &node.value {
            Value::List(items) => items.iter().for_each(|item| self.value(item, state)),
            Value::Map(entries) => {
                // A Secret may be where no object is expected, such as in a misspelled `items`.
                let kind = node.get("kind").and_then(Node::as_str).unwrap_or_default();
                let is_secret = kind.eq_ignore_ascii_case(SECRET.name);
                for (key, value) in entries {
                    let name = &*key.name;
                    let is_part = CONTENT.contains(&name) || is_secret && !TYPE.contains(&name);
                    let state = if is_part { State::Closed } else { state };
                    self.0.push((key.at, state));
                    self.value(value, state);
                }
            }
            _ => {}
        }
    }

    /// Closes the lines from each closed position to the next position.
    fn close(mut self, chunk: Chunk<'_>, last: u32, lines: &mut BTreeSet<u32>) {
        // An alias is where its value is; that is closed if it is so once.
        self.0.sort_unstable();
        self.0.dedup_by_key(|(at, _)| *at);
        let text: Vec<_> = chunk.text.split('\n').collect();
        let ends = self.0.iter().skip(1).map(|(next, _)| {
            let is_first = begins_line(&text, chunk.at, *next);
            if is_first { next.line.saturating_sub(1) } else { next.line }
        });
        let ends = ends.chain([last]);
        for ((at, state), end) in self.0.iter().zip(ends) {
            if *state == State::Closed {
                lines.extend(at.line..=end.max(at.line));
            }
        }
    }
}

/// Whether a field of an object of this kind is open.
fn state(field: &str, kind: Option<&str>) -> State {
    let is_harmless =
        |kind: &str| kind != SECRET.name && (named(kind).is_some() || kind.ends_with("List"));
    let is_open =
        TYPE.contains(&field) || !CONTENT.contains(&field) && kind.is_none_or(is_harmless);
    if is_open { State::Open } else { State::Closed }
}

/// Whether nothing but indentation and dashes is before `at` on its line, so that what was
/// before has ended above.
fn begins_line(text: &[&str], start: Position, at: Position) -> bool {
    let index = at.line.checked_sub(start.line).and_then(|index| usize::try_from(index).ok());
    let Some(line) = index.and_then(|index| text.get(index)) else { return false };
    let first = if at.line == start.line { start.column } else { 1 };
    let before = usize::try_from(at.column.saturating_sub(first)).unwrap_or(usize::MAX);
    line.chars().take(before).all(|character| matches!(character, ' ' | '\t' | '-'))
}
