//! Manifests: parses files of YAML or JSON into Kubernetes objects, and keeps the
//! position of each field in its file.
//!
//! This module knows which kinds are read, but not what an Ingress is. Objects of
//! other kinds are skipped without a check of their content. A document that does
//! not parse is left out alone, and so is a malformed object. The caller validates
//! the fields of a well-formed object.
//!
//! Manifests are untrusted input, so time, memory and stack are limited while they
//! are parsed: see [`MAX_FILE_BYTES`], [`MAX_DEPTH`] and the other limits.

mod builder;
mod cursor;
mod documents;
mod excerpt;
mod json;
mod kept;
mod names;
mod node;
mod object;
mod parse_budget;
mod passed_over;
mod reader;
mod scalar;
mod source;
mod yaml;

pub(crate) use cursor::{Cursor, Located, Manner, Place, Reading, Subject, nearest};
pub use documents::{Chunk, chunks};
#[cfg(test)]
pub(crate) use excerpt::MAX_LINE;
pub(crate) use excerpt::{SourceText, word_at};
pub use kept::Kept;
pub use names::Names;
pub use node::{Key, Node, Position, Value};
pub use object::Object;
pub use parse_budget::{MAX_COPIED_BYTES, MAX_COPIED_NODES, MAX_NODES, ParseBudget};
pub use passed_over::{Group, PassedOver};
pub use source::{MAX_FILE_BYTES, Manifests, PathSpec, ReadFailure, read, read_text};
#[cfg(target_os = "linux")]
pub(crate) use source::{ReadCache, read_again};
pub(crate) use source::{is_manifest, read_stdin};
pub use yaml::{MAX_DEPTH, SyntaxError, parse};
