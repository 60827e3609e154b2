//! Splits the text of a file into YAML documents and consecutive JSON documents.
//!
//! The parser could split it too, but it rejects the whole stream at the first
//! error. Here, a document that does not parse must not affect others. YAML makes
//! this safe: a line that begins with `---` ends the previous document, even in an
//! unclosed quote.

use serde::de::IgnoredAny;
use serde_json::Deserializer;

use super::node::Position;

/// One document of a file, with its markers and directives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// The text.
    pub text: &'a str,
    /// The position in the file where it begins.
    pub at: Position,
}

/// The documents of `text`, without those that are empty or have only comments.
pub fn chunks(text: &str) -> impl Iterator<Item = Chunk<'_>> {
    let mut splitter = Splitter { rest: text, line: 1 };
    std::iter::from_fn(move || splitter.next_with_content()).flat_map(json_in_a_row)
}

/// Splits a chunk of consecutive JSON documents, separated by nothing but white
/// space. Returns any other chunk unchanged.
fn json_in_a_row(chunk: Chunk<'_>) -> impl Iterator<Item = Chunk<'_>> {
    let text = chunk.text.trim_start_matches([' ', '\t', '\n', '\r', '\u{feff}']);
    let before = chunk.text.len() - text.len();
    let is_json = text.starts_with('{');
    let mut stream = Deserializer::from_str(text).into_iter::<IgnoredAny>();
    let (mut rest, mut start) = (Some(chunk), 0);
    std::iter::from_fn(move || {
        let whole = rest.take()?;
        if !is_json || !matches!(stream.next(), Some(Ok(_))) {
            return (start == 0 || has_content(whole.text)).then_some(whole);
        }
        let end = before + stream.byte_offset();
        let (text, after) = whole.text.split_at(end - start);
        start = end;
        rest = Some(Chunk { text: after, at: behind(text, whole.at) });
        Some(Chunk { text, ..whole })
    })
}

/// Whether there is content, not only comments and markers.
fn has_content(mut rest: &str) -> bool {
    while !rest.is_empty() {
        let (line, after) = split_line(rest);
        if !matches!(classify(line), Line::Blank | Line::End) {
            return true;
        }
        rest = after;
    }
    false
}

/// The position after `text`, which begins at `at`.
fn behind(mut text: &str, mut at: Position) -> Position {
    loop {
        let (line, rest) = split_line(text);
        if !line.ends_with(['\n', '\r']) {
            let columns = u32::try_from(line.chars().count()).unwrap_or(u32::MAX);
            return Position { column: at.column.saturating_add(columns), ..at };
        }
        at = Position { line: at.line.saturating_add(1), column: 1 };
        text = rest;
    }
}

/// What a line means for the structure of a stream.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    /// `---`, and whether a value begins on the same line.
    Start {
        content: bool,
    },
    /// `...`
    End,
    /// Blank, or a comment.
    Blank,
    /// `%YAML` and other directives. Inside a document, such a line is content.
    Directive,
    Content,
}

struct Splitter<'a> {
    rest: &'a str,
    line: u32,
}

impl<'a> Splitter<'a> {
    fn next_with_content(&mut self) -> Option<Chunk<'a>> {
        while !self.rest.is_empty() {
            if let Some(chunk) = self.next() {
                return Some(chunk);
            }
        }
        None
    }

    /// Splits off the next document; `None` if it has no content.
    fn next(&mut self) -> Option<Chunk<'a>> {
        let (all, first_line) = (self.rest, self.line);
        let (mut started, mut content) = (false, false);
        while !self.rest.is_empty() {
            let (line, rest) = split_line(self.rest);
            let kind = classify(line);
            match kind {
                Line::Start { .. } if started || content => break,
                Line::Start { content: begins } => (started, content) = (true, begins),
                Line::Directive => content |= started,
                Line::Content => content = true,
                Line::Blank | Line::End => {}
            }
            self.rest = rest;
            self.line += 1;
            if kind == Line::End {
                break;
            }
        }
        let text = &all[..all.len() - self.rest.len()];
        content.then_some(Chunk { text, at: Position { line: first_line, column: 1 } })
    }
}

fn classify(line: &str) -> Line {
    // Files joined with `cat` may have a byte order mark at the start of any
    // document.
    let line = line.strip_prefix('\u{feff}').unwrap_or(line);
    if let Some(after) = marker(line, "---") {
        return Line::Start { content: !is_blank(after) };
    }
    if marker(line, "...").is_some() {
        return Line::End;
    }
    match line {
        _ if is_blank(line) => Line::Blank,
        _ if line.starts_with('%') => Line::Directive,
        _ => Line::Content,
    }
}

