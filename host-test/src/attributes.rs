//! Envoy's attributes, derived from the parts of a stream.
//!
//! They are listed at
//! <https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/advanced/attributes>. Numbers
//! are eight bytes, little-endian; booleans are one byte.

use crate::abi::Status;
use crate::headers::HeaderMap;
use crate::record::{self, Sent};
use crate::state::State;
use crate::stream::{Delivered, Http, Kind, Phase, Stream};

/// The address of the client, of the listener and of the upstream, unless the test sets others.
const SOURCE: (&str, i64) = ("127.0.0.1:50000", 50_000);
const DESTINATION: (&str, i64) = ("127.0.0.1:10000", 10_000);
const UPSTREAM: (&str, i64) = ("127.0.0.1:8080", 8080);
const UPSTREAM_LOCAL: &str = "127.0.0.1:51000";

/// An attribute, [`Status::NotFound`] if Envoy does not have it now, or
/// [`Status::SerializationFailure`] for a group of attributes.
type Attribute = Result<Vec<u8>, Status>;

/// The attribute with this path (parts separated by NUL). `None` if Envoy has none with this first
/// part.
pub(crate) fn attribute(state: &State, stream: Option<&Stream>, path: &[u8]) -> Option<Attribute> {
    let path = std::str::from_utf8(path).ok()?;
    let (first, rest) = path.split_once('\0').map_or((path, ""), |(first, rest)| (first, rest));
    Some(match (first, rest) {
        ("plugin_vm_id", "") => Ok(state.options.vm_id.clone()),
        ("plugin_name" | "plugin_root_id", "") | ("xds", "node\0id" | "node\0cluster") => {
            Ok(Vec::new())
        }
        (
            "request"
            | "response"
            | "connection"
            | "upstream"
            | "source"
            | "destination"
            | "xds"
            | "metadata"
            | "filter_state"
            | "upstream_filter_state"
            | "connection_id",
            _,
        ) => {
            let stream = stream.ok_or(Status::NotFound);
            stream.and_then(|stream| of_stream(state, stream, first, rest))
        }
        _ => return None,
    })
}

fn of_stream(state: &State, stream: &Stream, first: &str, rest: &str) -> Attribute {
    match (first, rest) {
        ("metadata", "") | ("connection", "requested_server_name") => Ok(Vec::new()),
        ("connection_id", "") | ("connection", "id") => Ok(number(1)),
        ("upstream_filter_state" | "upstream", "") if !has_upstream(stream) => {
            Err(Status::NotFound)
        }
        (_, "") => Err(Status::SerializationFailure),
        ("source", rest) => address(rest, SOURCE),
        ("destination", rest) => address(rest, DESTINATION),
        ("connection", "mtls") => Ok(vec![0]),
        ("upstream", rest) => upstream(stream, rest),
        ("xds", rest) => xds(stream, rest),
        ("request", rest) => request(state, stream, rest),
        ("response", rest) => response(stream, rest),
        _ => Err(Status::NotFound),
    }
}

fn address(part: &str, end: (&str, i64)) -> Attribute {
    match part {
        "address" => Ok(end.0.into()),
        "port" => Ok(number(end.1)),
        _ => Err(Status::NotFound),
    }
}

/// Whether the request has gone on, so that Envoy has selected an upstream.
fn has_upstream(stream: &Stream) -> bool {
    match &stream.kind {
        Kind::Http(http) => http.request.sent != Sent::Nothing,
        Kind::Tcp(tcp) => tcp.is_connected,
    }
}

fn upstream(stream: &Stream, part: &str) -> Attribute {
    match part {
        "request_attempt_count" => Ok(number(i64::from(has_upstream(stream)))),
        "transport_failure_reason" if matches!(stream.kind, Kind::Tcp(_)) => Ok(Vec::new()),
        _ if !has_upstream(stream) => Err(Status::NotFound),
        "transport_failure_reason" => Ok(Vec::new()),
        "local_address" => Ok(UPSTREAM_LOCAL.into()),
        _ => address(part, UPSTREAM),
    }
}

/// Names are those of Envoy's configuration, which the test can set as properties.
fn xds(stream: &Stream, part: &str) -> Attribute {
    let is_http = matches!(stream.kind, Kind::Http(_));
    match part {
        "filter_chain_name" | "listener_metadata" => Ok(Vec::new()),
        "listener_direction" => Ok(number(0)),
        "cluster_name" | "cluster_metadata" if is_http || has_upstream(stream) => Ok(Vec::new()),
        "route_name" | "route_metadata" | "virtual_host_name" | "virtual_host_metadata"
            if is_http =>
        {
            Ok(Vec::new())
        }
        "upstream_host_metadata" if has_upstream(stream) => Err(Status::SerializationFailure),
        _ => Err(Status::NotFound),
    }
}

