//! `ingressctl check`.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::args::{Input, SettingsArgs};
use super::summary;
use crate::compile::check;

/// Validate manifests
///
/// Prints one line per finding, `file:line:col: error|warning: object: field:
/// message`, and exits with 1 if any is an error.
#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    input: Input,
    /// How to print the findings; json is one object per line
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
    #[command(flatten)]
    settings: SettingsArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    Text,
    Json,
}

impl Check {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let compiled = check(&self.input.read(), &self.settings.resolve()?);
        let mut out = io::stdout().lock();
        for finding in &compiled.findings {
            match self.output {
                Output::Text => writeln!(out, "{finding}")?,
                Output::Json => writeln!(out, "{}", serde_json::to_string(finding)?)?,
            }
        }
        if let Some(summary) = summary(&compiled.findings) {
            eprintln!("{summary}");
        }
        Ok(if compiled.has_errors() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}
