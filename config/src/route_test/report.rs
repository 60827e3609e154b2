//! What came of a run of tests.

use serde::Serialize;

use super::case::{Case, Expectation};
use super::coverage::Coverage;
use crate::finding::Location;

/// What came of a run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// How many tests passed.
    pub passed: usize,
    /// How many did not.
    pub failed: usize,
    /// What of the route table they reached.
    pub coverage: Coverage,
    /// Each of them, in order.
    pub tests: Vec<TestResult>,
}

/// What came of a test.
#[derive(Debug, Serialize)]
pub struct TestResult {
    /// Its name.
    pub name: String,
    /// Where it is written.
    #[serde(flatten)]
    pub at: Location,
    /// Whether everything was as expected.
    pub passed: bool,
    /// What was not.
    pub failures: Vec<Failure>,
    /// Why the request fared as it did.
    pub reason: String,
    /// How long it took.
    #[serde(skip)]
    pub seconds: f64,
}

/// An expectation that did not come true.
#[derive(Debug, Serialize)]
pub struct Failure {
    /// Where it is written.
    #[serde(flatten)]
    pub at: Location,
    /// The field, such as `validate.cluster_name`.
    pub field: String,
    /// What was expected.
    pub expected: String,
    /// What was got.
    pub got: String,
}

impl Report {
    pub(super) fn new(tests: Vec<TestResult>, coverage: Coverage) -> Self {
        let passed = tests.iter().filter(|test| test.passed).count();
        Self { passed, failed: tests.len() - passed, coverage, tests }
    }
}

impl TestResult {
    pub(super) fn new(case: &Case, failures: Vec<Failure>, reason: String, seconds: f64) -> Self {
        let (name, at) = (case.name.clone(), case.at.clone());
        Self { name, at, passed: failures.is_empty(), failures, reason, seconds }
    }
}

impl Failure {
    pub(super) fn of(expectation: &Expectation, expected: String, got: String) -> Self {
        // The test's own path, `tests[3].`, says nothing that its name does not.
        let field = match expectation.field.find("validate.") {
            Some(start) => &expectation.field[start..],
            None => &expectation.field,
        };
        Self { at: expectation.at.clone(), field: field.to_owned(), expected, got }
    }
}
