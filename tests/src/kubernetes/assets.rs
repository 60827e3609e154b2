//! The folder with kube-apiserver, etcd and kubectl.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use crate::made::{made_by, needed};

/// The folder that `$KUBEBUILDER_ASSETS` names, otherwise the one in the cache,
/// which is created if necessary.
///
/// # Panics
/// If it is not complete, or cannot be created.
pub(super) fn find() -> &'static Path {
    static FOLDER: LazyLock<Result<PathBuf, String>> =
        LazyLock::new(|| made_by("tests/kube/assets.sh"));
    needed("a Kubernetes API server", &FOLDER)
}
