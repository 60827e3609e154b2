//! The result of one test.

use serde::Serialize;

use crate::finding::Location;

/// The result of a test, with what explains it.
#[derive(Debug, Serialize)]
pub struct TestResult<C> {
    /// Its name.
    pub name: String,
    /// Its position.
    #[serde(flatten)]
    pub at: Location,
    /// Whether it passed.
    pub passed: bool,
    /// The differences.
    pub failures: Vec<Failure>,
    /// What explains the result.
    #[serde(flatten)]
    pub context: C,
    /// The duration.
    #[serde(skip)]
    pub seconds: f64,
}

/// What explains the result of a test.
pub trait Context {
    /// Lines to print under a test that failed.
    fn lines(&self) -> Vec<String>;
}

/// An expectation that was not met.
#[derive(Debug, Serialize)]
pub struct Failure {
    /// Its position.
    #[serde(flatten)]
    pub at: Location,
    /// The field, such as `validate.cluster_name`.
    pub field: String,
    /// The expected value.
    pub expected: String,
    /// The actual value.
    pub got: String,
}
