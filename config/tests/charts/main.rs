//! Manifests in the style of public charts: `check` finds no false errors, and
//! reports every ignored annotation that guards access.
//!
//! Each manifest combines one row of each table below.

mod parts;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use ingressctl::compile::{Compiled, check};
use ingressctl::finding::{Finding, Severity};
use ingressctl::manifest::{PathSpec, read};
use ingressctl::settings::Settings;
use parts::{ANNOTATIONS, BESIDE, Guarded, NAMES, PATHS, PORTS, TLS, VERSIONS, Version};

/// The number of manifests.
const MANIFESTS: usize = 312;

/// A chart in the form that `helm template` prints.
struct Chart {
    name: String,
    annotations: &'static [(&'static str, &'static str, Guarded)],
    text: String,
}

impl Chart {
    /// The lengths of the tables have few common factors, so rows occur in many
    /// combinations.
    fn new(number: usize) -> Self {
        let name = format!("{}-{number}", NAMES[number % NAMES.len()]);
        let annotations = ANNOTATIONS[number % ANNOTATIONS.len()];
        let version = &VERSIONS[number % VERSIONS.len()];
        let port = PORTS[number % PORTS.len()];
        let path = PATHS[number % PATHS.len()];
        let tls = TLS[number % TLS.len()];
        let rows: BTreeSet<_> =
            [number, number * 7 + 3, number * 11 + 5].map(|row| row % BESIDE.len()).into();
        let beside: Vec<_> = rows.into_iter().map(|row| BESIDE[row]).collect();
        let documents = [
            service(&name, port),
            ingress(&name, version, annotations, port, path, tls),
            beside.join("\n---\n").replace("NAME", &name),
        ];
        Self { name, annotations, text: documents.join("\n---\n") }
    }

    /// The annotations that must cause an error.
    fn guards(&self) -> BTreeSet<&'static str> {
        self.named(Guarded::Yes)
    }

    fn named(&self, guarded: Guarded) -> BTreeSet<&'static str> {
        let of_kind = self.annotations.iter().filter(|(.., it)| *it == guarded);
        of_kind.map(|(name, ..)| *name).collect()
    }
}

fn labels(name: &str) -> String {
    format!(
        "  labels:\n    helm.sh/chart: {name}-1.2.3\n    app.kubernetes.io/name: {name}\n    app.kubernetes.io/instance: release\n    \
         app.kubernetes.io/version: \"1.16.0\"\n    app.kubernetes.io/managed-by: Helm\n"
    )
}

fn service(name: &str, (port_name, port): (&str, u16)) -> String {
    format!(
        "# Source: {name}/templates/service.yaml\napiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\n{labels}spec:\n  \
         type: ClusterIP\n  ports:\n    - port: {port}\n      targetPort: http\n      protocol: TCP\n      name: {port_name}\n  \
         selector:\n    app.kubernetes.io/name: {name}\n",
        labels = labels(name),
    )
}

fn ingress(
    name: &str,
    version: &Version,
    annotations: &[(&str, &str, Guarded)],
    (port_name, port): (&str, u16),
    (path, path_type): (&str, &str),
    tls: bool,
) -> String {
    let has_field = version.has_class_field;
    let class = if has_field { "" } else { "    kubernetes.io/ingress.class: istio\n" };
    let class_field = if has_field { "  ingressClassName: edge\n" } else { "" };
    let annotations: Vec<_> =
        annotations.iter().map(|(name, value, _)| format!("    {name}: {value:?}\n")).collect();
    let annotations = annotations.concat();
    let tls = if tls {
        format!(
            "  tls:\n    - hosts:\n        - {name}.example.com\n      secretName: {name}-tls\n"
        )
    } else {
        String::new()
    };
    let backend = if version.is_flat {
        format!(
            "            backend:\n              serviceName: {name}\n              servicePort: {port_name}\n"
        )
    } else {
        format!(
            "            pathType: {path_type}\n            backend:\n              service:\n                \
             name: {name}\n                port:\n                  number: {port}\n"
        )
    };
    format!(
        "# Source: {name}/templates/ingress.yaml\napiVersion: {api}\nkind: Ingress\nmetadata:\n  name: {name}\n{labels}  \
         annotations:\n    meta.helm.sh/release-name: release\n{class}{annotations}spec:\n{class_field}{tls}  rules:\n    \
         - host: {name}.example.com\n      http:\n        paths:\n          - path: {path}\n{backend}{ingress_class}",
        api = version.api,
        labels = labels(name),
        ingress_class = if has_field { CLASS } else { "" },
    )
}

