//! One expectation of a test.

use crate::finding::Location;

/// What a field expects; `C` is the kind of check that the tests have.
#[derive(Debug)]
pub(crate) struct Expectation<C> {
    pub(crate) at: Location,
    /// The field, such as `expect.log[0]`.
    pub(crate) field: String,
    pub(crate) check: C,
}
