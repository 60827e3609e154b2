//! Findings: problems of a manifest with their positions, one line each.

mod code;

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::object_ref::ObjectRef;

pub use code::{Code, Group, Origin};

/// How severe a [`Finding`] is. At the same position, errors sort before warnings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The objects are not served as written: `check` fails.
    Error,
    /// The objects are served, but perhaps not as intended.
    Warning,
    /// Not a problem, but worth knowing: for example, that an object would not work
    /// elsewhere, or is not for this gateway.
    Note,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

/// A position in a file. Lines and columns count from 1; columns count characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Location {
    /// The file name as the caller gave it, or `<stdin>`.
    #[serde(serialize_with = "as_str")]
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
}

impl Location {
    /// The position of a finding about a whole file: its first character, as in
    /// other linters, so that all lines have the same format.
    pub fn start_of(file: &Arc<str>) -> Self {
        Self { file: Arc::clone(file), line: 1, column: 1 }
    }
}

// Serde supports `Arc` only with a feature that nothing else here needs.
fn as_str<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

/// A message to the author of a manifest, which includes the remedy.
///
/// The order of the fields is the order in which findings sort.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Finding {
    /// The position; `None` if the finding is not about a file, but a flag or an
    /// API.
    pub source: Option<Location>,
    /// The severity of its code.
    pub severity: Severity,
    /// The object, for example `Ingress default/simple-ingress`.
    pub object: Option<ObjectRef>,
    /// The field, for example `spec.rules[0].http.paths[2].path`.
    pub field: Option<String>,
    /// What is wrong and what to do about it.
    pub message: String,
    /// The kind of finding.
    pub code: Code,
}

impl Finding {
    /// A finding without position.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let (severity, message) = (code.severity(), message.into());
        Self { source: None, severity, object: None, field: None, message, code }
    }

    /// The same finding, at `source`.
    #[must_use]
    pub fn at(mut self, source: impl Into<Option<Location>>) -> Self {
        self.source = source.into();
        self
    }

    /// The same finding, about `object`.
    #[must_use]
    pub fn object(mut self, object: ObjectRef) -> Self {
        self.object = Some(object);
        self
    }

    /// Object, field and message, on one line.
    pub fn described(&self) -> String {
        let object = self.object.as_ref().map(ObjectRef::to_string);
        let parts = [object.as_deref(), self.field.as_deref(), Some(&*self.message)];
        let parts: Vec<_> = parts.into_iter().flatten().map(one_line).collect();
        parts.join(": ")
    }

    /// The same finding, about `field`.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_escaped(f, &self.file)?;
        write!(f, ":{}:{}", self.line, self.column)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(source) = &self.source {
            write!(f, "{source}: ")?;
        }
        write!(f, "{}: {} [{}]", self.severity, self.described(), self.code)
    }
}

/// Writes `text` on one line with hidden characters escaped, because names and
/// values in a finding come from a manifest, which is untrusted input.
fn write_escaped(f: &mut dyn fmt::Write, text: &str) -> fmt::Result {
    for character in text.chars() {
        if is_hidden(character) {
            write!(f, "{}", character.escape_default())?;
        } else {
            f.write_char(character)?;
        }
    }
    Ok(())
}

/// `text` on one line, with hidden characters escaped.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    // Writing to a string does not fail.
    let _ = write_escaped(&mut line, text);
    line
}

/// Whether a terminal would not show `character` as it is: control characters, line
/// separators, and characters that change the direction of text.
pub(crate) fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
        )
}

/// The maximum number of characters of a value in a message.
const QUOTED_CHARACTERS: usize = 64;

/// `text` between backticks, truncated if long, for use in a message.
pub fn quote(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARACTERS) {
        Some((end, _)) => format!("`{}…`", &text[..end]),
        None => format!("`{text}`"),
    }
}

/// A list of findings, in the order in which they were added.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    found: Vec<Finding>,
    errors: usize,
}

impl Findings {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a finding.
    pub fn push(&mut self, finding: Finding) {
        if finding.severity == Severity::Error {
            self.errors += 1;
        }
        self.found.push(finding);
    }

