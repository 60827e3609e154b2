//! Results for a terminal.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::result::{Context, TestResult};
use crate::finding::one_line;

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const FAINT: Style = Style::new().dimmed();

/// A test, with what explains it if it failed. It has colours, as all that is here.
pub(crate) fn render_test<C: Context>(out: &mut String, test: &TestResult<C>) {
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
        for line in test.context.lines() {
            let _ = writeln!(out, "       {}", one_line(&line));
        }
    }
}

/// The last line.
pub(crate) fn render_totals(out: &mut String, passed: usize, failed: usize) {
    let style = if failed == 0 { GOOD } else { BAD };
    let _ = writeln!(out, "{style}{passed} passed, {failed} failed{style:#}");
}
