//! Errors of regular expressions.

use std::fmt;

/// The longest pattern.
pub(super) const MAX_CHARACTERS: usize = 1024;

/// The largest automaton, in bytes. Usual patterns take 1 to 12 KB.
pub(super) const MAX_SIZE: usize = 64 << 10;

/// The reason why a text is not a supported regular expression.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PatternError {
    /// The text is too long.
    TooLong {
        /// The length of the text.
        characters: usize,
    },
    /// The compiled pattern is too large.
    TooLarge,
    /// It uses look-around.
    LookAround,
    /// It uses a back-reference.
    BackReference,
    /// It is malformed, or uses syntax that is not supported, with the message of the
    /// parser.
    Syntax(String),
    /// The module cannot compile patterns.
    NotCompiled,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { characters } => write!(
                f,
                "is a regular expression of {characters} characters; shorten it to {MAX_CHARACTERS} at most"
            ),
            Self::TooLarge => write!(
                f,
                "is a regular expression that takes more than {} KiB once compiled; \
                 repeat less, above all after .* or in alternatives",
                MAX_SIZE >> 10
            ),
            Self::LookAround => f.write_str(
                "uses look-around, which cannot be matched in linear time; write it without",
            ),
            Self::BackReference => f.write_str(
                "uses a back-reference, which cannot be matched in linear time; write it without",
            ),
            Self::Syntax(cause) => write!(f, "is not a valid regular expression: {cause}"),
            Self::NotCompiled => f.write_str(
                "is a regular expression in JSON, which the module cannot compile; \
                 convert this table to the flat form with `ingressctl table`, and load that",
            ),
        }
    }
}

impl std::error::Error for PatternError {}