/// The text after `marker` at the start of `line`. White space must follow the
/// marker.
fn marker<'a>(line: &'a str, marker: &str) -> Option<&'a str> {
    let after = line.strip_prefix(marker)?;
    (after.is_empty() || after.starts_with([' ', '\t', '\n', '\r'])).then_some(after)
}

fn is_blank(line: &str) -> bool {
    let text = line.trim_start_matches([' ', '\t', '\n', '\r']);
    text.is_empty() || text.starts_with('#')
}

/// The first line with its line break, in any of YAML's three forms, and the rest.
/// Columns and lines must agree with those of the parser.
fn split_line(text: &str) -> (&str, &str) {
    let bytes = text.as_bytes();
    let end = match bytes.iter().position(|b| matches!(b, b'\n' | b'\r')) {
        Some(at) if bytes[at..].starts_with(b"\r\n") => at + 2,
        Some(at) => at + 1,
        None => text.len(),
    };
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_where_yaml_does() {
        let cases: &[(&str, &[(u32, &str)])] = &[
            ("", &[]),
            ("\n \n# only\n", &[]),
            ("---\n---\n# c\n---", &[]),
            ("a: b", &[(1, "a: b")]),
            ("a: b\n---\nc: d\n", &[(1, "a: b\n"), (2, "---\nc: d\n")]),
            ("---\na\n---\nb", &[(1, "---\na\n"), (3, "---\nb")]),
            ("a\n---  # comment\nb\n", &[(1, "a\n"), (2, "---  # comment\nb\n")]),
            ("a\n--- {b: c}\n--- |\n x\n", &[(1, "a\n"), (2, "--- {b: c}\n"), (3, "--- |\n x\n")]),
            ("a\n---b\n ---\n----\n", &[(1, "a\n---b\n ---\n----\n")]),
            ("a\n---\tb\n", &[(1, "a\n"), (2, "---\tb\n")]),
            ("a\n...\nb\n... # c\n---\nc", &[(1, "a\n...\n"), (3, "b\n... # c\n"), (5, "---\nc")]),
            ("...\na", &[(2, "a")]),
            ("a\r\n---\r\nb\r\n", &[(1, "a\r\n"), (2, "---\r\nb\r\n")]),
            ("a\r---\rb\r", &[(1, "a\r"), (2, "---\rb\r")]),
            (
                "%YAML 1.2\n# c\n---\na\n...\n%TAG ! x\n---\nb",
                &[(1, "%YAML 1.2\n# c\n---\na\n...\n"), (6, "%TAG ! x\n---\nb")],
            ),
            ("---\n%a\n---\nb", &[(1, "---\n%a\n"), (3, "---\nb")]),
            ("\u{feff}---\na\n\u{feff}---\nb", &[(1, "\u{feff}---\na\n"), (3, "\u{feff}---\nb")]),
            ("# c\na: |\n  ---\n---\n\n---\nb", &[(1, "# c\na: |\n  ---\n"), (6, "---\nb")]),
        ];
        for (text, want) in cases {
            let got: Vec<_> = chunks(text).map(|chunk| (chunk.at.line, chunk.text)).collect();
            assert_eq!(got, *want, "{text:?}");
        }
    }

    #[test]
    fn json_documents_may_follow_one_another() {
        type Documents<'t> = &'t [(u32, u32, &'t str)];
        let cases: &[(&str, Documents<'_>)] = &[
            ("{\"a\":1}", &[(1, 1, "{\"a\":1}")]),
            ("{\"a\":1} # c\n...\n", &[(1, 1, "{\"a\":1}")]),
            ("{\"a\":1}\n{\"b\":2}\n", &[(1, 1, "{\"a\":1}"), (1, 8, "\n{\"b\":2}")]),
            (
                "{\"\u{e9}\":\r\n1}{} {}",
                &[(1, 1, "{\"\u{e9}\":\r\n1}"), (2, 3, "{}"), (2, 5, " {}")],
            ),
            ("{}\n---\n{}{}", &[(1, 1, "{}"), (2, 1, "---\n{}{}")]),
            // The parser rejects the rest.
            ("{}\n{", &[(1, 1, "{}"), (1, 3, "\n{")]),
            // YAML that is not JSON.
            ("{a: {}}\n", &[(1, 1, "{a: {}}\n")]),
            ("\u{feff}\n{}\n{}", &[(1, 1, "\u{feff}\n{}"), (2, 3, "\n{}")]),
        ];
        for (text, want) in cases {
            let chunks = chunks(text).map(|it| (it.at.line, it.at.column, it.text));
            assert_eq!(chunks.collect::<Vec<_>>(), *want, "{text:?}");
        }
        assert_eq!(chunks(&"{}".repeat(100_000)).count(), 100_000, "in linear time");
    }
}
