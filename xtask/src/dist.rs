//! `cargo xtask dist`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use clap::Args;
use ingressctl::MODULE;
use ingressctl::module_image::module_image;
use ingressctl::oci::digest_of;

use crate::binary::{Machine, Profile, build, commit, target_folder};
use crate::package::{Files, name};
use crate::step::{make_empty, output, step, workspace};
use crate::{chart, image, krew, sbom, verify};

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// It also says that a folder is a release.
const SUMS: &str = "SHA256SUMS";

/// Make all files of a release
///
/// Archives with a static binary, images as OCI layouts, the Wasm module, the Helm chart and
/// its objects, a manifest for krew, a list of what is built in (SBOM), and checksums. Nothing
/// is uploaded; docs/releasing.md has the commands for that.
#[derive(Debug, Args)]
pub(crate) struct Dist {
    /// Write to this folder, which is new, empty, or has an earlier release, which is deleted
    #[arg(short, long, value_name = "DIR", default_value = "target/dist")]
    output: PathBuf,
    /// Make binaries and images for this kind of machine; may be repeated
    #[arg(long = "machine", value_enum, default_values = ["amd64", "arm64"])]
    machines: Vec<Machine>,
    /// Name this image in the chart and in install.yaml: where you will push it
    #[arg(long, value_name = "REPOSITORY", default_value = "ingressctl")]
    image: String,
    /// Name Envoy's image by this digest, sha256:…, in the chart and in install.yaml
    #[arg(long, value_name = "DIGEST")]
    envoy_digest: Option<String>,
    /// Name this folder in the manifest for krew: where you will upload the files
    #[arg(long, default_value_t = format!("https://example.com/ingressctl/v{VERSION}"))]
    url: String,
    /// Let the compiler optimise this much
    #[arg(long, value_enum, default_value = "release")]
    profile: Profile,
    /// Accept changes that are not committed
    #[arg(long)]
    allow_dirty: bool,
}

impl Dist {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        ensure!(
            self.allow_dirty || is_clean()?,
            "there are changes that are not committed; commit them, or add --allow-dirty"
        );
        let folder = workspace().join(&self.output);
        make_empty(&folder, SUMS)?;
        let commit = commit()?;
        let binaries = self.binaries(&commit)?;
        self.archives(&binaries, &folder)?;
        self.images(&binaries, &commit, &folder)?;
        step("what is built in");
        let first = *self.machines.first().context("there is no machine")?;
        sbom::write(first, &folder)?;
        step("checksums");
        let sums = checksums(&folder)?;
        fs::write(folder.join(SUMS), sums)?;
        verify::has_checksums(&folder)?;
        let list = output(Command::new("ls").arg("-lh").arg(&folder))?;
        println!("{list}");
        Ok(())
    }

    fn binaries(&self, commit: &str) -> anyhow::Result<Vec<(Machine, Vec<u8>)>> {
        let mut binaries = Vec::new();
        for &machine in &self.machines {
            step(&format!("the binary for {}", machine.name()));
            let binary = build(machine, self.profile, commit)?;
            binaries.push((machine, binary));
        }
        Ok(binaries)
    }

    fn archives(&self, binaries: &[(Machine, Vec<u8>)], folder: &Path) -> anyhow::Result<()> {
        step("archives");
        let files = Files::new()?;
        let mut digests = Vec::new();
        for (machine, binary) in binaries {
            let name = name(*machine);
            let archive = files.packed(&name, binary)?;
            let digest = digest_of(&archive).replace("sha256:", "");
            fs::write(folder.join(format!("{name}.tar.gz")), archive)?;
            digests.push((*machine, digest));
        }
        fs::write(folder.join("krew-ingress.yaml"), krew::manifest(&digests, &self.url))?;
        Ok(())
    }

    fn images(
        &self,
        binaries: &[(Machine, Vec<u8>)],
        commit: &str,
        folder: &Path,
    ) -> anyhow::Result<()> {
        step("images and chart");
        let image = image::of(binaries, commit)?;
        let archive = folder.join(format!("ingressctl-{VERSION}-image.tar"));
        image::write(&image, &archive)?;
        if let Some(here) = Machine::HERE.filter(|here| self.machines.contains(here)) {
            let root = target_folder().join("image-root");
            verify::unpack(&archive, here, &root)?;
            verify::runs_alone(&root, &digest_of(MODULE))?;
        }
        fs::write(folder.join("ingress_filter.wasm"), MODULE)?;
        let module = module_image(MODULE)?;
        image::write(&module, &folder.join(format!("ingress_filter-{VERSION}-image.tar")))?;
        let digest = image.digest();
        let images = chart::Images {
            repository: &self.image,
            digest: &digest,
            envoy: self.envoy_digest.as_deref(),
        };
        chart::write(images, folder)?;
        eprintln!("{}@{digest}", self.image);
        Ok(())
    }
}

fn is_clean() -> anyhow::Result<bool> {
    Ok(output(Command::new("git").args(["status", "--porcelain"]))?.is_empty())
}

/// A line for each file, as `sha256sum` writes it.
fn checksums(folder: &Path) -> anyhow::Result<String> {
    let mut find = Command::new("find");
    let files = output(find.args([".", "-type", "f"]).current_dir(folder))?;
    let mut files: Vec<_> = files.lines().filter_map(|path| path.strip_prefix("./")).collect();
    files.retain(|path| *path != SUMS);
    files.sort_unstable();
    output(Command::new("sha256sum").args(files).current_dir(folder))
}
