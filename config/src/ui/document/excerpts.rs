//! Lines of manifests beside findings, never with a private key.

use serde::Serialize;

use crate::finding::{Finding, Location};
use crate::kinds::SECRET;
use crate::manifest::{SourceText, word_at};

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

/// The lines around a finding. A file with a Secret shows only the line itself, because
/// the next line may be that of a key.
pub(super) fn excerpt(finding: &Finding, known: &mut Option<SourceText>) -> Vec<Line> {
    let Some(at) = &finding.source else { return Vec::new() };
    let source = SourceText::of(known, &at.file);
    let has_secrets = source.text().contains(SECRET.name);
    let kind = finding.object.as_ref().map(|object| &*object.kind);
    // A document that does not parse has no kind.
    let may_be_secret = kind.is_none_or(|kind| kind == SECRET.name);
    if has_secrets && may_be_secret {
        return Vec::new();
    }
    let context = if has_secrets { 0 } else { CONTEXT };
    let numbers = at.line.saturating_sub(context)..=at.line.saturating_add(context);
    let lines = numbers.filter_map(|number| Some((number, source.line(number)?)));
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
mod tests {
    use std::fs;

    use super::*;
    use crate::finding::Code;
    use crate::object_ref::ObjectRef;

    /// The shown lines for a finding at line 3, about an object of this kind.
    fn shown(text: &str, kind: Option<&str>) -> Vec<(u32, Vec<String>)> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yaml");
        fs::write(&file, text).unwrap();
        let file = file.to_str().unwrap().into();
        let finding = Finding::new(Code::NoTests, "m").at(Location { file, line: 3, column: 4 });
        let finding = match kind {
            Some(kind) => finding.object(ObjectRef::unnamed(kind)),
            None => finding,
        };
        let lines = excerpt(&finding, &mut None).into_iter();
        lines.map(|line| (line.number, line.parts)).collect()
    }

    #[test]
    fn the_position_is_marked_between_its_neighbours() {
        let text = "one\ntwo\na: word b\nfour\nfive\nsix\n";
        let [before, after] =
            [(1, "one"), (4, "four")].map(|(number, line)| (number, vec![line.to_owned()]));
        let lines = shown(text, Some("Ingress"));
        assert_eq!((&lines[0], &lines[3], lines.len()), (&before, &after, 5));
        assert_eq!(lines[2], (3, ["a: ", "word", " b"].map(str::to_owned).into()));
        assert_eq!(shown("1\n2\n\n", Some("Ingress"))[2].1.len(), 3);
    }

    #[test]
    fn no_line_has_a_key() {
        let key = "k".repeat(MAX_BASE64 + 1);
        let secret = format!("kind: Secret\ntls.key: c2hvcnQ=\na: word\nkey: short\n{key}\n");
        assert_eq!(shown(&secret, Some("Secret")), []);
        assert_eq!(shown(&secret, None), []);
        let numbers: Vec<_> = shown(&secret, Some("Ingress")).into_iter().map(|it| it.0).collect();
        assert_eq!(numbers, [3]);
        let one_line = format!("\n\na: word, kind: Secret, tls.key: {key}");
        assert_eq!(shown(&one_line, Some("Ingress")), []);
        let pem = "\n-----BEGIN PRIVATE KEY-----\na: word\n";
        let numbers: Vec<_> = shown(pem, Some("Ingress")).into_iter().map(|it| it.0).collect();
        assert_eq!(numbers, [1, 3, 4]);
    }
}
