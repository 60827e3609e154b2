//! `ingressctl module`.

mod inspect;
mod test;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::{Args, Subcommand, ValueEnum};

use super::print;
use crate::MODULE;
use crate::files::write_atomically;
use crate::module_image::module_image;
use crate::oci::{digest_of, write_layout};

/// Write the Wasm module, for your own Envoy; test and inspect any module
///
/// As a file, for an Envoy that loads it from a file:
///
///   ingressctl module -o filter.wasm
///
/// Or as an OCI image in a folder, for Istio's WasmPlugin and Envoy Gateway's
/// EnvoyExtensionPolicy, which load it from a registry:
///
///   ingressctl module --format oci -o image
///   skopeo copy oci:image docker://registry.example/ingress-filter:0.1.0
///
/// It is the same module that serve, explain and the controller use. Each
/// version always writes the same bytes, and prints their digest: of the file, or
/// the one that identifies the image in a registry. docs/loading.md describes the
/// Envoy configuration that the module needs.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
#[expect(clippy::doc_markdown, reason = "it is printed as it is")]
pub(crate) struct Module {
    #[command(subcommand)]
    command: Option<Command>,
    /// Write to this file; for an image, to this folder, which has to be new, empty,
    /// or contain a previous image
    #[arg(short, long, value_name = "PATH", required = true)]
    output: Option<PathBuf>,
    /// Write the module as a file (wasm) or as an image (oci)
    #[arg(long, value_enum, default_value = "wasm")]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Wasm,
    Oci,
}

#[derive(Debug, Subcommand)]
enum Command {
    Test(Box<test::Test>),
    Inspect(inspect::Inspect),
}

impl Module {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Some(Command::Test(test)) => return test.run(),
            Some(Command::Inspect(inspect)) => return inspect.run(),
            None => {}
        }
        let output = self.output.context("--output is missing")?;
        let digest = match self.format {
            Format::Wasm => write_module(&output)?,
            Format::Oci => write_image(&output)?,
        };
        print(&digest)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The bytes of a module, compiled elsewhere.
fn read_wasm(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read the module {}", path.display()))
}

fn write_module(path: &Path) -> anyhow::Result<String> {
    let shown = path.display();
    ensure!(
        !path.is_dir(),
        "nothing was written: {shown} is a folder; name a file, such as {}, or write an image with --format oci",
        path.join("ingress_filter.wasm").display()
    );
    // Other processes may use a device or a pipe, so it is not replaced.
    ensure!(path.is_file() || !path.exists(), "nothing was written: {shown} is not a regular file");
    // A link is followed, not replaced.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    write_atomically(&target, MODULE).with_context(|| format!("file {shown}"))?;
    Ok(digest_of(MODULE))
}

fn write_image(path: &Path) -> anyhow::Result<String> {
    ensure!(
        path.is_dir() || !path.exists(),
        "nothing was written: {} is a file, but an image is a folder; name a new or empty folder",
        path.display()
    );
    let image = module_image(MODULE)?;
    write_layout(&image, path)?;
    Ok(image.digest())
}
