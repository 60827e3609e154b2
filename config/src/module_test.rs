//! Tests of Wasm modules: what a proxy does, and what the module is expected to do.
//!
//! The cases are in YAML of this project (`docs/module-tests.md`), or in the format of
//! service-extensions (`suite`). They run in the host `proxy_wasm_test`, without an Envoy.

mod case;
mod check;
mod compare;
mod expect;
mod format;
mod http1;
mod matcher;
mod phases;
mod plugin;
mod report;
mod run;
mod steps;
mod suite;
mod text;
mod text_format;
mod values;

pub(crate) use case::read;
pub(crate) use report::Report;
pub(crate) use run::{Limits, run};
pub(crate) use text::text;
