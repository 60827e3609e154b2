//! What each command of `ingressctl` does.

mod args;
pub(crate) mod check;
pub(crate) mod compile;
pub(crate) mod controller;
pub(crate) mod demo;
pub(crate) mod explain;
pub(crate) mod module;
pub(crate) mod rbac;
pub(crate) mod serve;
pub(crate) mod table;
pub(crate) mod test;

use std::io::{self, Write};

use anyhow::Context;

use crate::finding::{Finding, Severity};

/// `2 errors and 1 warning`, or nothing where there is nothing to say.
fn summary(findings: &[Finding]) -> Option<String> {
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    let count = |number: usize, noun: &str| match number {
        0 => None,
        1 => Some(format!("1 {noun}")),
        _ => Some(format!("{number} {noun}s")),
    };
    let parts = [count(errors, "error"), count(findings.len() - errors, "warning")];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" and "))
}

/// Prints findings for whoever runs a command that does something else.
fn report(findings: &[Finding]) {
    for finding in findings {
        eprintln!("{finding}");
    }
}

/// Prints a text and ends its last line. Whoever stops reading has seen enough.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("standard output"),
    }
}
