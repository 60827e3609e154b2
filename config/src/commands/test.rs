//! `ingressctl test`.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::ensure;
use clap::{Args, ValueEnum};

use super::args::{ArgError, SettingsArgs};
use super::source::{NamespaceArgs, SourceArgs};
use super::{ensure_complete, print_coloured, report, summary};
use crate::explain::Explainer;
use crate::route_test::{Report, read, run, text};
use crate::testing::junit;

/// Run route tests: requests and their expected outcomes
///
/// Each test sends a request through the same module that Envoy runs, offline,
/// with the route table of the manifests, and checks the outcome. Test files have
/// the format of Envoy's route table check tool, in any of its versions, in YAML or
/// JSON, with a few additional fields.
///
/// Prints failed tests, routes and rules that no test reached, and the totals.
/// Exits with 0 if all tests pass, and with 1 if a test fails, the coverage is too
/// low, there are no tests, or a manifest or a test has errors.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct Test {
    /// Read tests from files, folders, or - for standard input
    #[arg(required = true, value_name = "CASES")]
    cases: Vec<PathBuf>,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    part: NamespaceArgs,
    /// Print the results in this format
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
    /// Fail if the tests reach less than this percentage of routes and rules
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    fail_under: Option<f64>,
    /// Also list tests that passed, and all routes and rules that no test reached
    #[arg(long)]
    details: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

const EXAMPLE: &str = "\
A file of tests:
  tests:
  - test_name: a slow status has a timeout of four seconds
    input:
      authority: foo.example.com
      path: /status/200
      method: GET
      ssl: false
      additional_request_headers: [{key: x-user, value: jason}]
      ingress: {client: 192.0.2.1}
    validate:
      cluster_name: httpbin.default.svc.cluster.local|8000
      ingress: {timeout: 4s, retries: 3, rule: default/slow}
  - test_name: nothing else is exposed
    input: {authority: foo.example.com, path: /headers}
    validate: {cluster_name: \"\", ingress: {status: 404}}

An empty string means that no value is expected. docs/testing.md describes all fields.

In CI, with the manifests of a folder:
  ingressctl test -f manifests/ --fail-under 90 -o junit tests.yaml > junit.xml";

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// Failures with expected and actual values, coverage and totals
    Text,
    /// One object: passed, failed, coverage, tests
    Json,
    /// JUnit XML
    Junit,
}

impl Test {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let settings = self.settings.resolve()?;
        let stdin = |paths: &[PathBuf]| paths.iter().any(|path| path.as_os_str() == "-");
        ensure!(
            !(stdin(&self.source.paths) && stdin(&self.cases)),
            "manifests and tests cannot both be read from standard input"
        );
        let source = self.source.read(&self.part.namespaces, &settings)?;
        let compiled = source.compile(&settings);
        report(&compiled.findings);
        ensure_complete(source.manifests(), "no tests were run")?;
        let cases = read(&self.cases, &mut io::stdin().lock());
        report(&cases.findings.clone().into_sorted());
        ensure!(!cases.findings.has_errors(), "no tests were run: correct the tests first");
        ensure!(!cases.is_empty(), "no tests were run: the given files contain no tests");

        let results = run(&cases, &Explainer::new(&compiled.gateway.table, &settings)?)?;
        self.print(&results)?;
        if let Some(summary) = summary(&compiled.findings).filter(|_| compiled.has_errors()) {
            eprintln!(
                "{summary} in the manifests: the tests ran without the objects that have errors"
            );
        }
        let is_covered = self.is_covered(&results);
        let is_good = results.failed == 0 && is_covered && !compiled.has_errors();
        Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn print(&self, results: &Report) -> anyhow::Result<()> {
        let text = match self.output {
            Output::Text => text(results, self.details),
            Output::Json => serde_json::to_string_pretty(results)? + "\n",
            Output::Junit => junit("ingressctl test", &results.tests)?,
        };
        print_coloured(&text)
    }

    fn is_covered(&self, results: &Report) -> bool {
        let percent = results.coverage.percent;
        let Some(wanted) = self.fail_under.filter(|wanted| percent < *wanted) else {
            return true;
        };
        eprintln!("coverage is {percent:.1} %, below the required {wanted} %");
        false
    }
}

fn percent(text: &str) -> Result<f64, ArgError> {
    let percent = text.parse().ok().filter(|percent| (0.0..=100.0).contains(percent));
    percent.ok_or(ArgError::Percentage)
}
