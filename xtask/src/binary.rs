//! The command as a static binary, for each kind of machine.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use clap::ValueEnum;
use oci_spec::image::Arch;

use crate::step::{made_by, output, run, workspace};

/// A kind of machine that runs Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Machine {
    /// x86-64
    Amd64,
    /// 64-bit ARM
    Arm64,
}

impl Machine {
    /// The kind of this machine.
    pub(crate) const HERE: Option<Self> = if cfg!(target_arch = "x86_64") {
        Some(Self::Amd64)
    } else if cfg!(target_arch = "aarch64") {
        Some(Self::Arm64)
    } else {
        None
    };

    /// The name in images, archives and Kubernetes.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    pub(crate) fn arch(self) -> Arch {
        match self {
            Self::Amd64 => Arch::Amd64,
            Self::Arm64 => Arch::ARM64,
        }
    }

    /// Rust's target. With musl, nothing is linked at run time.
    pub(crate) fn target(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-musl",
            Self::Arm64 => "aarch64-unknown-linux-musl",
        }
    }
}

/// How much the compiler optimises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// As users get it
    Release,
    /// Not at all, to try the sequence in less time
    Dev,
}

/// Builds `ingressctl` of a commit for a machine and returns it.
pub(crate) fn build(machine: Machine, profile: Profile, commit: &str) -> anyhow::Result<Vec<u8>> {
    let target = machine.target();
    if !is_installed(target)? {
        run(Command::new("rustup").args(["target", "add", target]))?;
    }
    let tools = made_by("tests/python/zig.sh")?;
    let (flag, folder) = match profile {
        Profile::Release => ("release", "release"),
        Profile::Dev => ("dev", "debug"),
    };
    let mut cargo = Command::new("cargo");
    cargo
        .args(["zigbuild", "--locked", "--package", "ingressctl"])
        .args(["--profile", flag, "--target", target])
        .env("PYTHONPATH", &tools)
        .env("PATH", path_with(tools.join("bin"))?)
        .env("CARGO_ENCODED_RUSTFLAGS", without_paths()?)
        .env("CARGO_PROFILE_RELEASE_STRIP", "symbols")
        .env("CARGO_PROFILE_DEV_STRIP", "symbols")
        .env("INGRESSCTL_COMMIT", commit);
    run(&mut cargo)?;
    let binary = target_folder().join(target).join(folder).join("ingressctl");
    fs::read(&binary).with_context(|| format!("{} was not built", binary.display()))
}

/// The commit of the working tree; with `-dirty` if that has other changes.
pub(crate) fn commit() -> anyhow::Result<String> {
    let describe = ["describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"];
    let commit = output(Command::new("git").args(describe))?;
    Ok(commit.trim_end().to_owned())
}

fn is_installed(target: &str) -> anyhow::Result<bool> {
    let mut rustc = Command::new("rustc");
    let folder = output(rustc.args(["--print", "target-libdir", "--target", target]))?;
    Ok(PathBuf::from(folder.trim_end()).is_dir())
}

fn path_with(folder: PathBuf) -> anyhow::Result<std::ffi::OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    Ok(env::join_paths([folder].into_iter().chain(env::split_paths(&path)))?)
}

/// Flags that keep the folders of this machine out of the binary, so that another machine
/// builds the same one.
fn without_paths() -> anyhow::Result<String> {
    let home = env::var("HOME").context("HOME")?;
    let cargo = env::var("CARGO_HOME").unwrap_or_else(|_| format!("{home}/.cargo"));
    let flags = [
        format!("--remap-path-prefix={cargo}=/cargo"),
        format!("--remap-path-prefix={}=/src", workspace().display()),
    ];
    Ok(flags.join("\u{1f}"))
}

/// Where Cargo builds.
pub(crate) fn target_folder() -> PathBuf {
    let folder = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    workspace().join(folder)
}
