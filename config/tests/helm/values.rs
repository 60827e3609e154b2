//! The values of the chart: their schema, and that each one has an effect.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Map, Value, json};

use crate::program::{helm, parsed, template};
use crate::{CHART, NAMESPACE, is_up_to_date};

/// Together they have a value for each key of the schema that differs from the default.
pub(crate) const FULL: &str = "tests/helm/full.yaml";
pub(crate) const WITHOUT: &str = "tests/helm/without.yaml";

const SCHEMA: &str = "deploy/chart/values.schema.json";

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn schema() -> Value {
    serde_json::from_str(&read(SCHEMA)).unwrap()
}

#[test]
fn the_schema_has_the_settings_of_the_published_one() {
    let mut settings: Map<String, Value> =
        serde_json::from_str(&read("../docs/settings.schema.json")).unwrap();
    let types = settings.remove("$defs").unwrap();
    settings.retain(|name, _| name != "$schema" && name != "title");
    let mut schema = schema();
    let mut definitions = for_helm(&types);
    definitions["Settings"] = for_helm(&Value::Object(settings));
    // The other values use these.
    for name in ["Image", "Resources"] {
        definitions[name] = schema["definitions"][name].take();
    }
    schema["definitions"] = definitions;
    let current = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    is_up_to_date(SCHEMA.as_ref(), &current);
}

/// In the draft of JSON Schema that Helm knows. Of an enumeration it lists the possible
/// values, of alternatives it only says that none matches.
fn for_helm(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => {
            if let Some(names) = enumerated(fields) {
                return json!({
                    "description": fields["description"], "type": "string", "enum": names
                });
            }
            let translated = fields.iter().map(|(name, value)| match value {
                Value::String(path) if name == "$ref" => {
                    (name.clone(), path.replace("#/$defs/", "#/definitions/").into())
                }
                _ => (name.clone(), for_helm(value)),
            });
            translated.collect()
        }
        Value::Array(items) => items.iter().map(for_helm).collect(),
        _ => schema.clone(),
    }
}

/// The values of a type whose alternatives are constants.
fn enumerated(schema: &Map<String, Value>) -> Option<Vec<Value>> {
    let alternatives = schema.get("oneOf")?.as_array()?;
    alternatives.iter().map(|alternative| alternative.get("const").cloned()).collect()
}

#[test]
fn wrong_values_are_rejected_with_what_is_possible() {
    for (value, error) in [
        ("foo=1", "(root): Additional property foo is not allowed"),
        ("settings.acessLog=true", "settings: Additional property acessLog is not allowed"),
        (
            "settings.httpForTls=refused",
            r#"settings.httpForTls must be one of the following: "serve", "redirect", "refuse""#,
        ),
        ("settings.trustedHops=two", "settings.trustedHops: Invalid type. Expected: integer"),
        (
            "settings.defaultCertificate=certs",
            r#"settings.defaultCertificate: "certs" is not NAMESPACE/NAME, such as istio-system/certs"#,
        ),
        ("images.envoy.digest=abc", "images.envoy.digest: Does not match pattern"),
        ("images.envoy.tag=", "images.envoy.tag: String length must be greater than or equal to 1"),
        ("images.envoy.tag=null", "images.envoy: tag is required"),
        ("service.httpPort=0", "service.httpPort: Must be greater than or equal to 1"),
        (
            "service.spec.ports=80",
            "service.spec.ports: the chart sets this field; use service.type",
        ),
        (
            "service.type=ClusterIP,service.httpsNodePort=30443",
            "service.httpsNodePort: 30443 cannot be used with service.type ClusterIP; remove it",
        ),
        ("disruptionBudget.maxUnavailable=half", "disruptionBudget.maxUnavailable: Does not match"),
        (
            "autoscaler.minReplicas=20",
            "autoscaler.minReplicas: 20 is more than autoscaler.maxReplicas",
        ),
        ("name=Edge", "name: Does not match pattern"),
    ] {
        let said = template(NAMESPACE, &["--set", value]).expect_err(value);
        assert!(said.contains(error), "{value}: {said}");
    }
}

#[test]
fn helm_finds_nothing_in_the_chart() {
    let lint = ["lint", "--strict", CHART];
    for values in [vec![], vec!["--values", FULL], vec!["--values", WITHOUT]] {
        let output = helm(&[&lint[..], &values].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn each_value_is_tried() {
    let schema = schema();
    let mut keys = BTreeSet::new();
    keys_of(&schema, &schema, "", &mut keys);
    // Helm sets it for charts that contain this one.
    keys.remove("/global");
    assert!(keys.len() > 100, "{keys:?}");
    let tried = [FULL, WITHOUT].map(|file| parsed(&read(file)));
    keys.retain(|key| tried.iter().all(|values| values.pointer(key).is_none()));
    assert_eq!(keys, BTreeSet::new(), "neither in {FULL} nor in {WITHOUT}");
}

/// The keys that the schema names, as JSON pointers.
fn keys_of(root: &Value, schema: &Value, path: &str, keys: &mut BTreeSet<String>) {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let pointer = reference.trim_start_matches('#');
        keys_of(root, root.pointer(pointer).expect(reference), path, keys);
    } else if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        for (name, schema) in properties {
            keys_of(root, schema, &format!("{path}/{name}"), keys);
        }
    } else {
        keys.insert(path.to_owned());
    }
}

#[test]
fn each_value_alone_has_an_effect() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("values.json");
    let file = file.to_str().unwrap();
    let default = template(NAMESPACE, &[]).unwrap();
    let fixed = template(NAMESPACE, &["--set", "autoscaler.enabled=false"]).unwrap();
    for values in [FULL, WITHOUT].map(|file| parsed(&read(file))) {
        for mut one in each_alone(&values) {
            // Without the autoscaler, which sets the number of pods.
            let is_fixed = one.get("replicas").is_some();
            if is_fixed {
                one["autoscaler"] = json!({"enabled": false});
            }
            fs::write(file, one.to_string()).unwrap();
            let rendered = template(NAMESPACE, &["--values", file]).unwrap();
            let unchanged = if is_fixed { &fixed } else { &default };
            assert_ne!(rendered, *unchanged, "{one}");
        }
    }
}

/// Each value in a document of its own.
fn each_alone(values: &Value) -> Vec<Value> {
    match values {
        // The other options of tracing need the collector.
        Value::Object(fields) if !fields.is_empty() && !fields.contains_key("collector") => {
            let nested = fields.iter().flat_map(|(name, value)| {
                each_alone(value).into_iter().map(move |one| json!({ name.as_str(): one }))
            });
            nested.collect()
        }
        _ => vec![values.clone()],
    }
}
