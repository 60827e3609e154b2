//! The generic tree: any YAML or JSON value, with the position of each part.
//!
//! `serde` structs would stop at the first wrong field. Here, a wrong field must
//! affect only what depends on it.

use std::sync::Arc;

use super::yaml::SyntaxError;
use crate::finding::quote;

/// A line and a column. Columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
}

/// A value and its position. A value from an alias or merge key has the position of
/// its definition, because that is the text to change.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The start of the value.
    pub at: Position,
    /// The value.
    pub value: Value,
}

/// A key of a mapping. Keys are always text, as in JSON: `8000: x` has the key
/// `8000`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The start of the key.
    pub at: Position,
    /// Its text. Shared, because a large manifest repeats a few names often.
    pub name: Arc<str>,
}

/// The value of a [`Node`]. Slices are boxed, because a large manifest has a
/// million of them.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`, `~` or empty.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer that fits.
    Integer(i64),
    /// An integer that fits only as an unsigned one.
    Large(u64),
    /// Any other number, including infinities and NaN.
    Float(f64),
    /// Text.
    String(Box<str>),
    /// A string that also has a boolean value, because YAML 1.1 has one for it: an
    /// unquoted `yes`, `no`, `on`, `off` or similar.
    Word(Box<str>, bool),
    /// Bytes that are not text, which YAML and JSON do not have.
    Bytes(Box<[u8]>),
    /// A sequence.
    List(Box<[Node]>),
    /// A mapping, in the order of the file. Names are unique.
    Map(Box<[(Key, Node)]>),
    /// A value with an error in the YAML, which has no certain value.
    Flawed(Box<Flawed>),
}

/// A value that is possible in YAML, but not in objects that are read, for example
/// one with a custom tag.
#[derive(Clone, Debug, PartialEq)]
pub struct Flawed {
    /// The error.
    pub error: SyntaxError,
    /// The value without the error.
    pub value: Value,
}

impl Position {
    /// The start of a file.
    pub const START: Self = Self { line: 1, column: 1 };
}

impl Node {
    /// The node without its own flaw, and that flaw. Flaws of nested values stay.
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

    /// The first flaw in the node or its nested values.
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

    /// The field at `path`, or the last existing field on the way to it: the
    /// position to report if a field is wrong or missing.
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

    /// The entries of a mapping; empty for other values.
    pub fn entries(&self) -> &[(Key, Node)] {
        self.as_map().unwrap_or_default()
    }

    /// The items of a list; empty for other values.
    pub fn items(&self) -> &[Node] {
        self.as_list().unwrap_or_default()
    }

    /// Whether this is null, which Kubernetes treats as absent.
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

    /// The bytes, if this is a string or bytes.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match &self.value {
            Value::Bytes(bytes) => Some(bytes),
            _ => self.as_str().map(str::as_bytes),
        }
    }

    /// The boolean, including the words that are booleans in YAML 1.1, which
    /// `kubectl` reads.
    pub fn as_bool(&self) -> Option<bool> {
        match self.value {
            Value::Bool(value) | Value::Word(_, value) => Some(value),
            _ => None,
        }
    }

    /// The number, if this is a signed or unsigned integer of 64 bits.
    pub fn as_i128(&self) -> Option<i128> {
        match self.value {
            Value::Integer(value) => Some(value.into()),
            Value::Large(value) => Some(value.into()),
            _ => None,
        }
    }

    /// The number, if this is an integer that fits.
    pub fn as_i64(&self) -> Option<i64> {
        match self.value {
            Value::Integer(value) => Some(value),
            _ => None,
        }
    }

    /// The number, if this is one. Integers beyond 2^53 are rounded.
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

    /// The type of this value, for a message: "a string", "a mapping".
    pub fn kind_name(&self) -> &'static str {
        match &self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Integer(_) | Value::Large(_) | Value::Float(_) => "a number",
            Value::String(_) | Value::Word(..) => "a string",
            Value::Bytes(_) => "bytes that are not text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
            Value::Flawed(_) => "a value with a flaw",
        }
    }

    /// The type, and the value if it is short: "the number `1.5`".
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Bool(value) => format!("the boolean `{value}`"),
            Value::Integer(value) => format!("the number `{value}`"),
            Value::Large(value) => format!("the number `{value}`"),
            Value::Float(value) => format!("the number `{value}`"),
            Value::String(text) | Value::Word(text, _) => format!("the string {}", quote(text)),
            Value::Null | Value::Bytes(_) | Value::List(_) | Value::Map(_) | Value::Flawed(_) => {
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
