//! Lines of manifests beside findings, never with a part of a Secret.

mod closed;

use std::sync::Arc;

use serde::Serialize;

use crate::finding::{Finding, Location};
use crate::manifest::{SourceText, word_at};
use closed::Closed;

/// The lines before and after the marked one.
const CONTEXT: u32 = 2;

/// A longer run of base64 may be a part of a key. The lines of PEM have 64 characters.
const MAX_BASE64: usize = 48;

/// A line of a manifest.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Line {
    number: u32,
    /// The whole line, or what is before, at, and after the position of the finding.
    parts: Vec<String>,
}

/// The newest file, because findings are in the order of files.
#[derive(Default)]
pub(super) struct Sources {
    text: Option<SourceText>,
    closed: Option<(Arc<str>, Closed)>,
}

impl Sources {
    fn of(&mut self, file: &Arc<str>) -> (&SourceText, &Closed) {
        let text = SourceText::of(&mut self.text, file);
        let known = self.closed.take().filter(|(other, _)| other == file);
        let new = || (Arc::clone(file), Closed::of(text.text()));
        let (_, closed) = self.closed.insert(known.unwrap_or_else(new));
        (text, closed)
    }
}

/// The lines around a finding, without those that may have a part of a Secret.
pub(super) fn excerpt(finding: &Finding, sources: &mut Sources) -> Vec<Line> {
    let Some(at) = &finding.source else { return Vec::new() };
    let (text, closed) = sources.of(&at.file);
    let numbers = at.line.saturating_sub(CONTEXT)..=at.line.saturating_add(CONTEXT);
    let open = numbers.filter(|number| !closed.has(*number));
    let lines = open.filter_map(|number| Some((number, text.line(number)?)));
    let lines = lines.filter(|(_, line)| !may_have_key(line));
    lines.map(|(number, line)| Line { number, parts: parts(line, number, at) }).collect()
}

fn parts(line: String, number: u32, at: &Location) -> Vec<String> {
    if number != at.line {
        return vec![line];
    }
    match word_at(&line, at.column) {
        Some(word) => [0..word.start, word.clone(), word.end..line.len()]
            .map(|range| line[range].to_owned())
            .into(),
        None => vec![String::new(), line, String::new()],
    }
}

/// Whether a line may have a part of a private key.
fn may_have_key(line: &str) -> bool {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let mut run = 0;
    let is_long = line.bytes().any(|byte| {
        run = if is_base64(byte) { run + 1 } else { 0 };
        run > MAX_BASE64
    });
    is_long || line.contains("PRIVATE KEY")
}

#[cfg(test)]
mod tests;
