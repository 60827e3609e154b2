//! The filter's configuration (ECDS): the module and its route table.

use std::path::Path;

use serde::Serialize;

use super::FILTER_NAME;
use super::wire::{Any, Message, messages};

/// `core.v3.TypedExtensionConfig` of the filter.
#[derive(Debug, Serialize)]
pub(super) struct FilterConfig {
    name: &'static str,
    typed_config: Any<Wasm>,
}

#[derive(Debug, Serialize)]
pub(super) struct Wasm {
    config: PluginConfig,
}

#[derive(Debug, Serialize)]
struct PluginConfig {
    name: &'static str,
    /// A request that finds the module broken gets 503, and the next one a new
    /// VM. Never open: an edge that routes nothing is safer than one that
    /// routes everything.
    failure_policy: &'static str,
    vm_config: VmConfig,
    configuration: Any<StringValue>,
}

#[derive(Debug, Serialize)]
struct VmConfig {
    vm_id: &'static str,
    runtime: &'static str,
    code: AsyncDataSource,
}

#[derive(Debug, Serialize)]
struct AsyncDataSource {
    local: DataSource,
}

#[derive(Debug, Serialize)]
struct DataSource {
    filename: String,
}

#[derive(Debug, Serialize)]
struct StringValue {
    value: String,
}

messages! {
    FilterConfig = "envoy.config.core.v3.TypedExtensionConfig",
    Wasm = "envoy.extensions.filters.http.wasm.v3.Wasm",
    StringValue = "google.protobuf.StringValue",
}

impl FilterConfig {
    /// The module in the file `module`, with the route table `table` as JSON.
    pub(super) fn new(module: &Path, table: String) -> Self {
        let config = PluginConfig {
            name: FILTER_NAME,
            failure_policy: "FAIL_RELOAD",
            vm_config: VmConfig {
                vm_id: FILTER_NAME,
                runtime: "envoy.wasm.runtime.v8",
                code: AsyncDataSource {
                    local: DataSource { filename: module.display().to_string() },
                },
            },
            configuration: StringValue { value: table }.into_any(),
        };
        Self { name: FILTER_NAME, typed_config: Wasm { config }.into_any() }
    }
}
