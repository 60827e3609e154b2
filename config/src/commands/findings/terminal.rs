//! Findings on a terminal: each with its line of the manifest, and a caret under its
//! column.

use std::fs;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::finding::{Finding, Location, Severity, is_hidden, one_line};
use crate::manifest::MAX_FILE_BYTES;

/// The longest line that is shown, in bytes, because a file may be a single line.
const MAX_LINE: usize = 4 << 10;

/// All findings, with an empty line after each.
pub(super) fn render(findings: &[Finding], with_colours: bool) -> String {
    let renderer = if with_colours { Renderer::styled() } else { Renderer::plain() };
    let mut source = None;
    let blocks = findings.iter().map(|finding| {
        let line = finding.source.as_ref().filter(|_| !holds_secrets(finding));
        let line = line.and_then(|place| Source::of(&mut source, place).line(place.line));
        renderer.render(&[group(finding, line.as_deref())]) + "\n\n"
    });
    blocks.collect()
}

/// Whether the line may contain a private key, which must not be shown.
fn holds_secrets(finding: &Finding) -> bool {
    finding.object.as_ref().is_some_and(|object| &*object.kind == "Secret")
}

fn group<'a>(finding: &Finding, line: Option<&'a str>) -> Group<'a> {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let title = level.primary_title(finding.described()).id(finding.code.as_str());
    let Some(Location { file, line: number, column }) = &finding.source else {
        return Group::with_title(title);
    };
    let number = usize::try_from(*number).unwrap_or(usize::MAX);
    let column = usize::try_from(*column).unwrap_or(usize::MAX);
    let file = one_line(file);
    match line.and_then(|line| Some((line, span(line, column)?))) {
        Some((line, span)) => title.element(
            Snippet::source(line)
                .line_start(number)
                .path(file)
                .annotation(AnnotationKind::Primary.span(span)),
        ),
        None => title.element(Origin::path(file).line(number).char_column(column)),
    }
}

/// The byte range of the word at `column`, which counts characters from 1; `None` if
/// the line is shorter.
fn span(line: &str, column: usize) -> Option<Range<usize>> {
    let (start, first) = line.char_indices().nth(column.checked_sub(1)?)?;
    let rest = line.get(start + first.len_utf8()..)?;
    let length = match first {
        '"' | '\'' => rest.find(first).map_or(rest.len(), |end| end + 1),
        _ => rest
            .find(|character: char| character.is_whitespace() || ",:{}[]".contains(character))
            .unwrap_or(rest.len()),
    };
    Some(start..start + first.len_utf8() + length)
}

/// The file that was read last, because findings are in the order of files.
struct Source {
    file: Arc<str>,
    text: String,
    /// The offset of each line.
    starts: Vec<usize>,
}

impl Source {
    /// The file of `place`; read unless it is the one in `known`.
    fn of<'a>(known: &'a mut Option<Self>, place: &Location) -> &'a Self {
        let other = known.take().filter(|source| source.file == place.file);
        known.insert(other.unwrap_or_else(|| Self::read(&place.file)))
    }

    /// A pipe has been read, and standard input has no name: then no line is shown.
    fn read(file: &Arc<str>) -> Self {
        let is_file = fs::metadata(&**file).is_ok_and(|metadata| {
            metadata.is_file() && metadata.len() <= u64::try_from(MAX_FILE_BYTES).unwrap_or(0)
        });
        let text = if is_file { fs::read_to_string(&**file) } else { Ok(String::new()) };
        let text = text.unwrap_or_default();
        let ends = text.match_indices('\n').map(|(end, _)| end + 1);
        let starts = std::iter::once(0).chain(ends).collect();
        Self { file: Arc::clone(file), text, starts }
    }

    /// One line, counted from 1, with control characters replaced.
    fn line(&self, number: u32) -> Option<String> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        let start = *self.starts.get(index)?;
        let end = self.starts.get(index + 1).copied().unwrap_or(self.text.len());
        let line = self.text.get(start..end)?.trim_end_matches(['\n', '\r']);
        let shown = |character| match character {
            '\t' => '\t',
            character if is_hidden(character) => char::REPLACEMENT_CHARACTER,
            character => character,
        };
        (line.len() <= MAX_LINE).then(|| line.chars().map(shown).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Code;
    use crate::object_ref::ObjectRef;

    fn render_one(text: &str, line: u32, column: u32, kind: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        fs::write(&path, text).unwrap();
        let file = path.to_str().unwrap();
        let at = Location { file: file.into(), line, column };
        let finding =
            Finding::new(Code::NoTests, "is wrong").at(at).object(ObjectRef::unnamed(kind));
        render(&[finding], false).replace(file, "a.yaml")
    }

    #[test]
    fn the_place_is_under_the_line() {
        for (line, column, carets) in [
            ("  name: web", 9, "  name: web\n  |         ^^^"),
            ("  name: \"a b\" # c", 9, "  name: \"a b\" # c\n  |         ^^^^^"),
            ("{a: {b: [c, d]}}", 13, "{a: {b: [c, d]}}\n  |             ^"),
            ("\u{e9}\u{e9}: x", 5, "\u{e9}\u{e9}: x\n  |     ^"),
        ] {
            let shown = render_one(&format!("# one\r\n{line}\r\n"), 2, column, "Ingress");
            let head = format!("error[no-tests]: Ingress: is wrong\n --> a.yaml:2:{column}\n");
            assert!(shown.starts_with(&head), "{shown}");
            assert!(shown.contains(carets), "{shown}");
        }
    }

    #[test]
    fn what_cannot_be_shown_has_its_place_alone() {
        let place = "error[no-tests]: Ingress: is wrong\n--> a.yaml:1:9\n\n";
        assert_eq!(render_one(&"a".repeat(MAX_LINE + 1), 1, 9, "Ingress"), place);
        assert_eq!(render_one("short", 1, 9, "Ingress"), place);
        assert_eq!(render_one("", 1, 9, "Ingress"), place);
        let secret = render_one("tls.key: hidden", 1, 9, "Secret");
        assert_eq!(secret, place.replace("Ingress", "Secret"));
        let warning = Finding::new(Code::NoPaths, "somewhere");
        assert_eq!(render(&[warning], false), "warning[no-paths]: somewhere\n\n");
        let of_stdin =
            Finding::new(Code::KindNotServed, "piped").at(Location::start_of(&"<stdin>".into()));
        assert_eq!(render(&[of_stdin], false), "note[kind-not-served]: piped\n--> <stdin>:1:1\n\n");
    }

    #[test]
    fn a_line_cannot_command_the_terminal() {
        let shown = render_one("a: \u{1b}[31m\u{202e}\u{9b}b", 1, 4, "Ingress");
        assert!(shown.contains("a: \u{fffd}[31m\u{fffd}\u{fffd}b"), "{shown}");
    }
}
