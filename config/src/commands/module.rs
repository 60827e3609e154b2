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

/// Write the filter by itself, for an Envoy of your own
///
/// As a module, for an Envoy that loads it from a file:
///
///   ingressctl module -o filter.wasm
///
/// Or as an OCI image in a folder, for the WasmPlugin of Istio and the
/// EnvoyExtensionPolicy of Envoy Gateway, which load it from a registry:
///
///   ingressctl module --format oci -o image
///   skopeo copy oci:image docker://registry.example/ingress-filter:0.1.0
///
/// It is the very module that serve, explain and the controller use. The same
/// version writes the same bytes, and prints their digest: that of the file, or
/// the one that registries call the image by. docs/loading.md says what Envoy
/// needs beside it.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
#[expect(clippy::doc_markdown, reason = "it is printed as it is")]
pub(crate) struct Module {
    /// The file to write; for an image the folder, which is new, empty, or holds
    /// an earlier one
    #[arg(short, long, value_name = "PATH")]
    output: PathBuf,
    /// What to write: the module, or an image of it
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
        "nothing was written, for {shown} is a folder; name a file, as in {}, or write an image with --format oci",
        path.join("ingress_filter.wasm").display()
    );
    // Replacing a device or a pipe would take it away from everybody.
    ensure!(path.is_file() || !path.exists(), "nothing was written, for {shown} is not a file");
    // A link is followed, not replaced.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    write_atomically(&target, MODULE).with_context(|| format!("file {shown}"))?;
    Ok(digest_of(MODULE))
}

fn write_image(path: &Path) -> anyhow::Result<String> {
    ensure!(
        path.is_dir() || !path.exists(),
        "nothing was written, for {} is a file; an image is a folder: name one that is new or empty",
        path.display()
    );
    let image = Image::of(MODULE)?;
    image.write_layout(path)?;
    Ok(image.digest())
}
