//! Splits the text of a file into YAML documents.
//!
//! The parser could do this too, but gives up on a whole stream at its first
//! mistake, while here one document that does not parse is to cost only itself.
//! YAML makes it safe: a line that begins with `---` ends whatever precedes it,
//! an unclosed quote included.

/// One document of a file, its markers and directives included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// The text.
    pub text: &'a str,
    /// The line of the file its first line is, from 1.
    pub first_line: u32,
}

/// The documents of `text` that have any content: not those that are empty or
/// hold only comments.
pub fn chunks(text: &str) -> impl Iterator<Item = Chunk<'_>> {
    let mut splitter = Splitter { rest: text, line: 1 };
    std::iter::from_fn(move || splitter.next_with_content())
}

/// What one line is to the structure of a stream.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    /// `---`, and whether a value begins on that line.
    Start {
        content: bool,
    },
    /// `...`
    End,
    /// Blank, or a comment.
    Blank,
    /// `%YAML` and its like, which is content inside a document.
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

    /// Takes one document off the rest, and says nothing if it has no content.
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
        content.then_some(Chunk { text, first_line })
    }
}

fn classify(line: &str) -> Line {
    // Files put together with `cat` may have one at the start of any document.
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

/// What follows `marker` at the start of `line`; a marker is a word of its own.
fn marker<'a>(line: &'a str, marker: &str) -> Option<&'a str> {
    let after = line.strip_prefix(marker)?;
    (after.is_empty() || after.starts_with([' ', '\t', '\n', '\r'])).then_some(after)
}

fn is_blank(line: &str) -> bool {
    let text = line.trim_start_matches([' ', '\t', '\n', '\r']);
    text.is_empty() || text.starts_with('#')
}

/// The first line with its line break, which may be any of YAML's three, and
/// what follows. Columns and lines have to agree with the parser's.
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
            let got: Vec<_> = chunks(text).map(|chunk| (chunk.first_line, chunk.text)).collect();
            assert_eq!(got, *want, "{text:?}");
        }
    }
}
