//! `ingressctl table`.

use std::fs;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use ingress_filter::FlatTable;

use super::{InvalidFile, print_bytes};
use crate::files::write_atomically;
use crate::finding::{Code, Finding, Location};
use crate::manifest::ReadFailure;

/// Convert a route table from JSON to the binary form that the filter serves, or
/// back
///
/// The filter uses the flat form in place; it contains compiled regular
/// expressions. JSON is the form to read and write by hand:
///
///   ingressctl table route-table.json -o route-table.bin
///   ingressctl table route-table.bin --to json
///
/// Envoy passes the flat form to the filter as its configuration, a
/// google.protobuf.BytesValue. If the configuration can only be JSON, as in
/// Istio's WasmPlugin and Envoy Gateway's EnvoyExtensionPolicy, use the output of
/// --to embedded.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
#[expect(clippy::doc_markdown, reason = "it is printed as it is")]
pub(crate) struct Table {
    /// The route table in any form, or - for standard input
    #[arg(value_name = "FILE")]
    input: PathBuf,
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write this form: binary (flat), JSON, or the flat form inside JSON (embedded)
    #[arg(long, value_enum, default_value = "flat")]
    to: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Flat,
    Json,
    Embedded,
}

impl Table {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let file: Arc<str> = self.input.to_string_lossy().into();
        let read = read(&self.input)
            .map_err(|error| InvalidFile(Box::new(ReadFailure::new(&file, error).finding())))?;
        let table = FlatTable::read(read).map_err(|error| {
            let finding = Finding::new(Code::TableNotValid, error.to_string());
            InvalidFile(Box::new(finding.at(Location::start_of(&file))))
        })?;
        let written = match self.to {
            Form::Flat => table.into_bytes(),
            Form::Json => serde_json::to_vec_pretty(&table.decode()?)?,
            Form::Embedded => table.embedded().into_bytes(),
        };
        self.write(written)?;
        Ok(ExitCode::SUCCESS)
    }

    fn write(&self, mut bytes: Vec<u8>) -> anyhow::Result<()> {
        if self.to != Form::Flat {
            bytes.push(b'\n');
        }
        let Some(path) = &self.output else {
            ensure!(
                self.to != Form::Flat || !io::stdout().is_terminal(),
                "the flat form is binary; name a file with -o, or write JSON with --to json"
            );
            return print_bytes(&bytes);
        };
        write_atomically(path, &bytes).with_context(|| format!("file {}", path.display()))
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    if path != Path::new("-") {
        return fs::read(path);
    }
    let mut bytes = Vec::new();
    io::stdin().read_to_end(&mut bytes)?;
    Ok(bytes)
}
