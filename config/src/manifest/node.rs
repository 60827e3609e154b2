//! The generic tree: any YAML or JSON value, each part with its position.
//!
//! Not `serde` structures, because those give up at the first field that is
//! wrong, while here one wrong field is to cost only what it says.

use std::sync::Arc;

use super::yaml::SyntaxError;
use crate::finding::quote;

/// A line and a column, both from 1. Columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
}

/// A value and where it stands. What an alias or a merge key brings in stands
/// where it is defined, because that is the text to change.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where the value begins.
    pub at: Position,
    /// The value.
    pub value: Value,
}

/// A key of a mapping. Keys are always text, as in JSON: `8000: x` has the key
/// `8000`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Where the key begins.
    pub at: Position,
    /// Its text. Shared, since a large manifest repeats few names often.
    pub name: Arc<str>,
}

/// What a [`Node`] holds. Boxed slices, because a large manifest has a million.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`, `~` or nothing at all.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number that fits.
    Integer(i64),
    /// A whole number that fits without a sign only.
    Large(u64),
    /// Any other number, infinities and NaN among them.
    Float(f64),
    /// Text.
    String(Box<str>),
    /// Text as well, and where a boolean is wanted the truth value that it is in YAML
    /// 1.1: `yes`, `no`, `on`, `off` or the like, unquoted.
    Word(Box<str>, bool),
    /// A sequence.
    List(Box<[Node]>),
    /// A mapping, in the order written. No name occurs twice.
    Map(Box<[(Key, Node)]>),
    /// Something that has no such value, or not for certain.
    Flawed(Box<Flawed>),
}

/// A value that YAML has and objects that are read may not have, such as one with
/// a tag of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Flawed {
    /// What is wrong with it.
    pub error: SyntaxError,
    /// What it would be without.
    pub value: Value,
}

impl Position {
    /// The first of a file.
    pub const START: Self = Self { line: 1, column: 1 };
}

impl Node {
    /// The same without a flaw of its own, and that; those within it stay.
    pub(super) fn without_flaw(self) -> (Self, Option<SyntaxError>) {
        let at = self.at;
        match self.value {
            Value::Flawed(flawed) => {
                let Flawed { error, value } = *flawed;
                (Self { at, value }, Some(error))
            }
            value => (Self { at, value }, None),
        }
    }

    /// The first flaw in it.
    pub fn flaw(&self) -> Option<&SyntaxError> {
        match &self.value {
            Value::Flawed(flawed) => Some(&flawed.error),
            Value::List(items) => items.iter().find_map(Self::flaw),
            Value::Map(entries) => entries.iter().find_map(|(_, value)| value.flaw()),
            _ => None,
        }
    }

