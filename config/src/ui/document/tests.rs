use std::fs;

use serde_json::{Value, json};

use super::*;
use crate::compile::check;
use crate::manifest::{PathSpec, read};
use crate::settings::Settings;

/// The document of manifests.
fn document(text: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.yaml");
    fs::write(&file, text).unwrap();
    let manifests = read(&[PathSpec::Path(file)], &mut std::io::empty());
    let compiled = check(&manifests, &Settings::default());
    let origin = Origin { paths: vec!["a.yaml".into()], live: false };
    let state = State {
        origin: &origin,
        is_watched: true,
        problem: None,
        manifests: &manifests,
        compiled: &compiled,
        now: SystemTime::now(),
    };
    let (version, json) = render(&state).unwrap();
    let json = String::from_utf8(json.to_vec()).unwrap();
    let json = json.replace(folder.path().to_str().unwrap(), "");
    let mut whole: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(whole["version"], version);
    whole["document"].take()
}

const CANARY: [&str; 3] = [
    include_str!("../../../samples/canary/canary.yaml"),
    include_str!("../../../samples/canary/ingress.yaml"),
    include_str!("../../../samples/canary/shop.yaml"),
];

#[test]
fn a_route_leads_to_its_service_and_versions() {
    let document = document(&CANARY.join("---\n"));
    let host = &document["hosts"][0];
    assert_eq!(host["names"], json!(["shop.example.com"]));
    let route = &host["routes"][0];
    assert_eq!((&route["kind"], &route["path"]), (&json!("prefix"), &json!("/")));
    assert_eq!(route["ingress"], "default/shop");
    assert_eq!(route["field"], "spec.rules[0].http.paths[0]");
    assert_eq!(route["at"], "/a.yaml:33");
    let backends = document["backends"].as_array().unwrap();
    let backend = backends.iter().find(|it| it["name"] == route["backend"]).unwrap();
    let rule = &backend["rules"][0];
    assert_eq!((&rule["name"], &rule["match"]), (&json!("default/canary"), &json!([])));
    let targets = rule["action"]["targets"].as_array().unwrap();
    let versions: Vec<_> = targets
        .iter()
        .map(|target| {
            let cluster = &document["clusters"][target["cluster"].as_str().unwrap()];
            (cluster["version"]["version"].clone(), target["percent"].clone())
        })
        .collect();
    assert_eq!(versions, [(json!("v1"), json!("90 %")), (json!("v2"), json!("10 %"))]);
    let mut found = document["findings"].as_array().unwrap().iter();
    assert!(found.all(|it| it["severity"] == "note"), "{found:?}");
}

#[test]
fn a_finding_has_its_line_and_its_remedy() {
    let wrong = CANARY[1].replace("path: /", "path: no-slash");
    let document = document(&[CANARY[2], &wrong].join("---\n"));
    let found = document["findings"].as_array().unwrap();
    let found = found.iter().find(|it| it["code"] == "path-not-absolute").unwrap();
    assert_eq!(found["object"], "Ingress default/shop");
    let line = &found["excerpt"][2];
    assert_eq!(line["parts"], json!(["      - path: ", "no-slash", ""]));
    let explained = &document["codes"]["path-not-absolute"];
    assert!(explained["explanation"].as_str().unwrap().len() > 20, "{explained}");
}
