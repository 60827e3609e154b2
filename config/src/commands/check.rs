//! `ingressctl check`.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::args::SettingsArgs;
use super::source::{NamespaceArgs, SourceArgs};
use super::{count, findings, print, summary};
use crate::compile::Compiled;
use crate::manifest::Manifests;

/// Validate manifests
///
/// Prints one line per finding, `file:line:col: error|warning|note: object: field:
/// message [code]`. Exits with 1 if any of them is an error, and with 3 if it could not run,
/// for example because of wrong settings. On a terminal, each finding shows its line
/// of the manifest. The last line, on standard error, has the number of objects that
/// were read, served and ignored.
#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    part: NamespaceArgs,
    /// Print the findings in this format
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
    #[command(flatten)]
    settings: SettingsArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// One line per finding; on a terminal with the line of the manifest
    Text,
    /// One JSON object per line
    Json,
    /// A SARIF 2.1.0 log, for code hosts and editors
    Sarif,
}

impl Check {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let settings = self.settings.resolve()?;
        let source = self.source.read(&self.part.namespaces, &settings)?;
        let (manifests, compiled) = (source.manifests(), source.check(&settings));
        print(&match self.output {
            Output::Text => findings::text(&compiled.findings, &io::stdout()),
            Output::Json => findings::json(&compiled.findings, manifests.objects())?,
            Output::Sarif => findings::sarif(&compiled.findings)?,
        })?;
        let told = summary(&compiled.findings).unwrap_or_else(|| "no findings".into());
        eprintln!("{}: {told}", tally(manifests, &compiled));
        if let Some(first) = compiled.findings.first().filter(|_| io::stdout().is_terminal()) {
            eprintln!("ingressctl explain-code {} explains the first", first.code);
        }
        Ok(if compiled.has_errors() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

/// The numbers of objects that were read, are served, and were ignored.
fn tally(manifests: &Manifests, compiled: &Compiled) -> String {
    let ingresses = manifests.objects().filter(|object| &*object.kind == "Ingress").count();
    let ours = compiled.ingresses.len();
    let served = compiled.ingresses.values().filter(|is_served| **is_served).count();
    let ignored = manifests.passed_over.total() + ingresses.saturating_sub(ours);
    let served = if served == ours {
        count(served, "Ingress")
    } else {
        format!("{served} of {}", count(ours, "Ingress"))
    };
    format!(
        "{} read, {served} served, {} ignored",
        count(manifests.objects.len(), "object"),
        count(ignored, "object"),
    )
}
