//! The configuration of the module.

use ingress_filter::{FlatTable, RouteTable};

/// The module's configuration with this table, in the form in which Envoy passes
/// it.
///
/// # Panics
/// If the table is not valid.
pub fn configuration(table: &RouteTable) -> Vec<u8> {
    FlatTable::encode(table).expect("a table that may be served").into_bytes()
}
