//! `ingressctl rbac`: manifests in, objects out.
//!
//! Each folder of `tests/rbac` is a case: the inputs `in.yaml` and optionally
//! `flags.txt`, the outputs `out.yaml` and `findings.txt`. This writes the outputs;
//! review them before you commit them:
//!
//! ```text
//! UPDATE_GOLDEN=1 cargo test -p ingressctl --test rbac
//! ```

mod sandbox;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

const CASES: &str = "tests/rbac";

fn rbac(arguments: &[&str]) -> Output {
    let mut command = sandbox::ingressctl();
    command.arg("rbac").args(arguments).output().expect("ingressctl runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// The objects in the output.
fn objects(yaml: &str) -> Vec<Value> {
    yaml.split("\n---\n")
        .map(|document| {
            serde_saphyr::from_str(document).unwrap_or_else(|e| panic!("{e}: {document}"))
        })
        .collect()
}

fn cases() -> Vec<PathBuf> {
    let mut cases: Vec<_> =
        fs::read_dir(CASES).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

#[test]
fn golden() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    for case in cases() {
        let file = case.join("in.yaml");
        let flags = fs::read_to_string(case.join("flags.txt")).unwrap_or_default();
        let arguments: Vec<_> =
            ["-f", file.to_str().unwrap()].into_iter().chain(flags.split_whitespace()).collect();
        let Output { status, stdout, stderr } = rbac(&arguments);
        let findings = text(&stderr).replace(&format!("{}/", case.display()), "");
        let code = i32::from(findings.contains(" error: "));
        assert_eq!(status.code(), Some(code), "{}: {findings}", case.display());
        for (name, actual) in [("out.yaml", text(&stdout)), ("findings.txt", findings)] {
            let path = case.join(name);
            if update {
                fs::write(&path, &actual).unwrap();
            }
            let expected = fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(actual, expected, "{}", path.display());
        }
        let json = rbac(&[&arguments[..], &["-o", "json"]].concat());
        let json: Value = serde_json::from_slice(&json.stdout).unwrap();
        assert_eq!(json["kind"], "List");
        assert_eq!(json["items"], Value::from(objects(&text(&stdout))), "{}", case.display());
    }
}

#[test]
fn the_deployment_has_the_rights_that_are_printed_for_no_ingress() {
    let printed = rbac(&["-f", "tests/rbac/without-tls/in.yaml"]);
    let printed = in_any_order(objects(&text(&printed.stdout)));
    let deployed = in_any_order(objects(&fs::read_to_string("deploy/rbac.yaml").unwrap()));
    for (some, others, where_to) in
        [(&deployed, &printed, "printed"), (&printed, &deployed, "deployed")]
    {
        for object in some {
            assert!(others.contains(object), "{object} is not {where_to}");
        }
    }
}

/// The same with sorted rules, because their order has no meaning.
fn in_any_order(mut objects: Vec<Value>) -> Vec<Value> {
    for rules in objects.iter_mut().filter_map(|object| object["rules"].as_array_mut()) {
        rules.sort_by_key(Value::to_string);
    }
    objects
}

#[test]
fn secrets_are_never_read_but_by_name() {
    for case in cases() {
        for object in objects(&fs::read_to_string(case.join("out.yaml")).unwrap()) {
            for rule in object["rules"].as_array().into_iter().flatten() {
                let has = |field: &str, value: &str| {
                    rule[field].as_array().into_iter().flatten().any(|item| item == value)
                };
                for field in ["apiGroups", "resources", "verbs", "resourceNames"] {
                    assert!(!has(field, "*"), "{object}");
                }
                let is_named = rule["resourceNames"].as_array().is_some_and(|n| !n.is_empty());
                let is_of_secrets = has("resources", "secrets");
                assert!(!is_of_secrets || (is_named && object["kind"] == "Role"), "{object}");
            }
        }
    }
}

#[test]
fn nothing_is_printed_where_not_all_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("bad.yaml"), "a: b: c\n").unwrap();
    for file in ["bad.yaml", "missing.yaml"] {
        let good = Path::new(CASES).join("tls/in.yaml");
        let output = rbac(&["-f", good.to_str().unwrap(), "-f", path(file).to_str().unwrap()]);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), String::new()));
        assert!(text(&output.stderr).contains(file), "{}", text(&output.stderr));
    }
    let output = rbac(&["-f", "tests/rbac/tls/in.yaml", "--namespace", "A b"]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), String::new()));
}
