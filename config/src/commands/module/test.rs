//! `ingressctl module test`.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use regex::Regex;

use super::read_wasm;
use crate::commands::{print_coloured, report};
use crate::module_test::{Limits, Report, read, run, text};
use crate::offline_module::compiled;
use crate::testing::junit;

/// Test any Wasm module, without an Envoy
///
/// Each case starts the module in a host that behaves like Envoy 1.40, sends it requests,
/// and compares headers, bodies, local replies, log, metrics and callouts with what is
/// expected. The module may be written in any language. docs/module-tests.md describes
/// the cases.
///
/// Prints the cases that failed, with the log of the module, and the totals. Exits with 0
/// if all cases pass, and with 1 if one fails, there are none, one has an error, or the
/// file is not a module.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct Test {
    /// Test this module
    #[arg(value_name = "MODULE")]
    module: PathBuf,
    /// Read cases from files, folders, or - for standard input
    #[arg(required = true, value_name = "CASES")]
    cases: Vec<PathBuf>,
    /// Print the results in this format
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
    /// Also write the results to this file, as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Configure the module with the content of this file, in cases without a configuration
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Run only the cases whose name this regular expression matches somewhere
    #[arg(long, value_name = "REGEX")]
    filter: Option<Regex>,
    /// Print the fuel that each callback used: about one per instruction, the same on every
    /// machine
    #[arg(long)]
    fuel: bool,
    /// Fail cases that use more fuel than this after the start
    #[arg(long, value_name = "FUEL")]
    fuel_budget: Option<u64>,
    /// Also list cases that passed
    #[arg(long)]
    details: bool,
}

const EXAMPLE: &str = "\
A file of cases:
  tests:
  - name: requests without a token are denied
    configuration: '{\"realm\": \"shop\"}'
    request:
      path: /cart
      headers: {x-user: jason}
    expect:
      local_reply: {status: 401, headers: {www-authenticate: {contains: shop}}}
      log: [{level: warn, contains: no token}]
  - name: the upstream does not see the token
    request: {headers: {authorization: Bearer abc}}
    callouts: [{cluster: auth, respond: {status: 200}}]
    expect: {outcome: continue, request_headers: {authorization: null}}";

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// Failures with expected and actual values, the module's log, and totals
    Text,
    /// One object: passed, failed, tests
    Json,
    /// JUnit XML
    Junit,
}

impl Test {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let wasm = read_wasm(&self.module)?;
        let mut cases = read(&self.cases, &mut io::stdin().lock());
        report(&cases.findings.clone().into_sorted());
        ensure!(!cases.findings.has_errors(), "no cases were run: correct them first");
        ensure!(cases.len() > 0, "no cases were run: the given files contain none");
        if let Some(filter) = &self.filter {
            cases.retain(|name| filter.is_match(name));
            ensure!(cases.len() > 0, "no cases were run: no name matches --filter {filter}");
        }
        if let Some(path) = &self.config {
            let read = fs::read(path).with_context(|| format!("file {}", path.display()))?;
            cases.configure(&read);
        }
        let module = compiled(&wasm).with_context(|| self.module.display().to_string())?;
        let results = run(&cases, &module, Limits { fuel: self.fuel_budget });
        self.print(&results)?;
        Ok(if results.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn print(&self, results: &Report) -> anyhow::Result<()> {
        let xml = || junit("ingressctl module test", &results.tests);
        if let Some(path) = &self.junit {
            fs::write(path, xml()?).with_context(|| format!("file {}", path.display()))?;
        }
        let text = match self.output {
            Output::Text => text(results, self.details, self.fuel),
            Output::Json => serde_json::to_string_pretty(results)? + "\n",
            Output::Junit => xml()?,
        };
        print_coloured(&text)
    }
}
