//! The names of fields, each kept once however often it occurs.

use std::collections::HashSet;
use std::sync::Arc;

/// Longer names than this are hardly field names, so sharing them gains little.
const SHARED_NAME_BYTES: usize = 40;
/// Enough for every field name there is; beyond that, the keys are data.
const SHARED_NAMES: usize = 1024;

/// Those that have occurred.
#[derive(Default)]
pub struct Names(HashSet<Arc<str>>);

impl Names {
    pub(super) fn share(&mut self, text: &str) -> Arc<str> {
        if let Some(name) = self.0.get(text) {
            return Arc::clone(name);
        }
        let name = Arc::from(text);
        if text.len() <= SHARED_NAME_BYTES && self.0.len() < SHARED_NAMES {
            self.0.insert(Arc::clone(&name));
        }
        name
    }
}
