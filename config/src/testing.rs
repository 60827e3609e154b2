//! What all commands that run tests share: the files of tests, and the results in text and in
//! JUnit's XML.

mod expectation;
mod field;
mod files;
mod junit;
mod result;
#[cfg(test)]
mod schema;
mod text;

pub(crate) use expectation::Expectation;
pub(crate) use field::{Field, Fields, not_empty, required};
pub(crate) use files::{Suite, read_documents, read_into, read_text_into, read_tree};
pub(crate) use junit::junit;
pub use result::{Context, Failure, TestResult};
#[cfg(test)]
pub(crate) use schema::Published;
pub(crate) use text::{render_test, render_totals};
