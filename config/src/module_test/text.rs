//! A report for a terminal.

use std::fmt::Write as _;

use super::report::{Report, Run};
use crate::testing::{render_test, render_totals};

/// The report: each failed test, with `details` also the others, and the totals. With `fuel`, all
/// tests have the fuel of each callback. It has colours, which the caller removes if they are not
/// wanted.
pub(crate) fn text(report: &Report, details: bool, fuel: bool) -> String {
    let mut text = String::new();
    for test in report.tests.iter().filter(|test| details || fuel || !test.passed) {
        render_test(&mut text, test);
        if fuel {
            render_fuel(&mut text, &test.context);
        }
    }
    render_totals(&mut text, report.passed, report.failed);
    text
}

fn render_fuel(text: &mut String, run: &Run) {
    let _ = writeln!(text, "       fuel: {}", run.fuel);
    for callback in &run.callbacks {
        let runs = if callback.runs == 1 { "run" } else { "runs" };
        let _ = writeln!(
            text,
            "         {} {} in {} {runs}",
            callback.name, callback.fuel, callback.runs
        );
    }
}
