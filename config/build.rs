//! Builds `ingress_filter.wasm`, so that a plain `cargo build` makes it and
//! `ingressctl` carries it inside.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};

const TARGET: &str = "wasm32-wasip1";

/// Leaves out what the module exports in vain.
const LINKER: &str = "config/module-linker.sh";

fn main() {
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    for input in [
        "filter/src",
        "filter/Cargo.toml",
        "Cargo.toml",
        "Cargo.lock",
        "rust-toolchain.toml",
        LINKER,
    ] {
        println!("cargo::rerun-if-changed={}", workspace.join(input).display());
    }
    require_target(&workspace);
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    // A target directory of its own: the outer cargo holds the lock of this
    // one. Beside it, so that all profiles share one module.
    let target_dir = target_dir(&out).join("module");
    let folder = target_dir.join(TARGET).join("module");
    require_link(&workspace.join(LINKER), &folder.join("deps/ingress_filter.wasm"));
    build(&workspace, &target_dir);
    let module = folder.join("ingress_filter.wasm");
    println!("cargo::rustc-env=INGRESS_FILTER_WASM={}", module.display());
    println!("cargo::rustc-env=INGRESSCTL_COMMIT={}", commit(&workspace).unwrap_or_default());
}

/// Flags that keep the folders of this machine out of the messages of panics, so that each
/// machine builds the same module.
fn without_paths(workspace: &Path) -> String {
    let home = || Some(PathBuf::from(env::var_os("HOME")?).join(".cargo"));
    let cargo = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(home).unwrap_or_default();
    let folders = [(cargo, "/cargo"), (workspace.canonicalize().unwrap_or_default(), "/src")];
    let known = folders.iter().filter(|(folder, _)| !folder.as_os_str().is_empty());
    let flags = known.map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()));
    flags.collect::<Vec<_>>().join("\u{1f}")
}

/// The commit that is built, for `ingressctl --version`: what the environment says, where
/// there is no repository, else what Git says. Other builds than those for release have
/// none, because they would compile again after each commit.
fn commit(workspace: &Path) -> Option<String> {
    println!("cargo::rerun-if-env-changed=INGRESSCTL_COMMIT");
    if let Ok(commit) = env::var("INGRESSCTL_COMMIT") {
        return Some(commit);
    }
    if env::var("PROFILE").is_ok_and(|profile| profile != "release") {
        return None;
    }
    let git = |arguments: &[&str]| {
        let output = Command::new("git").current_dir(workspace).args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim_end().to_owned())
    };
    // It changes with each commit and checkout.
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    println!("cargo::rerun-if-changed={}", workspace.join(log).display());
    git(&["describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"])
}

/// Adds the target where rustc lacks it. Where that cannot be, the build ends,
/// and says in one line how to get it.
fn require_target(workspace: &Path) {
    let rustc = env::var_os("RUSTC").expect("cargo sets RUSTC");
    let output = Command::new(workspace.join("config/wasm-target.sh"))
        .arg(rustc)
        .arg("-vV")
        .stdin(Stdio::null())
        .output()
        .expect("config/wasm-target.sh can be run");
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        for line in text.lines() {
            println!("cargo::error={}", line.trim_start_matches("error: "));
        }
        process::exit(1);
    }
}

/// `target` of `target/debug/build/ingressctl-…/out`, whatever it is called.
fn target_dir(out: &Path) -> PathBuf {
    let build = out
        .ancestors()
        .find(|folder| folder.ends_with("build"))
        .expect("OUT_DIR lies in a folder `build`");
    build.ancestors().nth(2).expect("which lies two levels below the target directory").to_owned()
}

/// Removes a module that is older than the linker script. Cargo does not know that
/// the script has changed, but it links again where the module is missing.
fn require_link(linker: &Path, module: &Path) {
    let time = |path: &Path| path.metadata().and_then(|metadata| metadata.modified()).ok();
    if time(module) < time(linker) {
        let _ = fs::remove_file(module);
    }
}

fn build(workspace: &Path, target_dir: &Path) {
    let cargo = env::var_os("CARGO").expect("cargo sets CARGO");
    let mut command = Command::new(cargo);
    command
        .current_dir(workspace)
        .args([
            "build",
            "--locked",
            "--package=ingress-filter",
            "--profile=module",
            "--target",
            TARGET,
        ])
        .arg("--target-dir")
        .arg(target_dir);
    // What the outer build is told is not for another target and profile: flags
    // would change the module, and clippy would check it instead.
    for (variable, _) in env::vars_os() {
        let name = variable.to_string_lossy();
        let outer = [
            "RUSTC_WRAPPER",
            "RUSTC_WORKSPACE_WRAPPER",
            "RUSTFLAGS",
            "CARGO_ENCODED_RUSTFLAGS",
            "CLIPPY_ARGS",
        ];
        if outer.contains(&&*name)
            || name.starts_with("CARGO_BUILD_")
            || name.starts_with("CARGO_PROFILE_")
        {
            command.env_remove(&variable);
        }
    }
    // The target is there. The path of a wrapper would change the module.
    command.env("RUSTC_WORKSPACE_WRAPPER", "");
    command.env("CARGO_TARGET_WASM32_WASIP1_LINKER", workspace.join(LINKER));
    command.env("CARGO_ENCODED_RUSTFLAGS", without_paths(workspace));
    let status = command.status().expect("cargo can be run");
    assert!(status.success(), "ingress_filter.wasm could not be built");
}
