//! A value together with the findings about it, so that the caller decides whether to
//! report them.

use std::cell::RefCell;
use std::sync::Arc;

use super::Reading;
use crate::finding::{Finding, Findings};
use crate::manifest::Object;

/// A value that depends on one object only.
#[derive(Debug)]
pub(crate) struct Read<T> {
    pub(crate) value: T,
    pub(crate) findings: Vec<Finding>,
}

impl<T> Read<T> {
    pub(super) fn new(object: &Object, read: impl FnOnce(&Reading<'_>) -> T) -> Self {
        Self::noting(|findings| read(&Reading::new(object, findings)))
    }

    /// For objects whose fields have protobuf's names.
    pub(super) fn strict(object: &Object, read: impl FnOnce(&Reading<'_>) -> T) -> Self {
        Self::noting(|findings| read(&Reading::strict(object, findings)))
    }

    fn noting(read: impl FnOnce(&RefCell<Findings>) -> T) -> Self {
        let findings = RefCell::default();
        let value = read(&findings);
        Self { value, findings: findings.into_inner().into_sorted() }
    }

    /// The value; its findings are reported elsewhere.
    pub(crate) fn value(&self) -> &T {
        &self.value
    }

    /// The value, after its findings have been reported.
    pub(crate) fn tell(&self, findings: &RefCell<Findings>) -> &T {
        findings.borrow_mut().extend(self.findings.iter().cloned());
        &self.value
    }
}

impl<T: Send + Sync + 'static> Read<T> {
    /// Same as [`new`](Self::new), or its earlier result.
    pub(super) fn once(object: &Object, read: impl Fn(&Reading<'_>) -> T) -> Arc<Self> {
        object.kept.get_or_make(|| Self::new(object, &read))
    }
}
