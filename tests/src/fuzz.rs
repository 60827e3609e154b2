//! The code of the fuzz targets. Every input is possible, because it stands for
//! what clients and tenants send. A failure is a panic. The fuzzer limits the time
//! and memory of each input.
//!
//! `tests/fuzz` has a target for each of [`TARGETS`], and a corpus, whose inputs
//! the test `corpora` runs with all other tests.

mod certificates;
mod discovery;
mod flat_table;
mod input;
mod json_table;
mod manifests;
mod route_rule;
mod routes;

pub use certificates::{ServedCertificate, certificates};
pub use discovery::discovery;
pub use flat_table::{flat_table, sealed};
pub use json_table::json_table;
pub use manifests::manifests;
pub use route_rule::route_rule;
pub use routes::routes;

/// Returns whether an input got past the first checks.
pub type Target = fn(&[u8]) -> bool;

/// The targets, by name.
pub const TARGETS: [(&str, Target); 7] = [
    ("certificates", |input| certificates(input).is_some()),
    ("discovery", discovery),
    ("flat_table", flat_table),
    ("json_table", json_table),
    ("manifests", manifests),
    ("route_rule", route_rule),
    ("routes", routes),
];
