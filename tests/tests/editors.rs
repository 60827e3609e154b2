//! The JSON Schemas for editors, by an implementation of others: of manifests, with RouteRules,
//! and of the two kinds of tests. Unit tests in `config` compare their fields with what is
//! read.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use ingress_tests::{files_below, python, workspace};
use serde_json::{Value, json};

const MANIFESTS: &str = "manifests.schema.json";
const ROUTES: &str = "route-tests.schema.json";
const MODULES: &str = "module-tests.schema.json";

/// What is wrong with each of these texts in YAML.
fn problems(texts: &[(&str, String)]) -> Vec<Vec<String>> {
    let mut python = python();
    python.arg(workspace().join("tests/python/validate.py")).arg(workspace().join("docs"));
    let mut python = python.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let input = serde_json::to_string(texts).unwrap();
    python.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    let problems: Vec<Vec<String>> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(problems.len(), texts.len());
    problems
}

#[test]
fn all_samples_are_valid_and_name_their_schema() {
    let samples = workspace().join("config/samples");
    let mut texts = Vec::new();
    for path in files_below(&samples) {
        let is_yaml = path.extension().is_some_and(|end| end == "yaml");
        if !is_yaml || path.ends_with("own-envoy/envoy.yaml") {
            continue;
        }
        let is_test = path.components().rev().any(|part| part.as_os_str() == "tests")
            && path.strip_prefix(&samples).unwrap().components().count() == 3;
        let schema = if is_test { ROUTES } else { MANIFESTS };
        let text = fs::read_to_string(&path).unwrap();
        let named = text.lines().next().unwrap().strip_prefix("# yaml-language-server: $schema=");
        let named = named.unwrap_or_else(|| panic!("{} names no schema", path.display()));
        let named = path.parent().unwrap().join(named).canonicalize().unwrap();
        assert_eq!(named, workspace().join("docs").join(schema).canonicalize().unwrap());
        texts.push((schema, text));
    }
    assert!(texts.len() > 30, "{}", texts.len());
    for ((_, text), problems) in texts.iter().zip(problems(&texts)) {
        assert!(problems.is_empty(), "{problems:?}: {text}");
    }
}

#[test]
fn the_examples_of_the_pages_are_valid() {
    let mut texts = Vec::new();
    for (page, schema) in [("testing.md", ROUTES), ("module-tests.md", MODULES)] {
        let text = fs::read_to_string(workspace().join("docs").join(page)).unwrap();
        for rest in text.split("\ntests:\n").skip(1) {
            let block = rest.split("```").next().unwrap();
            texts.push((schema, format!("tests:\n{block}")));
        }
    }
    let page = fs::read_to_string(workspace().join("docs/editors.md")).unwrap();
    for snippet in page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()) {
        let schema = if snippet.contains("\ntests:") { ROUTES } else { MANIFESTS };
        if snippet.contains("\napiVersion:") || schema == ROUTES {
            texts.push((schema, snippet.to_owned()));
        }
    }
    assert!(texts.len() >= 8, "{texts:?}");
    for ((_, text), problems) in texts.iter().zip(problems(&texts)) {
        assert!(problems.is_empty(), "{problems:?}: {text}");
    }
}

#[test]
fn what_is_not_a_field_is_found() {
    let rule = |spec: Value| {
        json!({"apiVersion": "config.istio.io/v1alpha2", "kind": "RouteRule",
               "metadata": {"name": "a"}, "spec": spec})
    };
    let test = |input: Value, validate: Value| json!({"tests": [{"test_name": "a", "input": input, "validate": validate}]});
    let input = json!({"authority": "a.example", "path": "/"});
    let module = |expect: Value| json!({"tests": [{"name": "a", "expect": expect}]});
    let cases = [
        (MANIFESTS, rule(json!({"destination": {"name": "web"}})), true),
        (MANIFESTS, rule(json!({"destination": {"nam": "web"}})), false),
        (MANIFESTS, rule(json!({"destination": {"name": "web"}, "rout": []})), false),
        (
            MANIFESTS,
            rule(json!({"destination": {"name": "web"}, "append_headers": {"a": "b"}})),
            true,
        ),
        (MANIFESTS, json!({"kind": "Ingress", "spec": {"any": "thing"}}), true),
        (ROUTES, test(input.clone(), json!({"cluster_name": ""})), true),
        (ROUTES, test(input.clone(), json!({"cluster": ""})), false),
        (ROUTES, test(json!({"path": "/"}), json!({"timeout": "4s"})), false),
        (ROUTES, test(input, json!({"ingress": {"retries": "3"}})), false),
        (MODULES, module(json!({"log": {"level": "warn"}})), true),
        (MODULES, module(json!({"log": {"level": "loud"}})), false),
        (MODULES, module(json!({"status": 20})), false),
        (MODULES, module(json!({"stauts": 200})), false),
    ];
    let texts: Vec<_> =
        cases.iter().map(|(schema, document, _)| (*schema, document.to_string())).collect();
    for ((schema, document, valid), problems) in cases.iter().zip(problems(&texts)) {
        assert_eq!(problems.is_empty(), *valid, "{schema}: {document}: {problems:?}");
    }
}
