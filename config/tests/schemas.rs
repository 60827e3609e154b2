//! The JSON Schema of RouteRules for editors is made from the `CustomResourceDefinition`:
//! `UPDATE_GOLDEN=1 cargo test -p ingressctl --test schemas` writes it.

use std::{env, fs};

use serde_json::{Map, Value, json};

const UPDATE: &str = "UPDATE_GOLDEN=1 cargo test -p ingressctl --test schemas";

#[test]
fn the_schema_of_route_rules_is_that_of_the_definition() {
    let definition = fs::read_to_string("deploy/chart/crds/routerule.yaml").unwrap();
    let definition: Value = serde_saphyr::from_str(&definition).unwrap();
    let version = &definition["spec"]["versions"][0];
    let mut schema = version["schema"]["openAPIV3Schema"].clone();
    for_editors(&mut schema);
    let group = definition["spec"]["group"].as_str().unwrap();
    let name = format!("{group}/{}", version["name"].as_str().unwrap());
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = "RouteRule".into();
    schema["properties"]["apiVersion"] = json!({"const": name});
    schema["properties"]["kind"] = json!({"const": "RouteRule"});
    schema["properties"]["metadata"] = json!({"type": "object", "required": ["name"]});
    schema["required"] = json!(["apiVersion", "kind", "metadata", "spec"]);
    let current = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    let path = "../docs/route-rule.schema.json";
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(path, &current).unwrap();
    }
    let published = fs::read_to_string(path).unwrap_or_default();
    assert_eq!(published, current, "{path} is out of date: {UPDATE}");
}

/// An API server keeps unknown fields, so that the controller can report them. An editor
/// reports them itself, but for the original spelling in protobuf.
fn for_editors(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            let is_open = map.remove("x-kubernetes-preserve-unknown-fields").is_some();
            map.values_mut().for_each(for_editors);
            if let Some(Value::Object(properties)) = map.get_mut("properties").filter(|_| is_open) {
                add_original_spelling(properties);
                map.insert("additionalProperties".into(), false.into());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(for_editors),
        _ => {}
    }
}

fn add_original_spelling(properties: &mut Map<String, Value>) {
    for (name, schema) in properties.clone() {
        let mut original = String::new();
        for letter in name.chars() {
            if letter.is_ascii_uppercase() {
                original.push('_');
            }
            original.push(letter.to_ascii_lowercase());
        }
        properties.entry(original).or_insert(schema);
    }
}
