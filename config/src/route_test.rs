//! Tests of routes: requests, and their expected outcomes.
//!
//! The format is that of Envoy's route table check tool, with additional fields
//! (`docs/testing.md`). The requests go through the same module that Envoy runs.

mod case;
mod compare;
mod coverage;
mod distribution;
mod expect;
mod field;
mod format;
mod junit;
mod matcher;
mod report;
mod run;
mod source;
mod text;

#[cfg(test)]
mod tests;

pub use case::Cases;
pub use coverage::{Coverage, Reach};
pub use junit::junit;
pub use report::{Failure, Report, TestResult};
pub use run::run;
pub use source::{read, read_text};
pub use text::text;
