//! The Helm chart in `deploy/chart`, rendered by a real Helm.
//!
//! The files of the kustomize base are the chart with its default values, and the schema of
//! the values contains that of the settings. This writes both; review them before you commit
//! them:
//!
//! ```text
//! UPDATE_GOLDEN=1 cargo test -p ingressctl --test helm
//! ```

#[path = "../deployed/mod.rs"]
mod deployed;
mod monitoring;
mod program;
#[path = "../sandbox/mod.rs"]
mod sandbox;
mod values;

use std::collections::BTreeMap;
use std::path::Path;
use std::{env, fs};

use deployed::lost_field;
use program::{CHART, documents, objects, parsed, template};
use sandbox::Sandbox;
use serde_json::Value;
use values::{FULL, WITHOUT};

const COMMAND: &str = "UPDATE_GOLDEN=1 cargo test -p ingressctl --test helm";
/// The template whose objects are in a folder of their own.
const MONITORING: &str = "monitoring.yaml";
const NAMESPACE: &str = "istio-system";

#[track_caller]
fn is_up_to_date(file: &Path, current: &str) {
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(file, current).unwrap();
    }
    let there = fs::read_to_string(file).unwrap_or_default();
    assert_eq!(there, current, "{} is out of date: {COMMAND}", file.display());
}

#[test]
fn the_files_of_the_kustomize_base_are_rendered_from_the_chart() {
    let mut number = 0;
    for entry in fs::read_dir(Path::new(CHART).join("templates")).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if Path::new(&name).extension().is_none_or(|end| end != "yaml") {
            continue;
        }
        let shown = format!("templates/{name}");
        let is_monitoring = name == MONITORING;
        let mut arguments = vec!["--show-only", &*shown];
        if is_monitoring {
            arguments.extend(["--set", "monitoring.enabled=true"]);
        }
        let rendered = template(NAMESPACE, &arguments).unwrap();
        let header =
            format!("# Rendered from chart/{shown}; chart/README.md explains how to change it.\n");
        let text = header + &documents(&rendered).join("\n---\n") + "\n";
        let folder = Path::new(deployed::FOLDER);
        if is_monitoring {
            is_up_to_date(&folder.join("monitoring").join(&name), &text);
            continue;
        }
        is_up_to_date(&folder.join(&name), &text);
        number += 1;
    }
    assert_eq!(number, deployed::files().len() - 1, "all but the CustomResourceDefinition");
}

/// API version, kind, namespace and name.
type Identity = [String; 4];

fn by_identity(objects: Vec<Value>) -> BTreeMap<Identity, Value> {
    let number = objects.len();
    let fields = ["/apiVersion", "/kind", "/metadata/namespace", "/metadata/name"];
    let identity = |object: &Value| {
        fields.map(|field| {
            object.pointer(field).and_then(Value::as_str).unwrap_or_default().to_owned()
        })
    };
    let objects: BTreeMap<_, _> =
        objects.into_iter().map(|object| (identity(&object), object)).collect();
    assert_eq!(objects.len(), number, "no object is there twice");
    objects
}

#[test]
fn the_default_values_give_the_objects_of_kustomize() {
    let rendered = template(NAMESPACE, &["--include-crds"]).unwrap();
    assert_eq!(by_identity(objects(&rendered)), by_identity(deployed::objects()));
}

#[test]
fn for_kubernetes_1_20_they_are_those_of_its_folder() {
    let arguments = ["--include-crds", "--kube-version", "1.20.0"];
    let rendered = template(NAMESPACE, &arguments).unwrap();
    let mut expected = deployed::objects();
    let budget = expected.iter_mut().find(|object| object["kind"] == "PodDisruptionBudget");
    let budget = budget.expect("a PodDisruptionBudget");
    let patch = fs::read_to_string("deploy-1.20/disruption-budget.yaml").unwrap();
    for operation in parsed(&patch).as_array().unwrap() {
        assert_eq!(operation["op"], "replace");
        let field = budget.pointer_mut(operation["path"].as_str().unwrap()).unwrap();
        *field = operation["value"].clone();
    }
    assert_eq!(by_identity(objects(&rendered)), by_identity(expected));
}

#[test]
fn the_chart_has_this_version() {
    let chart = parsed(&fs::read_to_string(Path::new(CHART).join("Chart.yaml")).unwrap());
    for field in ["version", "appVersion"] {
        assert_eq!(chart[field], env!("CARGO_PKG_VERSION"), "{field}");
    }
}

