//! Modules, compiled for offline use.

use std::sync::OnceLock;

use anyhow::Context;
use proxy_wasm_test::{Error, ErrorKind, Module};

use crate::cache::cache_folder;

/// The module, compiled once per process. Because that takes a second, the code is
/// stored in the user's cache folder if possible.
///
/// # Errors
/// If it is not a Proxy-Wasm module, which only a faulty build can cause.
pub fn offline_module() -> anyhow::Result<&'static Module> {
    static MODULE: OnceLock<Result<Module, Error>> = OnceLock::new();
    let module = MODULE.get_or_init(|| compiled(crate::MODULE));
    module.as_ref().context("the embedded module is invalid")
}

/// Any module, compiled, or loaded from the user's cache folder.
///
/// # Errors
/// If it is not a Proxy-Wasm module that Envoy could load.
pub(crate) fn compiled(wasm: &[u8]) -> Result<Module, Error> {
    let Ok(folder) = cache_folder() else { return Module::new(wasm) };
    match Module::cached(wasm, folder.join("modules")) {
        // A user without a cache folder can still run modules.
        Err(error) if matches!(error.kind(), ErrorKind::Cache { .. }) => Module::new(wasm),
        result => result,
    }
}
