//! The filter's configuration (ECDS): the module and its route table.

use std::path::Path;

use ingress_filter::FlatTable;
use prost::{Enumeration, Message};
use serde::Serialize;

use super::FILTER_NAME;
use super::core::DataSource;
use super::message::{Any, BytesValue, Extension, json_names, typed};

/// `core.v3.TypedExtensionConfig` of the filter.
pub(super) type FilterConfig = Extension<Wasm>;

/// `filters.http.wasm.v3.Wasm`.
#[derive(Clone, PartialEq, Message, Serialize)]
pub(super) struct Wasm {
    #[prost(message, optional, tag = "1")]
    config: Option<PluginConfig>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct PluginConfig {
    #[prost(string, tag = "1")]
    name: String,
    /// After a crash of the module, the request gets 503 and the next one a new VM.
    /// Never open, because requests must not be forwarded without a decision.
    #[prost(enumeration = "FailurePolicy", tag = "7")]
    #[serde(serialize_with = "FailurePolicy::json")]
    failure_policy: i32,
    #[prost(message, optional, tag = "3")]
    vm_config: Option<VmConfig>,
    #[prost(message, optional, tag = "4")]
    configuration: Option<Any<BytesValue>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
enum FailurePolicy {
    Unspecified = 0,
    FailReload = 1,
}

json_names!(FailurePolicy { Unspecified = "UNSPECIFIED", FailReload = "FAIL_RELOAD" });

#[derive(Clone, PartialEq, Message, Serialize)]
struct VmConfig {
    #[prost(string, tag = "1")]
    vm_id: String,
    #[prost(string, tag = "2")]
    runtime: String,
    #[prost(message, optional, tag = "3")]
    code: Option<AsyncDataSource>,
}

#[derive(Clone, PartialEq, Message, Serialize)]
struct AsyncDataSource {
    #[prost(message, optional, tag = "1")]
    local: Option<DataSource>,
}

typed! {
    FilterConfig = "envoy.config.core.v3.TypedExtensionConfig",
    Wasm = "envoy.extensions.filters.http.wasm.v3.Wasm",
}

/// The module in the file `module`, with the route table `table`.
pub(super) fn filter_config(module: &Path, table: &FlatTable) -> FilterConfig {
    let config = PluginConfig {
        name: FILTER_NAME.to_owned(),
        failure_policy: FailurePolicy::FailReload.into(),
        vm_config: Some(VmConfig {
            vm_id: FILTER_NAME.to_owned(),
            runtime: "envoy.wasm.runtime.v8".to_owned(),
            code: Some(AsyncDataSource { local: Some(DataSource::file(module)) }),
        }),
        configuration: Some(Any(BytesValue { value: table.bytes().to_vec() })),
    };
    Extension::new(FILTER_NAME, Wasm { config: Some(config) })
}

/// The route table of a configuration.
pub(super) fn table_of(config: &FilterConfig) -> Option<FlatTable> {
    let plugin = config.config().config.as_ref()?;
    let Any(table) = plugin.configuration.as_ref()?;
    FlatTable::parse(table.value.clone()).ok()
}