/// The class in `ingressClassName: edge`.
const CLASS: &str = "---\napiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: edge}\nspec: \
                     {controller: istio.io/ingress-controller}\n";

fn check_file(path: &Path) -> (usize, Compiled) {
    let manifests = read(&[PathSpec::from(path.to_owned())], &mut std::io::empty());
    assert!(manifests.is_complete(), "{}: {:?}", path.display(), manifests.failures);
    (manifests.passed_over.total(), check(&manifests, &Settings::default()))
}

fn of(severity: Severity, compiled: &Compiled) -> Vec<&Finding> {
    compiled.findings.iter().filter(|finding| finding.severity == severity).collect()
}

/// The annotation that a finding is about.
fn annotation(finding: &Finding) -> Option<&str> {
    finding.field.as_deref()?.strip_prefix("metadata.annotations.")
}

#[test]
fn charts_have_no_errors_but_for_what_guarded_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut told, mut passed_over) = (0, 0);
    for number in 0..MANIFESTS {
        let chart = Chart::new(number);
        let path = folder.path().join(format!("{number}.yaml"));
        fs::write(&path, &chart.text).expect("write a manifest");
        let (others, compiled) = check_file(&path);
        let context = || format!("{:#?}\n{}", compiled.findings, chart.text);

        let errors: BTreeSet<_> = of(Severity::Error, &compiled)
            .into_iter()
            .map(|finding| annotation(finding).unwrap_or_else(|| panic!("{}", context())))
            .collect();
        assert_eq!(errors, chart.guards(), "{}", context());
        let warnings = of(Severity::Warning, &compiled);
        for name in chart.named(Guarded::No) {
            let is_told = warnings.iter().filter(|it| it.message.contains(name)).count();
            assert_eq!(is_told, 1, "{name}: {}", context());
        }
        for warning in warnings {
            let field = warning.field.as_deref().unwrap_or_default();
            let is_of_path =
                field.starts_with("spec.rules") && warning.message.contains("matches only itself");
            let is_expected =
                field == "metadata.annotations" || field.starts_with("spec.tls") || is_of_path;
            assert!(is_expected, "{warning}\n{}", context());
        }
        assert!(compiled.ingresses.values().all(|is_served| *is_served), "{}", context());
        assert_eq!(compiled.ingresses.len(), 1, "{}: {}", chart.name, context());
        told += errors.len();
        passed_over += others;
    }
    assert!(told > MANIFESTS / 3 && passed_over > MANIFESTS, "{told} guards, {passed_over} others");
}

/// All manifests in one folder, as in a repository of rendered charts.
#[test]
fn charts_in_one_folder_are_no_more_than_each() {
    let folder = tempfile::tempdir().expect("a folder");
    let charts: Vec<_> = (0..MANIFESTS).map(Chart::new).collect();
    let mut guards = 0;
    fs::write(folder.path().join("class.yaml"), CLASS).expect("write a class");
    for (number, chart) in charts.iter().enumerate() {
        let text = chart.text.replace(CLASS, "");
        fs::write(folder.path().join(format!("{number}.yaml")), text).expect("write a manifest");
        guards += chart.guards().len();
    }
    let (_, compiled) = check_file(folder.path());
    let errors = of(Severity::Error, &compiled);
    let others: Vec<_> = errors.iter().filter(|it| annotation(it).is_none()).collect();
    assert_eq!((others.len(), errors.len()), (0, guards), "{others:#?}");
    assert_eq!(compiled.ingresses.len(), MANIFESTS);
}
