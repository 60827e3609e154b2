//! The samples are valid: they have no findings, and route tests that pass, cover
//! all routes and rules, and would detect a missing rule.

mod sandbox;

use std::fs;
use std::io::empty;
use std::path::{Path, PathBuf};

use ingressctl::compile::compile;
use ingressctl::explain::Explainer;
use ingressctl::manifest::{Manifests, PathSpec, read};
use ingressctl::route_test::{self, Report, run};
use ingressctl::settings::Settings;

/// Contains no manifests, only the configuration of an operator's own Envoy.
const NO_MANIFESTS: &str = "own-envoy";

/// Names a Secret, which exists in a cluster but not in a repository.
const WITHOUT_SECRET: &str = "secure-ingress";

/// All folders of samples.
fn samples() -> Vec<PathBuf> {
    let entries = fs::read_dir(folder("")).expect("a folder of samples");
    let paths = entries.map(|entry| entry.expect("a sample").path());
    let samples: Vec<_> =
        paths.filter(|path| path.is_dir() && !path.ends_with(NO_MANIFESTS)).collect();
    assert!(!samples.is_empty());
    samples
}

fn folder(sample: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples").join(sample)
}

fn manifests(sample: &Path) -> Manifests {
    read(&[PathSpec::Path(sample.to_owned())], &mut empty())
}

/// The report of `ingressctl test -f SAMPLE SAMPLE/tests`, with other manifests.
#[track_caller]
fn test(sample: &Path, manifests: &Manifests) -> Report {
    let settings = Settings::default();
    let table = compile(manifests, &settings).gateway.table;
    let explainer = Explainer::new(&table, &settings).expect("the module starts");
    let cases = route_test::read(&[sample.join("tests")], &mut empty());
    let findings: Vec<_> = cases.findings.iter().map(ToString::to_string).collect();
    assert!(findings.is_empty() && !cases.is_empty(), "{}: {findings:?}", sample.display());
    run(&cases, &explainer).expect("the tests run")
}

#[test]
fn nothing_is_wrong_with_a_sample() {
    for sample in samples() {
        let mut check = sandbox::ingressctl();
        let output = check.args(["check", "-f"]).arg(&sample).output().expect("ingressctl runs");
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        let mut lines = text.lines().filter(|line| {
            let is_about_secret = line.contains(": warning: ") && line.contains(": spec.tls");
            // The samples are for a local machine.
            let is_note = line.contains(": note: ") && line.contains("loopback");
            let is_expected = sample.ends_with(WITHOUT_SECRET)
                && (is_about_secret || line.contains(" objects ignored: 1 warning"));
            let findings = line.split_once(" objects ignored: ").map(|(_, findings)| findings);
            let is_summary =
                matches!(findings, Some("no findings" | "1 note" | "2 notes" | "3 notes"));
            !(is_note || is_summary || is_expected)
        });
        assert_eq!(lines.next(), None, "{}", sample.display());
        assert!(output.status.success(), "{}", sample.display());
    }
}

#[test]
fn the_tests_of_a_sample_pass_and_reach_all_of_it() {
    for sample in samples() {
        let report = test(&sample, &manifests(&sample));
        let is_good = report.failed == 0 && report.coverage.percent >= 100.0;
        assert!(is_good, "{}: {}", sample.display(), route_test::text(&report, true));
    }
}

#[test]
fn the_tests_of_a_sample_miss_each_rule_that_is_left_out() {
    let mut left_out = 0;
    for sample in samples() {
        for index in 0..manifests(&sample).objects.len() {
            let mut manifests = manifests(&sample);
            let object = manifests.objects.remove(index);
            if &*object.kind != "RouteRule" {
                continue;
            }
            let (report, name) = (test(&sample, &manifests), object.reference().to_string());
            assert!(report.failed > 0, "{}: no test fails without {name}", sample.display());
            left_out += 1;
        }
    }
    assert!(left_out > 0);
}

#[test]
fn the_rule_of_the_documentation_stands_beside_its_ingress() {
    for file in ["ingress.yaml", "httpbin.yaml"] {
        let [with_rule, without] = ["status-route", "simple-ingress"]
            .map(|sample| fs::read_to_string(folder(sample).join(file)).expect("a manifest"));
        assert_eq!(with_rule, without, "status-route must add only a rule to simple-ingress");
    }
}
