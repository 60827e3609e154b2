//! Envoy's attributes, derived from the parts of a stream.
//!
//! They are listed at
//! <https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/advanced/attributes>. Numbers
//! are eight bytes, little-endian; booleans are one byte.

use crate::headers::HeaderMap;
use crate::state::State;
use crate::stream::{Http, Kind, Phase, Side, Stream};

/// The address of the client and of the listener, unless the test sets others.
const SOURCE: (&str, i64) = ("127.0.0.1:50000", 50_000);
const DESTINATION: (&str, i64) = ("127.0.0.1:10000", 10_000);

/// The attribute with this path (parts separated by NUL), if Envoy has it now.
pub(crate) fn attribute(state: &State, stream: Option<&Stream>, path: &[u8]) -> Option<Vec<u8>> {
    let path = std::str::from_utf8(path).ok()?;
    let (first, rest) = path.split_once('\0').map_or((path, ""), |(first, rest)| (first, rest));
    match (first, rest) {
        ("plugin_vm_id", "") => return Some(state.options.vm_id.clone()),
        ("plugin_name" | "plugin_root_id", "") => return Some(Vec::new()),
        _ => {}
    }
    let stream = stream?;
    match (first, rest) {
        ("connection_id", "") | ("connection", "id") => Some(number(1)),
        ("source", rest) => address(rest, SOURCE),
        ("destination", rest) => address(rest, DESTINATION),
        ("connection", "mtls") => Some(vec![0]),
        ("request", rest) => request(state, stream, rest),
        ("response", rest) => response(stream, rest),
        ("xds", rest) => xds(rest),
        ("cluster_name" | "route_name", "") | ("node", "id" | "cluster") => Some(Vec::new()),
        ("listener_direction", "") => Some(number(0)),
        _ => None,
    }
}

fn address(part: &str, end: (&str, i64)) -> Option<Vec<u8>> {
    match part {
        "address" => Some(end.0.into()),
        "port" => Some(number(end.1)),
        _ => None,
    }
}

fn xds(part: &str) -> Option<Vec<u8>> {
    match part {
        "cluster_name" | "route_name" => Some(Vec::new()),
        "listener_direction" => Some(number(0)),
        _ => None,
    }
}

fn request(state: &State, stream: &Stream, part: &str) -> Option<Vec<u8>> {
    let Kind::Http(http) = &stream.kind else { return None };
    match part {
        "protocol" => return Some("HTTP/1.1".into()),
        "time" => return Some(state.now().to_le_bytes().to_vec()),
        "size" => return Some(number(body_size(&http.request))),
        "total_size" => return Some(number(total_size(http))),
        _ => {}
    }
    let headers = http.request.readable_headers(stream.phase == Phase::Logging)?;
    let text = |name: &str| headers.get(name).map(<[u8]>::to_vec);
    match part {
        "path" => text(":path"),
        "url_path" => text(":path").map(|path| split_query(&path).0.to_vec()),
        "query" => text(":path").map(|path| split_query(&path).1.to_vec()),
        "host" => text(":authority"),
        "scheme" => text(":scheme"),
        "method" => text(":method"),
        "referer" => text("referer"),
        "useragent" => text("user-agent"),
        "id" => text("x-request-id"),
        "headers" => headers.to_pairs(),
        _ => joined(headers, part.strip_prefix("headers\0")?),
    }
}

fn response(stream: &Stream, part: &str) -> Option<Vec<u8>> {
    let Kind::Http(http) = &stream.kind else { return None };
    let side = &http.response;
    match part {
        "code" => {
            let status = side.headers.as_ref()?.get_str(":status")?;
            return Some(number(status.parse().ok()?));
        }
        "size" => return Some(number(length(&side.passed))),
        "flags" => return Some(number(0)),
        _ => {}
    }
    let is_logging = stream.phase == Phase::Logging;
    match part {
        "headers" => side.readable_headers(is_logging)?.to_pairs(),
        "trailers" => side.trailers.as_ref()?.to_pairs(),
        _ => {
            if let Some(name) = part.strip_prefix("headers\0") {
                return joined(side.readable_headers(is_logging)?, name);
            }
            joined(side.trailers.as_ref()?, part.strip_prefix("trailers\0")?)
        }
    }
}

/// All values of a header, joined with `,`.
fn joined(headers: &HeaderMap, name: &str) -> Option<Vec<u8>> {
    let values: Vec<_> = headers.get_all(name).collect();
    (!values.is_empty()).then(|| values.join(&b','))
}

fn split_query(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().position(|byte| *byte == b'?') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (path, &[]),
    }
}

/// What the header says, and otherwise the bytes so far.
fn body_size(side: &Side) -> i64 {
    let said = side.headers.as_ref().and_then(|headers| headers.get_str("content-length"));
    said.and_then(|said| said.parse().ok()).unwrap_or_else(|| length(&side.passed))
}

fn total_size(http: &Http) -> i64 {
    let headers = http.request.headers.as_ref().map_or(0, HeaderMap::byte_size);
    length(&http.request.passed) + i64::try_from(headers).unwrap_or(i64::MAX)
}

fn length(bytes: &[u8]) -> i64 {
    i64::try_from(bytes.len()).unwrap_or(i64::MAX)
}

fn number(value: i64) -> Vec<u8> {
    value.to_le_bytes().to_vec()
}
