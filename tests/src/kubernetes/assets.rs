//! The folder with kube-apiserver, etcd and kubectl.

use std::env;
use std::path::PathBuf;

use crate::tools::skip;

const PROGRAMS: [&str; 3] = ["kube-apiserver", "etcd", "kubectl"];

/// Where `tests/kube/assets.sh` puts them in the cache.
const IN_CACHE: &str = "ingressctl/kubebuilder-assets-1.20.2";

/// The folder that `$KUBEBUILDER_ASSETS` names, else the one that
/// `tests/kube/assets.sh` makes. Without one, the test says loudly that it was
/// skipped; in CI it fails.
pub(super) fn find() -> Option<PathBuf> {
    let named = env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
    let folder = named.or_else(|| Some(cache()?.join(IN_CACHE)));
    let found = folder
        .clone()
        .filter(|folder| PROGRAMS.iter().all(|program| folder.join(program).is_file()));
    if found.is_none() {
        skip(&format!(
            "{} lacks {}; make the folder once, in some five minutes: export KUBEBUILDER_ASSETS=\"$(tests/kube/assets.sh)\"",
            folder.map_or_else(|| "the cache".into(), |folder| folder.display().to_string()),
            PROGRAMS.join(", "),
        ));
    }
    found
}

fn cache() -> Option<PathBuf> {
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home)
}
