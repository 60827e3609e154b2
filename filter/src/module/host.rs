//! All calls of the host, with bytes instead of strings.
//!
//! The SDK's functions with strings panic if a header is not UTF-8, so clippy.toml bans
//! them. The SDK also panics on a status that it does not expect for a call. Envoy returns
//! only expected ones here, because the maps exist in the phases of these calls, and the
//! metrics are defined. Other failures cannot be handled on the request path: a failed
//! read returns nothing, and a failed write of the cluster's header ends in a 503.
#![expect(clippy::disallowed_methods, reason = "the one place that may call the host")]

use std::time::{Duration, UNIX_EPOCH};

use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, GrpcStatusCode, LogLevel, MapType, MetricType};

use crate::headers::HeaderEdit;
pub(super) use proxy_wasm::types::LogLevel as Level;

pub(super) fn log(level: LogLevel, message: &str) {
    let _ = hostcalls::log(level, message);
}

/// The configuration of the plugin that Envoy configures.
pub(super) fn plugin_configuration() -> Vec<u8> {
    hostcalls::get_buffer(BufferType::PluginConfiguration, 0, usize::MAX)
        .ok()
        .flatten()
        .unwrap_or_default()
}

pub(super) fn set_tick_period(period: Duration) {
    let _ = hostcalls::set_tick_period(period);
}

pub(super) fn define_counter(name: &str) -> Option<u32> {
    hostcalls::define_metric(MetricType::Counter, name).ok()
}

pub(super) fn increment(metric: u32, by: i64) {
    let _ = hostcalls::increment_metric(metric, by);
}

/// All headers of the current request in one call.
pub(super) fn request_headers() -> Vec<(String, Vec<u8>)> {
    hostcalls::get_map_bytes(MapType::HttpRequestHeaders).unwrap_or_default()
}

/// The first value of a header of the current request.
pub(super) fn request_header(name: &str) -> Option<Vec<u8>> {
    hostcalls::get_map_value_bytes(MapType::HttpRequestHeaders, name).ok().flatten()
}

/// Sets a header, and replaces all its values.
pub(super) fn set_request_header(name: &str, value: &[u8]) {
    let _ = hostcalls::set_map_value_bytes(MapType::HttpRequestHeaders, name, Some(value));
}

/// Sets a header of the response, and replaces all its values.
pub(super) fn set_response_header(name: &str, value: &[u8]) {
    let _ = hostcalls::set_map_value_bytes(MapType::HttpResponseHeaders, name, Some(value));
}

/// Adds a value to a header.
pub(super) fn add_request_header(name: &str, value: &[u8]) {
    let _ = hostcalls::add_map_value_bytes(MapType::HttpRequestHeaders, name, value);
}

/// Adds a value to a header of the response.
pub(super) fn add_response_header(name: &str, value: &[u8]) {
    let _ = hostcalls::add_map_value_bytes(MapType::HttpResponseHeaders, name, value);
}

/// Removes all values of a header.
pub(super) fn remove_request_header(name: &str) {
    let _ = hostcalls::set_map_value_bytes(MapType::HttpRequestHeaders, name, None);
}

/// Responds to the current request with these headers and an empty body. Values that are
/// not UTF-8 are skipped; the filter does not make such values.
pub(super) fn respond(status: u16, headers: &[HeaderEdit<'_>]) {
    let headers = headers
        .iter()
        .filter_map(|header| Some((&*header.name, std::str::from_utf8(&header.value).ok()?)));
    let headers = headers.collect();
    let _ = hostcalls::send_http_response(u32::from(status), headers, None);
}

/// Responds to the current request with this gRPC status if it is a gRPC request.
pub(super) fn respond_grpc(status: u8) {
    let _ = hostcalls::send_grpc_response(grpc_status(status), None, Vec::new());
}

fn grpc_status(status: u8) -> GrpcStatusCode {
    use GrpcStatusCode as Code;
    match status {
        0 => Code::Ok,
        1 => Code::Cancelled,
        3 => Code::InvalidArgument,
        4 => Code::DeadlineExceeded,
        5 => Code::NotFound,
        6 => Code::AlreadyExists,
        7 => Code::PermissionDenied,
        8 => Code::ResourceExhausted,
        9 => Code::FailedPrecondition,
        10 => Code::Aborted,
        11 => Code::OutOfRange,
        12 => Code::Unimplemented,
        13 => Code::Internal,
        14 => Code::Unavailable,
        15 => Code::DataLoss,
        16 => Code::Unauthenticated,
        _ => Code::Unknown,
    }
}

/// Nanoseconds since 1970.
pub(super) fn now() -> u64 {
    let time = hostcalls::get_current_time().ok();
    let since = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.and_then(|since| u64::try_from(since.as_nanos()).ok()).unwrap_or_default()
}

/// Makes the request of a stream the current one. Returns whether the stream exists.
pub(super) fn select_stream(id: u32) -> bool {
    hostcalls::set_effective_context(id).is_ok()
}

/// Continues the current request, which was paused.
pub(super) fn resume_request() {
    let _ = hostcalls::resume_http_request();
}

/// An attribute of Envoy. An empty one counts as missing.
pub(super) fn property(path: Vec<&str>) -> Option<Vec<u8>> {
    hostcalls::get_property(path).ok().flatten()
}

/// Sets a property of the current request, which Envoy stores as the filter state
/// `wasm.<name>`.
pub(super) fn set_property(name: &str, value: &[u8]) {
    let _ = hostcalls::set_property(vec![name], Some(value));
}