fn request(state: &State, stream: &Stream, part: &str) -> Attribute {
    let http = match (&stream.kind, part) {
        (_, "time") => return Ok(state.now().to_le_bytes().to_vec()),
        (Kind::Http(_), "duration") if stream.phase != Phase::Running => return Ok(number(0)),
        (Kind::Http(http), _) => http,
        (Kind::Tcp(tcp), "size" | "total_size") => return Ok(number(tcp.downstream.received)),
        (Kind::Tcp(_), "headers") => return Ok(no_headers()),
        _ => return Err(Status::NotFound),
    };
    let side = &http.request;
    let headers = side.readable_headers(stream.phase == Phase::Logging);
    match part {
        "protocol" => return Ok("HTTP/1.1".into()),
        "size" => return Ok(number(body_size(headers, side.received))),
        "total_size" => return Ok(number(side.received + byte_size(headers))),
        "headers" => return pairs(headers),
        _ => {}
    }
    let headers = headers.ok_or(Status::NotFound)?;
    let text = |name: &str| headers.get(name).map(<[u8]>::to_vec);
    let value = match part {
        "path" => text(":path"),
        "url_path" => text(":path").map(|path| split_query(&path).0.to_vec()),
        "query" => text(":path").map(|path| split_query(&path).1.to_vec()),
        "host" => text(":authority"),
        "scheme" => text(":scheme"),
        "method" => text(":method"),
        "referer" => text("referer"),
        "useragent" => text("user-agent"),
        "id" => text("x-request-id"),
        _ => part.strip_prefix("headers\0").and_then(|name| joined(headers, name)),
    };
    value.ok_or(Status::NotFound)
}

fn response(stream: &Stream, part: &str) -> Attribute {
    let http = match (&stream.kind, part) {
        (_, "flags") => return Ok(number(0)),
        (Kind::Http(http), _) => http,
        (Kind::Tcp(tcp), "size" | "total_size") => return Ok(number(length(&tcp.upstream.passed))),
        (Kind::Tcp(_), "headers" | "trailers") => return Ok(no_headers()),
        _ => return Err(Status::NotFound),
    };
    let side = &http.response;
    let is_logging = stream.phase == Phase::Logging;
    let headers = side.readable_headers(is_logging);
    let trailers = side.trailers.as_ref().filter(|_| side.trailers_open || is_logging);
    match part {
        "code" => code(http).map(number).ok_or(Status::NotFound),
        // The upstream answers at once.
        "backend_latency" if side.delivered == Delivered::All && http.local_reply.is_none() => {
            Ok(number(0))
        }
        "code_details" => code_details(http).ok_or(Status::NotFound),
        "grpc_status" => grpc_status(http).map(number).ok_or(Status::NotFound),
        "size" => Ok(number(length(&side.passed))),
        "total_size" => Ok(number(length(&side.passed) + byte_size(headers) + byte_size(trailers))),
        "headers" => pairs(headers),
        "trailers" => pairs(trailers),
        _ => {
            let of = |map: Option<&HeaderMap>, name| map.and_then(|map| joined(map, name));
            let header = part.strip_prefix("headers\0").and_then(|name| of(headers, name));
            let trailer = || part.strip_prefix("trailers\0").and_then(|name| of(trailers, name));
            header.or_else(trailer).ok_or(Status::NotFound)
        }
    }
}

/// The status as it arrived, and once the headers have gone on, that which the client gets.
fn code(http: &Http) -> Option<i64> {
    let side = &http.response;
    match side.sent {
        Sent::Nothing => http.response_code.map(i64::from),
        _ => side.headers.as_ref()?.get_str(":status")?.parse().ok(),
    }
}

fn code_details(http: &Http) -> Option<Vec<u8>> {
    http.response.headers.as_ref()?;
    let details = http.local_reply.as_ref().map(|reply| reply.details.clone());
    Some(details.unwrap_or_else(|| "via_upstream".into()))
}

/// The status of a gRPC call, which Envoy derives for every response.
fn grpc_status(http: &Http) -> Option<i64> {
    let side = &http.response;
    let headers = side.headers.as_ref()?;
    let said = |map: &HeaderMap| map.get_str("grpc-status")?.parse().ok();
    let said = side.trailers.as_ref().and_then(said).or_else(|| said(headers));
    said.or_else(|| http.response_code.map(|code| i64::from(record::grpc_status(code))))
}

/// A map of headers. Envoy encodes one that is not there as one without headers.
fn pairs(headers: Option<&HeaderMap>) -> Attribute {
    let Some(headers) = headers else { return Ok(no_headers()) };
    headers.to_pairs().ok_or(Status::SerializationFailure)
}

fn no_headers() -> Vec<u8> {
    vec![0; 4]
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
fn body_size(headers: Option<&HeaderMap>, received: i64) -> i64 {
    let said = headers.and_then(|headers| headers.get_str("content-length"));
    said.and_then(|said| said.parse().ok()).unwrap_or(received)
}

fn byte_size(headers: Option<&HeaderMap>) -> i64 {
    i64::try_from(headers.map_or(0, HeaderMap::byte_size)).unwrap_or(i64::MAX)
}

fn length(bytes: &[u8]) -> i64 {
    i64::try_from(bytes.len()).unwrap_or(i64::MAX)
}

fn number(value: i64) -> Vec<u8> {
    value.to_le_bytes().to_vec()
}
