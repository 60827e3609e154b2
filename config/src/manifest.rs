//! Manifests: files of YAML or JSON, read into Kubernetes objects that still
//! know where in which file every one of their fields stands.
//!
//! Nothing here knows what an Ingress is, only which kinds are read. Objects of
//! other kinds are passed over, whatever they hold. A document that does not parse
//! costs that document, a malformed object that object; what the fields of a sound
//! object mean, and which of them are wrong, is for the caller to find out.
//!
//! Manifests may come from anyone, so reading them takes bounded time, memory
//! and stack: see [`MAX_FILE_BYTES`], [`MAX_DEPTH`] and their like.

mod builder;
mod cursor;
mod documents;
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
pub use kept::Kept;
pub use names::Names;
pub use node::{Key, Node, Position, Value};
pub use object::Object;
pub use parse_budget::{MAX_COPIED_BYTES, MAX_COPIED_NODES, MAX_NODES, ParseBudget};
pub use passed_over::{Group, PassedOver};
pub(crate) use source::is_manifest;
pub use source::{MAX_FILE_BYTES, Manifests, PathSpec, ReadFailure, read, read_text};
#[cfg(target_os = "linux")]
pub(crate) use source::{ReadCache, read_again};
pub use yaml::{MAX_DEPTH, SyntaxError, parse};