    /// The value of the field `name`, if this is a mapping that has it.
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.get_entry(name).map(|(_, node)| node)
    }

    /// The field `name` with its key, if this is a mapping that has it.
    pub fn get_entry(&self, name: &str) -> Option<&(Key, Node)> {
        self.entries().iter().find(|(key, _)| &*key.name == name)
    }

    /// The field that `path` leads to, or the last one on the way there: the
    /// place to point at when a field is wrong or missing.
    pub fn nearest<'p>(&self, path: impl IntoIterator<Item = &'p str>) -> &Node {
        let mut node = self;
        for name in path {
            match node.get(name) {
                Some(field) if !field.is_null() => node = field,
                _ => break,
            }
        }
        node
    }

    /// The entries of a mapping; none for anything else.
    pub fn entries(&self) -> &[(Key, Node)] {
        self.as_map().unwrap_or_default()
    }

    /// The items of a list; none for anything else.
    pub fn items(&self) -> &[Node] {
        self.as_list().unwrap_or_default()
    }

    /// Whether this is null, which Kubernetes takes for absent.
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// The text, if this is a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) | Value::Word(text, _) => Some(text),
            _ => None,
        }
    }

    /// The truth value, if this is one: also a word that is one in YAML 1.1, which
    /// `kubectl` reads.
    pub fn as_bool(&self) -> Option<bool> {
        match self.value {
            Value::Bool(value) | Value::Word(_, value) => Some(value),
            _ => None,
        }
    }

    /// The number, if this is a whole one of 64 bits, with or without a sign.
    pub fn as_i128(&self) -> Option<i128> {
        match self.value {
            Value::Integer(value) => Some(value.into()),
            Value::Large(value) => Some(value.into()),
            _ => None,
        }
    }

    /// The number, if this is a whole one that fits.
    pub fn as_i64(&self) -> Option<i64> {
        match self.value {
            Value::Integer(value) => Some(value),
            _ => None,
        }
    }

    /// The number, if this is one. Whole numbers beyond 2^53 are rounded.
    #[allow(clippy::cast_precision_loss)]
    pub fn as_f64(&self) -> Option<f64> {
        match self.value {
            Value::Integer(value) => Some(value as f64),
            Value::Large(value) => Some(value as f64),
            Value::Float(value) => Some(value),
            _ => None,
        }
    }

    /// The items, if this is a list.
    pub fn as_list(&self) -> Option<&[Node]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// The entries, if this is a mapping.
    pub fn as_map(&self) -> Option<&[(Key, Node)]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// What kind of value this is, for a message: "a string", "a mapping".
    pub fn kind_name(&self) -> &'static str {
        match &self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Integer(_) | Value::Large(_) | Value::Float(_) => "a number",
            Value::String(_) | Value::Word(..) => "a string",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
            Value::Flawed(_) => "a value with a flaw",
        }
    }

    /// What this is, with the value where that is short: "the number `1.5`".
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Bool(value) => format!("the boolean `{value}`"),
            Value::Integer(value) => format!("the number `{value}`"),
            Value::Large(value) => format!("the number `{value}`"),
            Value::Float(value) => format!("the number `{value}`"),
            Value::String(text) | Value::Word(text, _) => format!("the string {}", quote(text)),
            Value::Null | Value::List(_) | Value::Map(_) | Value::Flawed(_) => {
                self.kind_name().to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Position = Position { line: 1, column: 1 };

    fn node(value: Value) -> Node {
        Node { at: AT, value }
    }

    #[test]
    fn stays_small() {
        assert!(size_of::<Node>() <= 32, "{}", size_of::<Node>());
        assert!(size_of::<(Key, Node)>() <= 56, "{}", size_of::<(Key, Node)>());
    }

    #[test]
    fn accessors_answer_only_for_their_own_kind() {
        let key = Key { at: AT, name: "a".into() };
        let map = node(Value::Map([(key, node(Value::Integer(1)))].into()));
        assert_eq!(map.get("a").and_then(Node::as_i64), Some(1));
        assert_eq!(map.get("b"), None);
        assert_eq!(map.items(), []);
        assert_eq!(node(Value::String("8000".into())).as_i64(), None);
        assert_eq!(node(Value::Integer(8000)).as_str(), None);
        assert_eq!(node(Value::Integer(2)).as_f64(), Some(2.0));
        assert_eq!(node(Value::Null).entries(), []);
        assert!(node(Value::Null).is_null());
    }

    #[test]
    fn describes_for_messages() {
        let cases = [
            (Value::Null, "null", "null"),
            (Value::Bool(true), "a boolean", "the boolean `true`"),
            (Value::Integer(-1), "a number", "the number `-1`"),
            (Value::Float(1.5), "a number", "the number `1.5`"),
            (Value::String("x".into()), "a string", "the string `x`"),
            (Value::List([].into()), "a list", "a list"),
            (Value::Map([].into()), "a mapping", "a mapping"),
        ];
        for (value, kind, described) in cases {
            let node = node(value);
            assert_eq!((node.kind_name(), &*node.describe()), (kind, described));
        }
    }
}
