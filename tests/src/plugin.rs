//! What the module is configured with.

use ingress_filter::RouteTable;

/// The configuration that gives the module this table, in the form in which
/// Envoy gets it.
///
/// # Panics
/// Never: a table is JSON.
pub fn configuration(table: &RouteTable) -> Vec<u8> {
    serde_json::to_vec(table).expect("a table is JSON")
}
