//! `ingressctl module`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};

use super::print;
use crate::MODULE;
use crate::files::write_atomically;
use crate::module_image::{Image, digest_of};

/// Write the Wasm module, for your own Envoy
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
#[command(verbatim_doc_comment)]
#[expect(clippy::doc_markdown, reason = "it is printed as it is")]
pub(crate) struct Module {
    /// Write to this file; for an image, to this folder, which has to be new, empty,
    /// or contain a previous image
    #[arg(short, long, value_name = "PATH")]
    output: PathBuf,
    /// Write the module as a file (wasm) or as an image (oci)
    #[arg(long, value_enum, default_value = "wasm")]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Wasm,
    Oci,
}

impl Module {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let digest = match self.format {
            Format::Wasm => write_module(&self.output)?,
            Format::Oci => write_image(&self.output)?,
        };
        print(&digest)?;
        Ok(ExitCode::SUCCESS)
    }
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
    let image = Image::of(MODULE)?;
    image.write_layout(path)?;
    Ok(image.digest())
}
