//! The programs that tests run.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs};

use crate::made::{made_by, needed};

/// The root of the workspace.
///
/// # Panics
/// Never: this crate is in a folder of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate lies in a folder of the workspace")
}

/// The `ingressctl` that `$INGRESSCTL` names, such as that of a release, or else the one
/// that was built with this test.
///
/// # Panics
/// If there is none: `cargo test --workspace` builds it.
pub fn ingressctl() -> &'static Path {
    static PATH: LazyLock<PathBuf> = LazyLock::new(|| {
        if let Some(path) = env::var_os("INGRESSCTL") {
            return path.into();
        }
        let test = env::current_exe().expect("a test has a path");
        let path =
            test.ancestors().nth(2).expect("tests lie in target/debug/deps").join("ingressctl");
        assert!(path.is_file(), "{} is missing; run `cargo build` first", path.display());
        path
    });
    &PATH
}

/// A real Envoy, downloaded if there is none.
///
/// # Panics
/// If there is none, and it cannot be downloaded.
pub fn envoy() -> &'static Path {
    static PATH: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| {
        ingressctl::envoy_binary::find_or_fetch(None).map_err(|error| format!("{error:#}"))
    });
    needed("a real Envoy", &PATH)
}

/// The program `name`, such as curl: the one on the PATH, otherwise one that is
/// downloaded from Debian.
///
/// # Panics
/// If there is none, and it cannot be downloaded.
pub fn tool(name: &str) -> PathBuf {
    static FETCHED: LazyLock<Result<PathBuf, String>> =
        LazyLock::new(|| made_by("tests/debian/tools.sh"));
    installed(name).unwrap_or_else(|| {
        needed(&format!("{name}, which is not on the PATH"), &FETCHED).join(name)
    })
}

/// systemd-analyze: the one on the PATH, otherwise one that is downloaded from Debian.
///
/// # Panics
/// If there is none, and it cannot be downloaded.
pub fn systemd_analyze() -> PathBuf {
    const NAME: &str = "systemd-analyze";
    installed(NAME).unwrap_or_else(|| needed(NAME, &made_by("tests/debian/systemd.sh")).join(NAME))
}

/// The program `name` on the PATH, for what is too large to download: without it, say so
/// with [`say`](crate::say).
pub fn installed(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// The program `name`, one of a pair that has to be of the same version, if both are on the
/// PATH.
pub(crate) fn one_of(pair: [&str; 2], name: &str) -> Option<PathBuf> {
    let are_installed = pair.iter().all(|program| installed(program).is_some());
    installed(name).filter(|_| are_installed)
}

/// A port on which no process listens at the moment, for programs that cannot
/// choose one themselves.
///
/// # Panics
/// If there is none.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port()
}

/// As [`free_port`], but a port that the system does not use for outgoing
/// connections. For programs that are stopped and started again on the same port.
///
/// # Panics
/// If there is none.
pub fn port_below_ephemeral() -> u16 {
    // Parallel tests start their search at different ports.
    static NEXT: LazyLock<AtomicU32> =
        LazyLock::new(|| AtomicU32::new(process::id().wrapping_mul(37)));
    let offset = || u16::try_from(NEXT.fetch_add(1, Ordering::Relaxed) % 12_000).ok();
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let mut candidates = (0..12_000).filter_map(|_| Some(20_000 + offset()?));
    candidates.find(is_free).expect("a free port")
}

/// All files below a folder.
///
/// # Panics
/// If it cannot be read.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found
}
