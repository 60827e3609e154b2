//! Random manifests, for tests that compare two implementations.

mod rules;
mod services;

pub use rules::{Action, Forward, Rule, Test, manifest, rule};
pub use services::{file, services};
