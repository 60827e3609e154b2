//! The commands of `ingressctl`.

mod args;
pub(crate) mod check;
pub(crate) mod compile;
pub(crate) mod completions;
pub(crate) mod controller;
pub(crate) mod demo;
pub(crate) mod explain;
pub(crate) mod explain_code;
mod findings;
pub(crate) mod module;
pub(crate) mod rbac;
mod runtime;
pub(crate) mod serve;
mod source;
pub(crate) mod table;
pub(crate) mod test;
pub(crate) mod ui;

use std::io::{self, Write};

use anyhow::{Context, ensure};
use thiserror::Error;

use crate::finding::{Finding, Severity};
use crate::manifest::Manifests;

/// `2 errors and 1 warning`; `None` without findings.
fn summary(findings: &[Finding]) -> Option<String> {
    let number = |severity| findings.iter().filter(|it| it.severity == severity).count();
    let severities =
        [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Note, "note")];
    let numbers = severities.map(|(severity, noun)| (number(severity), noun));
    let told = numbers.into_iter().filter(|(number, _)| *number > 0);
    let parts: Vec<_> = told.map(|(number, noun)| count(number, noun)).collect();
    let (last, others) = parts.split_last()?;
    Some(match others {
        [] => last.clone(),
        others => format!("{} and {last}", others.join(", ")),
    })
}

/// `1 object`, `2 objects`.
fn count(number: usize, noun: &str) -> String {
    match (number, noun.ends_with('s')) {
        (1, _) => format!("1 {noun}"),
        (_, false) => format!("{number} {noun}s"),
        (_, true) => format!("{number} {noun}es"),
    }
}

/// Prints findings to standard error, for commands whose output is something else.
fn report(findings: &[Finding]) {
    eprint!("{}", findings::text(findings, &io::stderr()));
}

/// The problem of a file that a command needs.
#[derive(Debug, Error)]
#[error("{0}")]
pub(crate) struct InvalidFile(Box<Finding>);

/// Fails if a manifest could not be read. `undone` states what was not done.
fn ensure_complete(manifests: &Manifests, undone: &str) -> anyhow::Result<()> {
    ensure!(manifests.is_complete(), "{undone}: some manifests could not be read");
    Ok(())
}

/// Prints a text and ends its last line.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let text = text.trim_end();
    print_bytes(if text.is_empty() { String::new() } else { format!("{text}\n") }.as_bytes())
}

/// Prints a text, without its colours if standard output is not a terminal.
fn print_coloured(text: &str) -> anyhow::Result<()> {
    let mut out = anstream::AutoStream::auto(io::stdout());
    written(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Prints bytes.
fn print_bytes(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    written(out.write_all(bytes).and_then(|()| out.flush()))
}

/// If the reader has closed the pipe, the rest is discarded.
fn written(result: io::Result<()>) -> anyhow::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("standard output"),
    }
}
