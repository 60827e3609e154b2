//! The objects that an operator applies (`config/deploy`).

use std::fs;
use std::path::{Path, PathBuf};

use ingress_tests::{ApiServer, workspace};
use serde_json::{Value, json};

#[test]
fn the_deployment_is_applied_as_it_is() {
    let api = ApiServer::shared();
    // The harness applied it when the server started.
    let folder = api.deployment();
    let again = api.kubectl().run(&["apply", "-k", folder.to_str().unwrap()]).unwrap();
    let lines: Vec<_> = again.lines().collect();
    assert!(lines.len() > 15 && lines.iter().all(|line| line.ends_with(" unchanged")), "{again}");
}

/// Today's manifests on an old cluster: the output names the parts that it does not
/// support.
#[test]
fn each_file_of_the_deployment_is_applied_where_its_version_is_served() {
    let api = ApiServer::shared();
    let mut files = files_in(&workspace().join("config/deploy"));
    files.extend(files_in(&workspace().join("config/deploy/chart/crds")));
    for file in files.iter().filter(|file| file.is_file() && !file.ends_with("kustomization.yaml"))
    {
        let text = fs::read_to_string(file).unwrap();
        let version = text.lines().find_map(|line| line.strip_prefix("apiVersion: ")).unwrap();
        if api.serves(version) {
            api.kubectl().run(&["apply", "-f", file.to_str().unwrap()]).unwrap();
        } else {
            assert_eq!(version, "policy/v1", "{}", file.display());
            eprintln!(
                "\n*** NOT TESTED: this API does not serve {version}; {} is applied as {}, and \
                 only the test `deploy` checks its fields ***\n",
                file.display(),
                api.deployment().join("disruption-budget.yaml").display()
            );
        }
    }
}

#[test]
fn a_pod_of_the_deployment_is_taken() {
    let api = ApiServer::shared();
    let kubectl = api.kubectl().within("istio-system");
    let mut pod = kubectl.get("deployment", "istio-ingress")["spec"]["template"].take();
    pod["apiVersion"] = "v1".into();
    pod["kind"] = "Pod".into();
    pod["metadata"] = json!({"name": "a-pod", "labels": pod["metadata"]["labels"]});
    let created = kubectl
        .run_with(&["create", "--dry-run=server", "-o", "json", "-f", "-"], &pod.to_string())
        .unwrap();
    let created: Value = serde_json::from_str(&created).unwrap();
    // The priority of its PriorityClass.
    assert_eq!(created["spec"]["priority"], 1_000_000);
}

#[test]
fn the_gateway_has_the_rights_it_needs_and_no_others() {
    const READ: &[&str] = &["get", "list", "watch"];
    const ALL: [&str; 8] =
        ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];
    let api = ApiServer::shared();
    let rights = [
        ("ingresses.networking.k8s.io", READ),
        ("ingresses.extensions", READ),
        ("ingressclasses.networking.k8s.io", READ),
        ("routerules.config.istio.io", READ),
        ("services", READ),
        ("endpoints", READ),
        ("pods", READ),
        ("endpointslices.discovery.k8s.io", READ),
        ("ingresses.networking.k8s.io/status", &["patch"]),
        ("ingresses.extensions/status", &["patch"]),
        ("events", &["list", "create", "patch", "delete"]),
        ("leases.coordination.k8s.io", &[]),
        ("secrets", &[]),
        ("configmaps", &[]),
        ("namespaces", &[]),
        ("nodes", &[]),
        ("pods/exec", &[]),
        ("deployments.apps", &[]),
        ("clusterroles.rbac.authorization.k8s.io", &[]),
    ];
    let mut asked = Vec::new();
    for (resource, verbs) in &rights {
        asked
            .extend(ALL.map(|verb| (review("default", verb, resource, ""), verbs.contains(&verb))));
    }
    let lease = |verb, name| review("istio-system", verb, "leases.coordination.k8s.io", name);
    for verb in ["get", "update", "patch"] {
        asked.push((lease(verb, "istio-ingress"), true));
        asked.push((lease(verb, "another"), false));
    }
    asked.push((lease("create", ""), true));
    asked.push((lease("delete", "istio-ingress"), false));
    let secret = |verb, name| review("istio-system", verb, "secrets", name);
    for verb in ALL {
        // The default certificate, by its name.
        asked.push((secret(verb, "istio-ingress-certs"), READ.contains(&verb)));
        asked.push((secret(verb, "another"), false));
        asked.push((secret(verb, ""), false));
    }

    let (reviews, expected): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": reviews}).to_string();
    let answer = api.kubectl().run_with(&["create", "-o", "json", "-f", "-"], &list).unwrap();
    let answers: Vec<_> = serde_json::Deserializer::from_str(&answer)
        .into_iter::<Value>()
        .map(Result::unwrap)
        .flat_map(|value| value["items"].as_array().cloned().unwrap_or_else(|| vec![value]))
        .collect();
    assert_eq!(answers.len(), expected.len());
    for (answer, expected) in answers.iter().zip(expected) {
        let asked = &answer["spec"]["resourceAttributes"];
        assert_eq!(answer["status"]["allowed"].as_bool(), Some(expected), "{asked}");
    }
}

/// Whether the deployed service account has a permission, as a review.
fn review(namespace: &str, verb: &str, resource: &str, name: &str) -> Value {
    let (resource, part) = resource.split_once('/').unwrap_or((resource, ""));
    let (resource, group) = resource.split_once('.').unwrap_or((resource, ""));
    json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
        "spec": {
            "user": "system:serviceaccount:istio-system:istio-ingress-service-account",
            "groups": ["system:serviceaccounts", "system:authenticated"],
            "resourceAttributes": {
                "namespace": namespace, "verb": verb, "group": group,
                "resource": resource, "subresource": part, "name": name,
            },
        },
    })
}

#[test]
fn every_ingress_of_the_samples_is_taken() {
    let api = ApiServer::shared();
    for folder in samples() {
        let namespace = folder.file_name().unwrap().to_str().unwrap();
        let namespace = api.namespace(&format!("ingresses-of-{namespace}"));
        for document in documents(&folder).iter().filter(|text| text.contains("\nkind: Ingress\n"))
        {
            namespace.create(document);
        }
    }
}

/// The folders of samples.
pub(crate) fn samples() -> Vec<PathBuf> {
    let mut samples = files_in(&workspace().join("config/samples"));
    samples.retain(|path| path.is_dir());
    samples
}

/// The documents in the manifests of a folder.
pub(crate) fn documents(folder: &Path) -> Vec<String> {
    if !folder.is_dir() {
        return Vec::new();
    }
    let manifests = files_in(folder).into_iter().filter(|path| path.is_file());
    let text: Vec<_> = manifests.map(|path| fs::read_to_string(path).unwrap()).collect();
    text.join("\n---\n").split("\n---\n").map(|text| format!("\n{text}")).collect()
}

pub(crate) fn files_in(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}
