//! The user's cache folder, for files that take long to get.

use std::env;
use std::path::PathBuf;

use anyhow::Context;

/// `$XDG_CACHE_HOME/ingressctl`, by default `~/.cache/ingressctl`. It may not
/// exist yet.
pub(crate) fn cache_folder() -> anyhow::Result<PathBuf> {
    let cache =
        match env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute()) {
            Some(cache) => cache,
            None => PathBuf::from(
                env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?,
            )
            .join(".cache"),
        };
    Ok(cache.join("ingressctl"))
}
