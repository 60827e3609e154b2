//! Parses one YAML or JSON document into a [`Node`].
//!
//! It uses the event parser that serde-saphyr re-exports, not its deserializer,
//! which takes three times as long for the same tree and expands aliases before a
//! limit can stop it. Nothing here recurses, so that no document overflows the
//! stack. The depth is limited for code that recurses over the tree afterwards,
//! such as dropping it.

use std::sync::Arc;

use serde_saphyr::granit_parser::{self, ErrorKind, Parser, ScanError};
use thiserror::Error;

use super::builder::{Builder, Place};
use super::node::{Node, Position, Value};
use super::parse_budget::{MAX_NODES, ParseBudget};
use crate::finding::{Code, quote};

/// The maximum nesting depth of lists and mappings.
pub const MAX_DEPTH: usize = 100;
/// Why a document does not parse, and the position of the error.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("{cause}")]
pub struct SyntaxError {
    /// The position in the file.
    pub at: Position,
    pub(super) cause: Cause,
}

/// Why a document does not parse.
#[derive(Clone, Debug, PartialEq, Error)]
pub(super) enum Cause {
    #[error("is not valid YAML: {0}; {remedy}", remedy = remedy(.0))]
    Scan(ErrorKind),
    #[error("the key {} is given twice in this mapping; keep one of the two", quote(.0))]
    DuplicateKey(Arc<str>),
    #[error("a key must be text, not {0}; write or quote the name of the field")]
    Key(&'static str),
    #[error("the tag {} is not supported; remove it", quote(.0))]
    Tag(String),
    #[error("the value is not what the tag `!!{0}` says; remove the tag or correct the value")]
    Tagged(String),
    #[error("`<<` takes a mapping or a list of mappings, not {0}; use an alias of a mapping")]
    Merge(&'static str),
    #[error("this alias stands for a value it is part of; write the value out")]
    SelfReference,
    #[error("lists and mappings are nested deeper than {MAX_DEPTH}; flatten them")]
    Depth,
    #[error("this file has more than {MAX_NODES} values; split it into several files")]
    Nodes,
    #[error("the aliases in this file repeat too much; write the values out")]
    Copies,
    #[error(
        "a second value where the document should end; put `---` on a line of its own between documents"
    )]
    SecondValue,
}

impl SyntaxError {
    /// The code of the finding.
    pub(crate) fn code(&self) -> Code {
        match self.cause {
            Cause::DuplicateKey(_) => Code::DuplicateKey,
            Cause::Depth | Cause::Nodes | Cause::Copies => Code::YamlTooLarge,
            Cause::Scan(_)
            | Cause::Key(_)
            | Cause::Tag(_)
            | Cause::Tagged(_)
            | Cause::Merge(_)
            | Cause::SelfReference
            | Cause::SecondValue => Code::YamlNotValid,
        }
    }
}

/// Parses one document, which begins at `start` in its file. A document without
/// content is null.
///
/// # Errors
/// If it is not valid YAML, repeats a key, has a tag that is not a standard YAML
/// tag, or exceeds one of the limits above.
pub fn parse(text: &str, start: Position, budget: &mut ParseBudget) -> Result<Node, SyntaxError> {
    let Parsed { root, has_flaws } = parse_flawed(text, start, budget)?;
    match root.flaw().filter(|_| has_flaws) {
        Some(flaw) => Err(flaw.clone()),
        None => Ok(root),
    }
}

/// A document whose values may be flawed.
pub(super) struct Parsed {
    pub(super) root: Node,
    pub(super) has_flaws: bool,
}

/// Like [`parse`], but returns flawed values as such, because they only matter in
/// objects that are read.
///
/// # Errors
/// If the structure of the document is not valid, or it exceeds one of the limits
/// above.
pub(super) fn parse_flawed(
    text: &str,
    start: Position,
    budget: &mut ParseBudget,
) -> Result<Parsed, SyntaxError> {
    let options = granit_parser::options! {
        emit_comments: false,
        // The scanner reads ahead in flow style, so this limit applies first.
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH + 1,
    };
    let mut builder = Builder::new(budget);
    let in_file = |line: usize, column: usize| Position {
        line: clamp(line).saturating_add(start.line).saturating_sub(1),
        column: clamp(column).saturating_add(if line <= 1 { start.column } else { 1 }),
    };
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| {
            let (line, column) = place_of(&error, text);
            SyntaxError { at: in_file(line, column), cause: Cause::of(error.kind()) }
        })?;
        let at = in_file(span.start.line(), span.start.col());
        let tag_at = span.tag_start.map(|tag| in_file(tag.line(), tag.col()));
        let place = Place { at, tag_at: tag_at.unwrap_or(at) };
        builder.take(event, place).map_err(|cause| SyntaxError { at, cause })?;
    }
    let has_flaws = builder.has_flaws();
    let root = builder.into_root().unwrap_or(Node { at: start, value: Value::Null });
    Ok(Parsed { root, has_flaws })
}

/// Line from 1 and column from 0, as the parser counts. For tabs, the parser
/// reports where it stopped, which may be a line before the tab.
fn place_of(error: &ScanError, text: &str) -> (usize, usize) {
    let (line, column) = (error.marker().line(), error.marker().col());
    if is_about_tabs(error.kind()) {
        let lines = text.lines().enumerate().skip(line.saturating_sub(1));
        for (number, text) in lines.take(3) {
            let indentation = text.len() - text.trim_start_matches([' ', '\t']).len();
            if let Some(tab) = text[..indentation].find('\t') {
                return (number + 1, tab);
            }
        }
    }
    (line, column)
}

fn is_about_tabs(kind: &ErrorKind) -> bool {
    use ErrorKind as K;
    matches!(
        kind,
        K::TabNotAllowed
            | K::TabInBlockIndentation
            | K::TabInIndentation
            | K::TabInPlainScalar
            | K::TabAtBlockScalarStart
    )
}

fn remedy(kind: &ErrorKind) -> &'static str {
    use ErrorKind as K;
    match kind {
        _ if is_about_tabs(kind) => "indent with spaces",
        K::UnknownAnchor => "define `&name` before `*name`, or quote a value that begins with `*`",
        K::ExpectedDocumentStart => {
            "check the indentation, and put `---` on a line of its own between documents"
        }
        K::MappingValueNotAllowed | K::InvalidColonPlacement | K::ExpectedBlockMappingKey => {
            "check the indentation, and quote a value that has `: ` in it"
        }
        K::UnclosedQuotedScalar | K::DocumentIndicatorInQuotedScalar => "close the quote",
        K::UnexpectedCharacter { .. } => {
            "remove the character, or quote the value if it belongs to it"
        }
        K::UnexpectedEofFlowSequence
        | K::UnexpectedEofFlowMapping
        | K::UnclosedFlowCollection { .. }
        | K::MismatchedFlowCollectionEnd { .. } => "balance the brackets",
        K::UnsupportedYamlMajorVersion => "write YAML 1.2 and remove the directive",
        _ => "correct the syntax here or on the line before",
    }
}

impl Cause {
    fn of(kind: &ErrorKind) -> Self {
        match kind {
            ErrorKind::RecursionLimitExceeded => Self::Depth,
            kind => Self::Scan(kind.clone()),
        }
    }
}

fn clamp(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
