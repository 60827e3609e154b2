//! What was read, beside what is wrong with it: so that whoever needs the value
//! decides who hears of that.

use std::cell::RefCell;

use super::Reading;
use crate::finding::{Finding, Findings};
use crate::manifest::Object;

/// A value that depends on one object alone.
#[derive(Debug)]
pub(crate) struct Read<T> {
    pub(crate) value: T,
    pub(crate) findings: Vec<Finding>,
}

impl<T> Read<T> {
    pub(super) fn new(object: &Object, read: impl FnOnce(&Reading<'_>) -> T) -> Self {
        let findings = RefCell::new(Findings::new());
        let value = read(&Reading::new(object, &findings));
        Self { value, findings: findings.into_inner().into_sorted() }
    }
}
