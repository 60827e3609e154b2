//! Converts JSON from an API to the generic tree.

use serde_json::Value as Json;

use super::names::Names;
use super::node::{Key, Node, Position, Value};

/// A value from an API has no position in a file.
const NOWHERE: Position = Position { line: 1, column: 1 };

impl Node {
    /// Converts a JSON value to a tree.
    pub fn from_json(json: Json, names: &mut Names) -> Self {
        let value = match json {
            Json::Null => Value::Null,
            Json::Bool(value) => Value::Bool(value),
            Json::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(value), _) => Value::Integer(value),
                (None, Some(value)) => Value::Large(value),
                (None, None) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Value::String(text.into()),
            Json::Array(items) => {
                Value::List(items.into_iter().map(|item| Self::from_json(item, names)).collect())
            }
            Json::Object(fields) => Value::Map(
                fields
                    .into_iter()
                    .map(|(name, value)| {
                        let key = Key { at: NOWHERE, name: names.share(&name) };
                        (key, Self::from_json(value, names))
                    })
                    .collect(),
            ),
        };
        Self { at: NOWHERE, value }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::manifest::{ParseBudget, parse};

    #[test]
    fn is_the_tree_of_the_same_yaml() {
        let json = json!({"a": [1, -2, 1.5, true, null, "x"], "b": {"c": {}, "d": []}});
        let mut yaml = parse(&json.to_string(), NOWHERE, &mut ParseBudget::default()).unwrap();
        forget_places(&mut yaml);
        assert_eq!(Node::from_json(json, &mut Names::default()), yaml);
        let large = Node::from_json(json!(u64::MAX), &mut Names::default());
        assert_eq!(large.as_f64(), Some(18_446_744_073_709_551_615.0));
    }

    fn forget_places(node: &mut Node) {
        node.at = NOWHERE;
        match &mut node.value {
            Value::List(items) => items.iter_mut().for_each(forget_places),
            Value::Map(entries) => {
                for (key, value) in entries {
                    key.at = NOWHERE;
                    forget_places(value);
                }
            }
            _ => {}
        }
    }
}
