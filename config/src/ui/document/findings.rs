//! Findings, with their lines of the manifests.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::excerpts::{Line, Sources, excerpt};
use crate::finding::{Code, Finding, Severity, one_line};

/// The most findings with lines; the others have only their position.
const MAX_EXCERPTS: usize = 1_000;

/// A finding.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Found<'a> {
    severity: Severity,
    code: Code,
    /// `file:line:column`.
    at: Option<String>,
    /// For example `Ingress default/web`.
    object: Option<String>,
    field: Option<&'a str>,
    /// What is wrong, and the remedy.
    message: String,
    excerpt: Vec<Line>,
}

/// What a code means.
#[derive(Serialize)]
pub(super) struct Explained {
    summary: &'static str,
    explanation: &'static str,
    example: &'static str,
}

pub(super) fn of(findings: &[Finding]) -> Vec<Found<'_>> {
    let mut sources = Sources::default();
    let found = findings.iter().enumerate().map(|(index, finding)| Found {
        severity: finding.severity,
        code: finding.code,
        at: finding.source.as_ref().map(ToString::to_string),
        object: finding.object.as_ref().map(|object| one_line(&object.to_string())),
        field: finding.field.as_deref(),
        message: one_line(&finding.message),
        excerpt: match index {
            ..MAX_EXCERPTS => excerpt(finding, &mut sources),
            _ => Vec::new(),
        },
    });
    found.collect()
}

/// The explanation of each code that occurs.
pub(super) fn explained(findings: &[Finding]) -> BTreeMap<Code, Explained> {
    let codes: BTreeSet<_> = findings.iter().map(|finding| finding.code).collect();
    let explained = |code: Code| Explained {
        summary: code.summary(),
        explanation: code.explanation(),
        example: code.example(),
    };
    codes.into_iter().map(|code| (code, explained(code))).collect()
}
