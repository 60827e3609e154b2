//! `ingressctl explain`.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, ValueEnum};

use super::report;
use crate::cli::{Input, SettingsArgs};
use crate::compile::compile;
use crate::explain::{Candidate, Explanation, Request, explain};

/// Say what happens to a request, and why
///
/// Runs the very module that Envoy runs, offline, on the route table of the
/// manifests, and lists every route with the reason why it does not serve the
/// request.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    #[command(flatten)]
    input: Input,
    /// The method
    #[arg(short = 'X', long = "request", value_name = "METHOD", default_value = "GET")]
    method: String,
    /// A header, as 'name: value'; may be repeated
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    headers: Vec<String>,
    /// How to print it
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
    #[command(flatten)]
    settings: SettingsArgs,
    /// The URL, such as foo.example.com/status/200
    url: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    Text,
    Json,
}

impl Explain {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let request = Request::new(&self.method, &self.url, &self.headers)?;
        let manifests = self.input.read();
        let settings = self.settings.resolve()?;
        let compiled = compile(&manifests, &settings);
        report(&compiled.findings);
        anyhow::ensure!(
            manifests.is_complete(),
            "nothing is explained: not all manifests could be read"
        );
        let explanation = explain(&compiled.table, &settings, &request)?;
        print(&match self.output {
            Output::Json => serde_json::to_string_pretty(&explanation)?,
            Output::Text => render(&request, &explanation),
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints a text and ends its last line. Whoever stops reading has seen enough.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("standard output"),
    }
}

fn render(request: &Request, explanation: &Explanation) -> String {
    let mut text = format!(
        "{} {}://{}{}\n",
        request.method, request.scheme, request.authority, request.target
    );
    let outcome = match (&explanation.cluster, explanation.status) {
        (Some(cluster), _) => format!("to {cluster}"),
        (None, Some(status)) => format!("answered with {status}"),
        (None, None) => "to no cluster".into(),
    };
    let _ = writeln!(text, "  {outcome}: {}", explanation.reason);
    if explanation.path != request.target {
        let _ = writeln!(text, "  the path is {} once it is normalised", explanation.path);
    }
    if let Some(rule) = &explanation.route_rule {
        let _ = writeln!(text, "  by the rule {rule}");
    }
    if !explanation.candidates.is_empty() {
        text.push_str("\nRoutes:\n");
    }
    for candidate in &explanation.candidates {
        render_candidate(&mut text, candidate);
    }
    text
}

fn render_candidate(text: &mut String, candidate: &Candidate) {
    let mark = if candidate.chosen { '*' } else { '-' };
    let _ = writeln!(
        text,
        "  {mark} host {}, {} -> {}",
        candidate.host, candidate.path, candidate.backend
    );
    let place = candidate.ingress.as_ref().map(|place| match (place.rule, place.path) {
        (Some(rule), Some(path)) => {
            format!("Ingress {} spec.rules[{rule}].http.paths[{path}]", place.name)
        }
        _ => format!("Ingress {} default backend", place.name),
    });
    let _ = writeln!(
        text,
        "      {}{}",
        place.map(|place| place + ": ").unwrap_or_default(),
        candidate.verdict
    );
}
