//! Runs tests.

use std::time::Instant;

use super::case::{Case, Cases, Check};
use super::compare::compare;
use super::coverage::Recorder;
use super::report::{Reason, Report, failure, result};
use crate::explain::Explainer;
use crate::testing::TestResult;

/// Runs all tests, in order.
///
/// # Errors
/// If the module cannot run, which no test should cause.
pub fn run(cases: &Cases, explainer: &Explainer) -> anyhow::Result<Report> {
    let mut recorder = Recorder::new(explainer.table());
    let tests: Vec<_> = cases
        .cases
        .iter()
        .map(|case| run_one(case, explainer, &mut recorder))
        .collect::<Result<_, _>>()?;
    Ok(Report::new(tests, recorder.coverage()))
}

fn run_one(
    case: &Case,
    explainer: &Explainer,
    recorder: &mut Recorder<'_>,
) -> anyhow::Result<TestResult<Reason>> {
    let start = Instant::now();
    let explanation = explainer.decide(&case.request)?;
    recorder.record(explanation.place, explanation.rule);
    let mut failures = Vec::new();
    for expectation in &case.expectations {
        failures.extend(compare(expectation, &case.request, &explanation));
        if let Check::Distribution(distribution) = &expectation.check {
            let drawn = explainer.draw(&case.request, distribution.requests)?;
            let off = distribution.compare(&drawn).into_iter();
            failures.extend(off.map(|(expected, got)| failure(expectation, expected, got)));
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    Ok(result(case, failures, explanation.reason, seconds))
}
