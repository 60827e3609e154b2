//! Python with the packages of `tests/python`, such as gRPC.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use crate::made::{made_by, needed};

/// Python with these packages; the first call on a machine downloads them.
///
/// # Panics
/// If they cannot be downloaded.
pub fn python() -> Command {
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", python_packages());
    command
}

/// The folder of these packages.
///
/// # Panics
/// If they cannot be downloaded.
pub fn python_packages() -> &'static Path {
    static FOLDER: LazyLock<Result<PathBuf, String>> =
        LazyLock::new(|| made_by("tests/python/packages.sh"));
    needed("Python with packages", &FOLDER)
}
