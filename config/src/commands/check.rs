//! `ingressctl check`.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::args::{Input, SettingsArgs};
use super::{print, summary};
use crate::compile::check;

/// Validate manifests
///
/// Prints one line per finding, `file:line:col: error|warning: object: field:
/// message`, and exits with 1 if any is an error, and with 3 if it could not run, as
/// with wrong settings.
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
        let lines = compiled.findings.iter().map(|finding| match self.output {
            Output::Text => Ok(format!("{finding}\n")),
            Output::Json => serde_json::to_string(finding).map(|line| line + "\n"),
        });
        print(&lines.collect::<Result<String, _>>()?)?;
        if let Some(summary) = summary(&compiled.findings) {
            eprintln!("{summary}");
        }
        Ok(if compiled.has_errors() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}
