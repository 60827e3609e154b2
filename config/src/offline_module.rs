//! The module, compiled for offline use.

use std::sync::OnceLock;

use anyhow::Context;
use host_test::Module;

use crate::cache::cache_folder;

/// The module, compiled once for this process. That takes a second, so the code is
/// kept in the user's cache; where that cannot be, it is compiled each time.
///
/// # Errors
/// Where it is not a Proxy-Wasm module, which only a broken build makes it.
pub fn offline_module() -> anyhow::Result<&'static Module> {
    static MODULE: OnceLock<Result<Module, host_test::Error>> = OnceLock::new();
    let module = MODULE.get_or_init(|| {
        let cached = cache_folder()
            .ok()
            .and_then(|folder| Module::cached(crate::MODULE, folder.join("modules")).ok());
        cached.map_or_else(|| Module::new(crate::MODULE), Ok)
    });
    module.as_ref().context("the embedded module is invalid")
}
