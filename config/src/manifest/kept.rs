//! A cache in each object for the result of parsing it.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// The result of parsing an object by its kind. An object does not change. If only
/// a few of many objects change, parsing all of them again would be most of the
/// work. A clone starts empty, because it may become another object.
#[derive(Default)]
pub struct Kept(OnceLock<Arc<dyn Any + Send + Sync>>);

impl Kept {
    /// The cached value, or the result of `make`, which is then cached.
    pub(crate) fn get_or_make<T: Any + Send + Sync>(&self, make: impl Fn() -> T) -> Arc<T> {
        let kept = self.0.get_or_init(|| Arc::new(make()));
        // One kind has one parser. If it had two, the result of the second would
        // not be cached.
        Arc::clone(kept).downcast().unwrap_or_else(|_| Arc::new(make()))
    }
}

impl Clone for Kept {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.get().is_some() { "Kept" } else { "Nothing" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_is_made_once_and_not_copied() {
        let kept = Kept::default();
        assert_eq!(*kept.get_or_make(|| 1), 1);
        assert_eq!(*kept.get_or_make(|| 2), 1, "the first result is cached");
        assert_eq!(*kept.get_or_make(|| "other"), "other", "another type is not cached");
        assert_eq!(*kept.clone().get_or_make(|| 3), 3);
    }
}
