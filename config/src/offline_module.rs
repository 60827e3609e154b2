//! The module, compiled for offline use.

use std::sync::OnceLock;

use anyhow::Context;
use proxy_wasm_test::Module;

use crate::cache::cache_folder;

/// The module, compiled once per process. Because that takes a second, the code is
/// stored in the user's cache folder if possible.
///
/// # Errors
/// If it is not a Proxy-Wasm module, which only a faulty build can cause.
pub fn offline_module() -> anyhow::Result<&'static Module> {
    static MODULE: OnceLock<Result<Module, proxy_wasm_test::Error>> = OnceLock::new();
    let module = MODULE.get_or_init(|| {
        let cached = cache_folder()
            .ok()
            .and_then(|folder| Module::cached(crate::MODULE, folder.join("modules")).ok());
        cached.map_or_else(|| Module::new(crate::MODULE), Ok)
    });
    module.as_ref().context("the embedded module is invalid")
}
