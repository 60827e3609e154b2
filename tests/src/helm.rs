//! Helm.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use crate::made::{made_by, needed};

/// Helm; the first call on a machine downloads it.
///
/// # Panics
/// If it cannot be downloaded.
pub fn helm() -> &'static Path {
    static PATH: LazyLock<Result<PathBuf, String>> =
        LazyLock::new(|| made_by("tests/python/helm.sh"));
    needed("Helm", &PATH)
}
