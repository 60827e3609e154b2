//! A report for a terminal.

use std::fmt::Write as _;

use super::coverage::{Coverage, Reach};
use super::report::Report;
use crate::finding::one_line;
use crate::testing::{render_test, render_totals};

/// The maximum number of unreached routes and rules that are listed without details.
const UNREACHED: usize = 20;

/// The report: each failed test, with `details` also the others, and the totals. It has
/// colours, which the caller removes if they are not wanted.
pub fn text(report: &Report, details: bool) -> String {
    let mut text = String::new();
    for test in report.tests.iter().filter(|test| details || !test.passed) {
        render_test(&mut text, test);
    }
    render_coverage(&mut text, &report.coverage, details);
    render_totals(&mut text, report.passed, report.failed);
    text
}

fn render_coverage(text: &mut String, coverage: &Coverage, details: bool) {
    let Coverage { percent, routes, rules } = coverage;
    let _ = writeln!(
        text,
        "coverage: {percent:.1} % ({} of {} routes, {} of {} rules)",
        routes.reached, routes.total, rules.reached, rules.total
    );
    render_unreached(text, "route", routes, details);
    render_unreached(text, "rule", rules, details);
}

fn render_unreached(text: &mut String, kind: &str, reach: &Reach, details: bool) {
    let shown = if details { reach.unreached.len() } else { UNREACHED };
    for name in reach.unreached.iter().take(shown) {
        let _ = writeln!(text, "  no test reaches {kind} {}", one_line(name));
    }
    if reach.unreached.len() > shown {
        let more = reach.unreached.len() - shown;
        let _ = writeln!(text, "  nor {more} more {kind}s; --details lists them");
    }
}
