//! Field names, each stored once.

use std::collections::HashSet;
use std::sync::Arc;

/// Longer names are rarely field names, so sharing them saves little.
const SHARED_NAME_BYTES: usize = 40;
/// Enough for all field names; further keys are data.
const SHARED_NAMES: usize = 1024;

/// The names seen so far.
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
