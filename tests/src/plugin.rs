//! The configuration of the module.

use ingress_filter::{FlatTable, RouteTable};

/// The configuration that gives the module this table, in the form in which
/// Envoy gets it.
///
/// # Panics
/// Where the table says what may not be served.
pub fn configuration(table: &RouteTable) -> Vec<u8> {
    FlatTable::encode(table).expect("a table that may be served").into_bytes()
}