#[test]
fn todays_kubernetes_knows_each_field_of_all_values() {
    for values in [FULL, WITHOUT] {
        for object in objects(&template("public", &["--values", values]).unwrap()) {
            // Kubernetes does not define the kinds of the Prometheus operator.
            if object["apiVersion"] != "monitoring.coreos.com/v1" {
                assert_eq!(lost_field(&object), None, "{values}: {}", object["kind"]);
            }
        }
    }
}

/// The only object of that kind.
#[track_caller]
fn the(kind: &str, objects: &[Value]) -> Value {
    let is_dashboard =
        |object: &Value| object["metadata"]["labels"]["grafana_dashboard"].is_string();
    let mut objects =
        objects.iter().filter(|object| object["kind"] == kind && !is_dashboard(object));
    let object = objects.next().unwrap_or_else(|| panic!("a {kind}"));
    assert!(objects.next().is_none(), "one {kind}");
    object.clone()
}

#[test]
fn ingressctl_accepts_the_settings_and_flags_of_all_values() {
    let rendered = template("public", &["--values", FULL]).unwrap();
    let objects = objects(&rendered);
    let settings = the("ConfigMap", &objects)["data"]["settings.yaml"].as_str().unwrap().to_owned();
    let sandbox = Sandbox::new(&[("settings.yaml", &settings), ("rendered.yaml", &rendered)]);
    let check = sandbox.run(&["check", "--settings", "settings.yaml", "-f", "rendered.yaml"]);
    check.prints(0, "");
    let pod = the("Deployment", &objects)["spec"]["template"]["spec"].clone();
    let folder = sandbox.path("shared");
    let folder = folder.to_str().unwrap();
    // There is no API server, so the controller exits.
    for (container, code) in [(&pod["initContainers"][0], 0), (&pod["containers"][1], 1)] {
        let words = container["command"].as_array().unwrap().iter().skip(1);
        let words: Vec<_> = words
            .map(|word| word.as_str().unwrap().replace("/var/run/ingress", folder))
            .map(|word| word.replace("/etc/ingress/settings.yaml", "settings.yaml"))
            .collect();
        let mut command = sandbox::ingressctl();
        command.args(&words).current_dir(sandbox.0.path());
        command.env_clear().env("HOME", sandbox.0.path());
        let output = sandbox::Output::of(&mut command, "");
        assert_eq!(output.code, Some(code), "{words:?}: {}", output.stderr);
    }
    assert!(sandbox.path("shared/bootstrap.json").is_file());
}

/// Also in a namespace whose name would be a number in YAML.
#[test]
fn the_permissions_are_those_that_ingressctl_prints() {
    let watched: [(&str, &[&str]); 4] = [
        (NAMESPACE, &[]),
        (NAMESPACE, &["shop", "web"]),
        ("shop", &["shop", "web"]),
        ("123", &["123"]),
    ];
    for (namespace, watched) in watched {
        let list = format!("watchNamespaces={}", serde_json::to_string(watched).unwrap());
        let rendered = template(namespace, &["--set-json", &list]).unwrap();
        let mut granted = objects(&rendered);
        granted.retain(|object| {
            let kind = object["kind"].as_str().unwrap();
            kind == "ServiceAccount" || kind.contains("Role")
        });
        assert_eq!(by_identity(granted), by_identity(printed(namespace, watched)), "{watched:?}");
    }
}

/// What `ingressctl rbac` prints for a gateway that watches these namespaces.
fn printed(namespace: &str, watched: &[&str]) -> Vec<Value> {
    let sandbox = Sandbox::new(&[("none.yaml", "")]);
    let certificate = format!("{namespace}/istio-ingress-certs");
    let mut arguments = vec!["rbac", "-f", "none.yaml", "--gateway-namespace", namespace];
    arguments.extend(["--default-certificate", &certificate]);
    arguments.extend(watched.iter().flat_map(|&watched| ["--namespace", watched]));
    let output = sandbox.run(&arguments);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    output.stdout.split("\n---\n").map(parsed).collect()
}

/// A change of the settings restarts the pods, also one that takes a change back.
#[test]
fn the_pods_have_a_digest_of_changed_settings() {
    let digest = |arguments: &[&str]| {
        let objects = objects(&template(NAMESPACE, arguments).unwrap());
        let pod = &the("Deployment", &objects)["spec"]["template"];
        pod.pointer("/metadata/annotations/checksum~1settings").cloned()
    };
    let default = digest(&[]);
    let redirected = digest(&["--set", "settings.httpForTls=redirect"]);
    let on_a_port = digest(&["--set", "service.httpsPort=8443"]);
    assert_eq!(default, None, "update the digest in _helpers.tpl");
    assert!(redirected.is_some() && on_a_port.is_some());
    assert_ne!(redirected, on_a_port);
}
