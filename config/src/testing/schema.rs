//! The published JSON Schemas of tests, which have the fields that are read.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

/// A schema in `docs`.
pub(crate) struct Published(Value);

impl Published {
    pub(crate) fn read(file: &str) -> Self {
        let text = fs::read_to_string(format!("../docs/{file}")).expect("a schema");
        Self(serde_json::from_str(&text).expect("JSON"))
    }

    /// Asserts that the object at a pointer may have these fields and no others.
    #[track_caller]
    pub(crate) fn has(&self, pointer: &str, fields: &[&str]) {
        let object = self.0.pointer(pointer).unwrap_or_else(|| panic!("there is no {pointer}"));
        assert_eq!(object["additionalProperties"], false, "{pointer}");
        let properties = object["properties"].as_object().expect("properties");
        let published: BTreeSet<_> = properties.keys().map(String::as_str).collect();
        assert_eq!(published, fields.iter().copied().collect(), "{pointer}");
    }
}
