//! Findings on a terminal: each with its line of the manifest, and a caret under its
//! column.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::finding::{Finding, Location, Severity, one_line};
use crate::manifest::{SourceText, word_at};

/// All findings, with an empty line after each.
pub(super) fn render(findings: &[Finding], with_colours: bool) -> String {
    let renderer = if with_colours { Renderer::styled() } else { Renderer::plain() };
    let mut source = None;
    let blocks = findings.iter().map(|finding| {
        let line = finding.source.as_ref().filter(|_| !holds_secrets(finding));
        let line = line.and_then(|place| SourceText::of(&mut source, &place.file).line(place.line));
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
    let file = one_line(file);
    match line.and_then(|line| Some((line, word_at(line, *column)?))) {
        Some((line, span)) => title.element(
            Snippet::source(line)
                .line_start(number)
                .path(file)
                .annotation(AnnotationKind::Primary.span(span)),
        ),
        None => title.element(
            Origin::path(file)
                .line(number)
                .char_column(usize::try_from(*column).unwrap_or(usize::MAX)),
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::finding::Code;
    use crate::manifest::MAX_LINE;
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
