//! A report for a terminal.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::coverage::{Coverage, Reach};
use super::report::{Report, TestResult};
use crate::finding::one_line;

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const FAINT: Style = Style::new().dimmed();
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
    let style = if report.failed == 0 { GOOD } else { BAD };
    let Report { passed, failed, .. } = report;
    let _ = writeln!(text, "{style}{passed} passed, {failed} failed{style:#}");
    text
}

fn render_test(out: &mut String, test: &TestResult) {
    let (style, word) = if test.passed { (GOOD, "ok  ") } else { (BAD, "FAIL") };
    let at = one_line(&format!("{}:{}", test.at.file, test.at.line));
    let _ = writeln!(out, "{style}{word}{style:#} {at}: {}", one_line(&test.name));
    for failure in &test.failures {
        let at = one_line(&format!("{}:{}", failure.at.file, failure.at.line));
        let _ = writeln!(out, "       {} {FAINT}({at}){FAINT:#}", one_line(&failure.field));
        let _ = writeln!(out, "         {GOOD}- expected: {}{GOOD:#}", one_line(&failure.expected));
        let _ = writeln!(out, "         {BAD}+ got:      {}{BAD:#}", one_line(&failure.got));
    }
    if !test.passed {
        let _ = writeln!(out, "       because: {}", one_line(&test.reason));
    }
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
