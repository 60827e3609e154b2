//! The results of a test run.

use serde::Serialize;

use super::case::{Case, Expectation};
use super::coverage::Coverage;
use crate::testing::{Context, Failure, TestResult};

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
    pub tests: Vec<TestResult<Reason>>,
}

/// The reason for the outcome of a request.
#[derive(Debug, Serialize)]
pub struct Reason {
    /// In words.
    pub reason: String,
}

impl Context for Reason {
    fn lines(&self) -> Vec<String> {
        vec![format!("because: {}", self.reason)]
    }
}

impl Report {
    pub(super) fn new(tests: Vec<TestResult<Reason>>, coverage: Coverage) -> Self {
        let passed = tests.iter().filter(|test| test.passed).count();
        Self { passed, failed: tests.len() - passed, coverage, tests }
    }
}

/// The result of a test.
pub(super) fn result(
    case: &Case,
    failures: Vec<Failure>,
    reason: String,
    seconds: f64,
) -> TestResult<Reason> {
    let (name, at, context) = (case.name.clone(), case.at.clone(), Reason { reason });
    TestResult { name, at, passed: failures.is_empty(), failures, context, seconds }
}

/// An expectation that was not met.
pub(super) fn failure(expectation: &Expectation, expected: String, got: String) -> Failure {
    // The path of the test, `tests[3].`, is redundant, because the report has its name.
    let field = match expectation.field.find("validate.") {
        Some(start) => &expectation.field[start..],
        None => &expectation.field,
    };
    Failure { at: expectation.at.clone(), field: field.to_owned(), expected, got }
}
