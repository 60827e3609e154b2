//! What each command of `ingressctl` does.

mod args;
pub(crate) mod check;
pub(crate) mod compile;
pub(crate) mod controller;
pub(crate) mod demo;
pub(crate) mod explain;
pub(crate) mod module;
pub(crate) mod rbac;
mod runtime;
pub(crate) mod serve;
pub(crate) mod table;
pub(crate) mod test;

use std::io::{self, Write};

use anyhow::Context;

use crate::finding::{Finding, Severity};

pub(crate) use args::InvalidSettings;

/// `2 errors and 1 warning`, or nothing where there is nothing to say.
fn summary(findings: &[Finding]) -> Option<String> {
    let number = |severity| findings.iter().filter(|it| it.severity == severity).count();
    let count = |number: usize, noun: &str| match number {
        0 => None,
        1 => Some(format!("1 {noun}")),
        _ => Some(format!("{number} {noun}s")),
    };
    let severities =
        [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Note, "note")];
    let parts = severities.map(|(severity, noun)| count(number(severity), noun));
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    let (last, others) = parts.split_last()?;
    Some(match others {
        [] => last.clone(),
        others => format!("{} and {last}", others.join(", ")),
    })
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
