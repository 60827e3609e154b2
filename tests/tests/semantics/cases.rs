//! Cases: manifests, requests, and their results, offline and through a real Envoy.

use std::fs;

use ingress_tests::{Offline, Serving, Upstream, wait_until};
use serde_json::Value;

/// Manifests, and the results of requests.
pub(crate) struct Case {
    /// The rule that the case proves.
    name: &'static str,
    manifests: String,
    requests: &'static [Request],
}

/// An authority, a path, and the result: a service or a status.
pub(crate) type Request = (&'static str, &'static str, &'static str);

pub(crate) fn case<const N: usize>(
    name: &'static str,
    manifests: &[String; N],
    requests: &'static [Request],
) -> Case {
    Case { name, manifests: manifests.concat(), requests }
}

/// An Ingress of our class, in the version `v1`.
pub(crate) fn ingress(name: &str, spec: &str) -> String {
    annotated(name, "{kubernetes.io/ingress.class: istio}", spec)
}

pub(crate) fn annotated(name: &str, annotations: &str, spec: &str) -> String {
    object(
        "networking.k8s.io/v1",
        &format!("Ingress\nmetadata: {{name: {name}, annotations: {annotations}}}\nspec: {spec}"),
    )
}

/// An Ingress of an API version that had no path types.
pub(crate) fn old_ingress(name: &str, spec: &str) -> String {
    let v1 = ingress(name, spec);
    v1.replace("networking.k8s.io/v1", "extensions/v1beta1")
}

/// `ingress`, created at a date in 2020.
pub(crate) fn created(month: u8, ingress: &str) -> String {
    ingress.replace(
        "metadata: {",
        &format!("metadata: {{creationTimestamp: \"2020-{month:02}-01T00:00:00Z\", "),
    )
}

/// `object`, in a namespace.
pub(crate) fn within(namespace: &str, object: &str) -> String {
    object.replace("metadata: {", &format!("metadata: {{namespace: {namespace}, "))
}

pub(crate) fn class(name: &str, metadata: &str, controller: &str) -> String {
    object(
        "networking.k8s.io/v1",
        &format!(
            "IngressClass\nmetadata: {{name: {name}{metadata}}}\nspec: {{controller: {controller}}}"
        ),
    )
}

pub(crate) fn default_class(name: &str, controller: &str) -> String {
    class(
        name,
        ", annotations: {ingressclass.kubernetes.io/is-default-class: \"true\"}",
        controller,
    )
}

pub(crate) fn service(name: &str, spec: &str) -> String {
    object("v1", &format!("Service\nmetadata: {{name: {name}}}\nspec: {spec}"))
}

pub(crate) fn object(api_version: &str, kind_and_rest: &str) -> String {
    format!("---\napiVersion: {api_version}\nkind: {kind_and_rest}\n")
}

/// The spec of an Ingress with these rules.
pub(crate) fn rules(rules: &[String]) -> String {
    format!("{{rules: [{}]}}", rules.join(", "))
}

/// A rule for `host`, or for every host if that is empty.
pub(crate) fn rule(host: &str, paths: &[String]) -> String {
    format!("{{host: \"{host}\", http: {{paths: [{}]}}}}", paths.join(", "))
}

/// A path of type `E`xact, `P`refix or `I`mplementationSpecific.
pub(crate) fn path(path_type: char, path: &str, service: &str) -> String {
    path_to(path_type, path, &backend(service))
}

pub(crate) fn path_to(path_type: char, path: &str, backend: &str) -> String {
    let path_type = match path_type {
        'E' => "Exact",
        'P' => "Prefix",
        _ => "ImplementationSpecific",
    };
    format!("{{path: \"{path}\", pathType: {path_type}, backend: {backend}}}")
}

/// A path without a type, of an old API version.
pub(crate) fn old_path(path: &str, service: &str) -> String {
    format!("{{path: \"{path}\", backend: {{serviceName: {service}, servicePort: 80}}}}")
}

pub(crate) fn backend(service: &str) -> String {
    format!("{{service: {{name: {service}, port: {{number: 80}}}}}}")
}

/// The spec of an Ingress that serves all paths of `host` from `a`.
pub(crate) fn all_of(host: &str) -> String {
    rules(&[rule(host, &[path('P', "/", "a")])])
}

/// `all_of`, in a class.
pub(crate) fn all_of_in_class(class: &str, host: &str) -> String {
    all_of(host).replacen('{', &format!("{{ingressClassName: {class}, "), 1)
}

/// The spec of an Ingress with paths for every host.
pub(crate) fn paths(paths: &[String]) -> String {
    rules(&[rule("", paths)])
}

/// An Ingress with one path for every host.
pub(crate) fn one(name: &str, path: String) -> String {
    ingress(name, &paths(&[path]))
}

/// Runs the cases with `settings`, offline and through a real Envoy.
pub(crate) fn check(settings: &Value, cases: &[Case]) {
    let upstreams = ["a", "b", "c"].map(Upstream::start);
    let services: Vec<_> = upstreams
        .iter()
        .zip(["a", "b", "c"])
        .map(|(at, name)| at.manifests(name, "http", 80))
        .collect();
    check_with(settings, &services.concat(), cases);
}

/// As [`check`], with these services in place of `a`, `b` and `c`.
pub(crate) fn check_with(settings: &Value, services: &str, cases: &[Case]) {
    let marked = Upstream::start(MARKER);
    let services = marked.manifests(MARKER, "http", 80) + services;
    let typed = serde_json::from_value(settings.clone()).expect("settings");
    let manifests: Vec<_> = cases
        .iter()
        .enumerate()
        .map(|(index, case)| format!("{services}{}{}", marker(index), case.manifests))
        .collect();
    for (case, manifests) in cases.iter().zip(&manifests) {
        let offline = Offline::of_manifests(manifests, &typed);
        case.check("offline", |authority, path| offline.get(authority, path));
    }

    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), settings.to_string()).expect("settings are written");
    let settings = file.path().to_str().expect("a path in UTF-8");
    // With one worker, consecutive requests are served from the same state.
    let flags = ["--settings", settings, "--access-log=false", "--concurrency", "1"];
    let serving = Serving::start_with(&manifests[0], &flags);
    for (index, (case, manifests)) in cases.iter().zip(&manifests).enumerate() {
        if index > 0 {
            serving.replace(manifests);
            wait_until(case.name, || serving.get(&marker_host(index), "/").by() == MARKER);
        }
        case.check("Envoy", |authority, path| serving.get(authority, path).by());
    }
}

impl Case {
    #[track_caller]
    fn check(&self, through: &str, serves: impl Fn(&str, &str) -> String) {
        let outcomes: Vec<_> = self
            .requests
            .iter()
            .map(|(authority, path, _)| (*authority, *path, serves(authority, path)))
            .collect();
        let expected: Vec<_> = self
            .requests
            .iter()
            .map(|(authority, path, expected)| (*authority, *path, (*expected).to_owned()))
            .collect();
        assert_eq!(outcomes, expected, "{}, through {through}", self.name);
    }
}

/// A service that only [`marker`] uses.
pub(crate) const MARKER: &str = "marker";

/// A host that shows that the manifests of a case are served.
pub(crate) fn marker(index: usize) -> String {
    ingress(MARKER, &rules(&[rule(&marker_host(index), &[path('E', "/", MARKER)])]))
}

pub(crate) fn marker_host(index: usize) -> String {
    format!("case-{index}.marker.test")
}
