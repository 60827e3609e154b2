//! The results of a test run.

use serde::Serialize;

use super::case::{Case, Expectation};
use super::coverage::Coverage;
use crate::finding::Location;

/// The result of a run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The number of tests that passed.
    pub passed: usize,
    /// The number of tests that failed.
    pub failed: usize,
    /// The coverage of the route table.
    pub coverage: Coverage,
    /// The result of each test, in order.
    pub tests: Vec<TestResult>,
}

/// The result of a test.
#[derive(Debug, Serialize)]
pub struct TestResult {
    /// Its name.
    pub name: String,
    /// Its position.
    #[serde(flatten)]
    pub at: Location,
    /// Whether it passed.
    pub passed: bool,
    /// The differences.
    pub failures: Vec<Failure>,
    /// The reason for the outcome of the request.
    pub reason: String,
    /// The duration.
    #[serde(skip)]
    pub seconds: f64,
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
        // The path of the test, `tests[3].`, is redundant, because the report has its name.
        let field = match expectation.field.find("validate.") {
            Some(start) => &expectation.field[start..],
            None => &expectation.field,
        };
        Self { at: expectation.at.clone(), field: field.to_owned(), expected, got }
    }
}
