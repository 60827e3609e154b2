//! `ingressctl module inspect`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, ValueEnum};

use super::read_wasm;
use crate::commands::{print, print_coloured};
use crate::inspection::{Inspection, text};

/// Show what a Wasm module needs, exports and contains, and whether Envoy can load it
///
/// Prints the version of the ABI, the compiler, imports, exports, memory and the size of
/// each section of any Proxy-Wasm module, without compiling it. Imports that Envoy 1.40
/// does not link, and exports that it cannot call, are marked.
///
/// Exits with 0 if Envoy can load the module, and with 1 if it cannot or the file is not
/// a module.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// Read this module
    #[arg(value_name = "MODULE")]
    module: PathBuf,
    /// Print the result in this format
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// Lines for a terminal
    Text,
    /// One object: `size`, `abi_version`, problems, imports, exports, sections, memory, producers
    Json,
}

impl Inspect {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let bytes = read_wasm(&self.module)?;
        let name = self.module.to_string_lossy();
        let inspection = Inspection::of(&bytes).with_context(|| name.clone().into_owned())?;
        match self.output {
            Output::Text => print_coloured(&text(&name, &inspection))?,
            Output::Json => print(&serde_json::to_string_pretty(&inspection)?)?,
        }
        let loads = inspection.problems.is_empty();
        Ok(if loads { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
