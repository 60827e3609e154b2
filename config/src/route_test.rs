//! Tests of routes: requests, and their expected outcomes.
//!
//! The format is that of Envoy's route table check tool, with additional fields
//! (`docs/testing.md`). The requests go through the same module that Envoy runs.

mod case;
mod compare;
mod coverage;
mod distribution;
mod expect;
mod format;
mod matcher;
mod report;
mod run;
mod text;

#[cfg(test)]
mod tests;

pub use case::{Cases, read, read_text};
pub use coverage::{Coverage, Reach};
pub use report::{Reason, Report};
pub use run::run;
pub use text::text;