    /// Adds a finding at `source`, without an object or a field.
    pub fn report(&mut self, source: Location, code: Code, message: impl Into<String>) {
        self.push(Finding::new(code, message).at(source));
    }

    /// Whether there are errors.
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// The number of errors.
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// The number of all findings.
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// Whether there are no findings.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// In the order in which they were added.
    pub fn iter(&self) -> std::slice::Iter<'_, Finding> {
        self.found.iter()
    }

    /// Sorted by file, line and column, without duplicates.
    pub fn into_sorted(mut self) -> Vec<Finding> {
        self.found.sort();
        self.found.dedup();
        self.found
    }
}

impl Extend<Finding> for Findings {
    fn extend<T: IntoIterator<Item = Finding>>(&mut self, findings: T) {
        findings.into_iter().for_each(|finding| self.push(finding));
    }
}

impl IntoIterator for Findings {
    type Item = Finding;
    type IntoIter = std::vec::IntoIter<Finding>;

    /// Sorted, as by [`Findings::into_sorted`].
    fn into_iter(self) -> Self::IntoIter {
        self.into_sorted().into_iter()
    }
}

impl<'a> IntoIterator for &'a Findings {
    type Item = &'a Finding;
    type IntoIter = std::slice::Iter<'a, Finding>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(file: &str, line: u32, column: u32) -> Location {
        Location { file: file.into(), line, column }
    }

    fn ingress(namespace: &str, name: &str) -> ObjectRef {
        ObjectRef { kind: "Ingress".into(), namespace: namespace.into(), name: name.into() }
    }

    #[test]
    fn prints_one_line_and_leaves_out_what_is_absent() {
        let full = Finding::new(Code::PathNotAbsolute, "is not absolute: begin it with /")
            .at(at("a.yaml", 3, 7))
            .object(ingress("default", "x"))
            .field("spec.rules[0]");
        let cases = [
            (
                full.clone(),
                "a.yaml:3:7: error: Ingress default/x: spec.rules[0]: is not absolute: begin it with / [path-not-absolute]",
            ),
            (
                Finding { field: None, ..full.clone() },
                "a.yaml:3:7: error: Ingress default/x: is not absolute: begin it with / [path-not-absolute]",
            ),
            (
                Finding { object: None, ..full },
                "a.yaml:3:7: error: spec.rules[0]: is not absolute: begin it with / [path-not-absolute]",
            ),
            (Finding::new(Code::NoPaths, "w"), "warning: w [no-paths]"),
            (
                Finding::new(Code::NoPaths, "a\nb\t\u{202e}c\u{85}\u{1b}[31m é")
                    .at(at("x\ny", 1, 1))
                    .object(ObjectRef::unnamed("o\r")),
                "x\\ny:1:1: warning: o\\r: a\\nb\\t\\u{202e}c\\u{85}\\u{1b}[31m é [no-paths]",
            ),
        ];
        for (finding, want) in cases {
            assert_eq!(finding.to_string(), want);
        }
    }

    #[test]
    fn sorts_by_place_and_says_a_thing_once() {
        let mut findings = Findings::new();
        findings.report(at("b", 1, 1), Code::NoPaths, "w");
        assert!(!findings.has_errors());
        findings.report(at("a", 10, 1), Code::NoTests, "e");
        findings.report(at("a", 9, 2), Code::NoTests, "e");
        findings.report(at("a", 9, 2), Code::NoTests, "e");
        findings.push(Finding::new(Code::NoTests, "no place"));
        assert_eq!((findings.errors(), findings.len()), (4, 5));
        let lines: Vec<_> = findings.into_iter().map(|f| f.to_string()).collect();
        assert_eq!(
            lines,
            [
                "error: no place [no-tests]",
                "a:9:2: error: e [no-tests]",
                "a:10:1: error: e [no-tests]",
                "b:1:1: warning: w [no-paths]"
            ]
        );
    }

    #[test]
    fn quotes_and_cuts_between_characters() {
        assert_eq!(quote("a`b"), "`a`b`");
        assert_eq!(quote(&"é".repeat(64)), format!("`{}`", "é".repeat(64)));
        assert_eq!(quote(&"é".repeat(65)), format!("`{}…`", "é".repeat(64)));
    }
}
