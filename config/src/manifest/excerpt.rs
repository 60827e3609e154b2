//! Lines of manifest files, to show them beside findings.

use std::fs;
use std::ops::Range;
use std::sync::Arc;

use super::source::MAX_FILE_BYTES;
use crate::finding::is_hidden;

/// The longest line that is shown, in bytes, because a file may be a single line.
pub(crate) const MAX_LINE: usize = 4 << 10;

/// The text of a file, by lines.
pub(crate) struct SourceText {
    file: Arc<str>,
    text: String,
    /// The offset of each line.
    starts: Vec<usize>,
}

impl SourceText {
    /// The text of `file`; read unless it is the one in `known`, because findings are in the
    /// order of files.
    pub(crate) fn of<'a>(known: &'a mut Option<Self>, file: &Arc<str>) -> &'a Self {
        let other = known.take().filter(|source| source.file == *file);
        known.insert(other.unwrap_or_else(|| Self::read(file)))
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

    /// The whole text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// One line, counted from 1, with control characters replaced.
    pub(crate) fn line(&self, number: u32) -> Option<String> {
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

/// The byte range of the word at `column`, which counts characters from 1; `None` if
/// the line is shorter.
pub(crate) fn word_at(line: &str, column: u32) -> Option<Range<usize>> {
    let column = usize::try_from(column).ok()?.checked_sub(1)?;
    let (start, first) = line.char_indices().nth(column)?;
    let rest = line.get(start + first.len_utf8()..)?;
    let length = match first {
        '"' | '\'' => rest.find(first).map_or(rest.len(), |end| end + 1),
        _ => rest
            .find(|character: char| character.is_whitespace() || ",:{}[]".contains(character))
            .unwrap_or(rest.len()),
    };
    Some(start..start + first.len_utf8() + length)
}
