//! The published JSON Schemas agree with the types.
//!
//! `UPDATE_GOLDEN=1 cargo test -p ingress-tests --test schema` updates them.

use std::{env, fs};

use ingress_filter::RouteTable;
use ingress_filter::table::Property;
use ingress_tests::workspace;
use ingressctl::settings::Settings;
use schemars::{Schema, schema_for};

#[track_caller]
fn is_published(schema: &Schema, file: &str) {
    let path = workspace().join("docs").join(file);
    let current = serde_json::to_string_pretty(schema).unwrap() + "\n";
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &current).unwrap();
    }
    let published = fs::read_to_string(&path).unwrap_or_default();
    let remedy = "UPDATE_GOLDEN=1 cargo test -p ingress-tests --test schema";
    assert_eq!(published, current, "{} is out of date: {remedy}", path.display());
}

#[test]
fn the_route_tables_schema_is_published() {
    is_published(&schema_for!(RouteTable), "route-table.schema.json");
}

/// They are not in the type, but the filter still reads them.
#[test]
fn older_tables_match_the_schema() {
    let older = r#"{"version": 1, "record_source": true}"#;
    let table: RouteTable = serde_json::from_str(older).unwrap();
    assert_eq!(table.record, Property::ALL);
    let schema = schema_for!(RouteTable);
    assert_eq!(schema.as_value()["properties"]["record_source"]["type"], "boolean");
}

#[test]
fn the_settings_schema_is_published() {
    is_published(&schema_for!(Settings), "settings.schema.json");
}
