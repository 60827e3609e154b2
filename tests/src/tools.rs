//! The programs that tests run.

use std::env;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// The root of the workspace.
///
/// # Panics
/// Never: this crate lies in a folder of it.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate lies in a folder of the workspace")
}

/// The `ingressctl` that was built with this test.
///
/// # Panics
/// Where it was not: `cargo test --workspace` builds it.
pub fn ingressctl() -> &'static Path {
    static PATH: LazyLock<PathBuf> = LazyLock::new(|| {
        let test = env::current_exe().expect("a test has a path");
        let path =
            test.ancestors().nth(2).expect("tests lie in target/debug/deps").join("ingressctl");
        assert!(path.is_file(), "{} is missing; run `cargo build` first", path.display());
        path
    });
    &PATH
}

/// A real Envoy, fetched if there is none.
///
/// # Panics
/// Where there is none to be had.
pub fn envoy() -> &'static Path {
    static PATH: LazyLock<PathBuf> = LazyLock::new(|| {
        ingressctl::envoy_binary::find_or_fetch(None).expect("these tests need a real Envoy")
    });
    &PATH
}

/// Whether the program `name` is there. Without it a test says loudly that it
/// was skipped; in CI, where everything has to run, it fails.
///
/// # Panics
/// In CI, where it is missing.
pub fn require_tool(name: &str, remedy: &str) -> bool {
    let found = Command::new("sh")
        .args(["-c", "command -v \"$1\"", "sh", name])
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        let message = format!("{name} is missing; {remedy}");
        assert!(env::var_os("CI").is_none(), "{message}");
        eprintln!("\n*** SKIPPED: {message} ***\n");
    }
    found
}

/// A port that nobody listens on at the moment, for programs that cannot choose
/// one themselves.
///
/// # Panics
/// Where there is none.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port()
}
