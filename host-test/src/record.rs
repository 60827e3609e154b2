//! The record of what a module did.

use std::collections::BTreeMap;
use std::fmt;

use crate::abi::{LogLevel, MapType, MetricType};
use crate::headers::HeaderMap;

/// One HTTP message: a request or a response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// Headers, including pseudo-headers.
    pub headers: HeaderMap,
    /// Body; empty if there is none.
    pub body: Vec<u8>,
    /// Trailers, if there are any.
    pub trailers: Option<HeaderMap>,
}

impl Message {
    /// A message without body and trailers.
    pub fn new(headers: impl Into<HeaderMap>) -> Self {
        Self { headers: headers.into(), ..Self::default() }
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets the trailers.
    #[must_use]
    pub fn trailers(mut self, trailers: impl Into<HeaderMap>) -> Self {
        self.trailers = Some(trailers.into());
        self
    }
}

/// How much of a message has gone on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Sent {
    /// Nothing: the module holds the headers, or a local reply has replaced the message.
    #[default]
    Nothing,
    /// The headers, and perhaps a part of the body.
    Part,
    /// The whole message.
    All,
}

/// A response that the module sent itself, with `proxy_send_local_response`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LocalReply {
    /// HTTP status.
    pub status: u32,
    /// The reason, for the access log (`%RESPONSE_CODE_DETAILS%`).
    pub details: Vec<u8>,
    /// Headers in addition to those of the proxy.
    pub headers: HeaderMap,
    /// Body.
    pub body: Vec<u8>,
    /// gRPC status, if the module has set one.
    pub grpc_status: Option<u32>,
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogLine {
    /// The level.
    pub level: LogLevel,
    /// The text, as the module wrote it.
    pub message: Vec<u8>,
}

impl LocalReply {
    /// The response that Envoy makes of it, without what its connection manager adds (`date`,
    /// `server`): its headers and its body.
    pub(crate) fn message(&self, request: Option<&HeaderMap>) -> (HeaderMap, Vec<u8>) {
        let get = |name: &str| request.and_then(|headers| headers.get(name));
        let is_grpc = get("content-type").is_some_and(|value| {
            let rest = value.strip_prefix(b"application/grpc");
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"+"))
        });
        let mut headers = HeaderMap::from([(":status", self.status.to_string())]);
        // The status is that of the call.
        for (name, value) in self.headers.iter().filter(|(name, _)| *name != b":status") {
            headers.add_like_envoy(MapType::ResponseHeaders, name.as_ref(), value);
        }
        if is_grpc {
            return (self.grpc_headers(headers), Vec::new());
        }
        if self.body.is_empty() {
            headers.remove("content-length");
            headers.remove("content-type");
        } else {
            headers.replace("content-length", self.body.len().to_string());
            if !headers.contains("content-type") {
                headers.add("content-type", "text/plain");
            }
        }
        let is_head = get(":method") == Some(b"HEAD");
        (headers, if is_head { Vec::new() } else { self.body.clone() })
    }

    /// A gRPC client gets the status and the body of the reply as status and message of the call.
    fn grpc_headers(&self, mut headers: HeaderMap) -> HeaderMap {
        let status = self.grpc_status.unwrap_or_else(|| grpc_status(self.status));
        headers.replace(":status", "200");
        headers.replace("content-type", "application/grpc");
        headers.replace("grpc-status", status.to_string());
        if !self.body.is_empty() {
            let is_plain = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'%';
            let message: String = self.body.iter().fold(String::new(), |mut text, byte| {
                if is_plain(*byte) {
                    text.push(char::from(*byte));
                } else {
                    use fmt::Write as _;
                    // Writing to a string cannot fail.
                    let _ = write!(text, "%{byte:02X}");
                }
                text
            });
            headers.replace("grpc-message", message);
        }
        headers
    }
}

/// The status of gRPC that an HTTP status stands for.
pub(crate) fn grpc_status(http_status: u32) -> u32 {
    match http_status {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502 | 503 | 504 => 14,
        _ => 2,
    }
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.level, String::from_utf8_lossy(&self.message))
    }
}

/// A call from the module to the host: a `proxy_*` function or one of WASI.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostCall {
    /// The function.
    pub name: &'static str,
    /// The map, buffer or stream of the call; empty if the function has none.
    pub target: &'static str,
    /// The header, property path (parts separated by NUL), metric or other key of the call.
    pub key: Vec<u8>,
    /// The result: a [`Status`](crate::Status), or for WASI an `errno`.
    pub result: u32,
}

impl fmt::Display for HostCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.target.is_empty() || self.key.is_empty() { "" } else { ", " };
        let key = self.key.escape_ascii();
        write!(f, "{}({}{separator}{key}) = {}", self.name, self.target, self.result)
    }
}

/// One run of a callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallbackRun {
    /// The callback.
    pub name: &'static str,
    /// The fuel used: about one per WebAssembly instruction, the same on every machine.
    pub fuel: u64,
}

/// The activity of a context: its log, host calls and fuel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Activity {
    /// Log lines at or above [`Options::log_level`](crate::Options::log_level), in order, including
    /// what the module wrote to standard output (info) and standard error (error).
    pub log: Vec<LogLine>,
    /// Calls to the host, in order.
    pub host_calls: Vec<HostCall>,
    /// The callbacks that ran, in order.
    pub callbacks: Vec<CallbackRun>,
}

impl Activity {
    /// The number of calls of this function.
    pub fn count(&self, name: &str) -> usize {
        self.host_calls.iter().filter(|call| call.name == name).count()
    }

    /// The fuel that all callbacks used.
    pub fn fuel_used(&self) -> u64 {
        self.callbacks.iter().map(|run| run.fuel).sum()
    }

    /// The fuel that all runs of one callback used.
    pub fn fuel_of(&self, callback: &str) -> u64 {
        self.callbacks.iter().filter(|run| run.name == callback).map(|run| run.fuel).sum()
    }

    /// Whether a log line contains this text.
    pub fn logged(&self, text: &str) -> bool {
        self.log.iter().any(|line| String::from_utf8_lossy(&line.message).contains(text))
    }
}

/// The result of an exchange, and the activity of its context.
///
/// ```
/// use proxy_wasm_test::{LogLevel, Message, Module, Plugin};
///
/// // Logs "seen" at level warn for every request.
/// let module = Module::new(wat::parse_str(
///     r#"(module
///         (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
///         (memory (export "memory") 1)
///         (data (i32.const 16) "seen")
///         (func (export "proxy_abi_version_0_2_1"))
///         (func (export "malloc") (param i32) (result i32) i32.const 1024)
///         (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
///             (drop (call $log (i32.const 3) (i32.const 16) (i32.const 4)))
///             i32.const 0))"#,
/// )?)?;
/// let request = Message::new([(":method", "POST"), (":path", "/")]).body("a body");
/// let record = Plugin::new(&module)?.run(request, [(":status", "200")])?;
///
/// assert_eq!(record.request.body, b"a body");
/// assert_eq!(record.response.headers.get_str(":status"), Some("200"));
/// assert!(record.local_reply.is_none());
/// assert_eq!(record.activity.log[0].level, LogLevel::Warn);
/// assert!(record.activity.logged("seen"));
/// assert_eq!(record.activity.count("proxy_log"), 1);
/// assert!(record.activity.fuel_of("proxy_on_request_headers") > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExchangeRecord {
    /// The request that the upstream gets: headers and trailers as changed by the module, and the
    /// part of the body that the module has let pass.
    pub request: Message,
    /// How much of the request the upstream gets.
    pub request_sent: Sent,
    /// The response that the client gets, in the same way: that of the upstream, or the module's
    /// local reply.
    pub response: Message,
    /// How much of the response the client gets.
    pub response_sent: Sent,
    /// The first local reply that the module sent, if any.
    pub local_reply: Option<LocalReply>,
    /// Whether the stream is reset: the module closed it, or it sent a local reply when the client
    /// had the headers of another response.
    pub is_reset: bool,
    /// The properties that the module has set, by path (parts separated by NUL).
    pub properties: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Log, host calls and fuel.
    pub activity: Activity,
}

impl ExchangeRecord {
    /// A property that the module has set, by the parts of its path.
    pub fn property(&self, path: &[&str]) -> Option<&[u8]> {
        self.properties.get(&property_path(path)).map(Vec::as_slice)
    }
}

/// The result of a TCP connection, and the activity of its context.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionRecord {
    /// The bytes that the upstream gets.
    pub to_upstream: Vec<u8>,
    /// The bytes that the client gets.
    pub to_downstream: Vec<u8>,
    /// Whether the module closed the connection.
    pub is_closed: bool,
    /// The properties that the module has set, by path (parts separated by NUL).
    pub properties: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Log, host calls and fuel.
    pub activity: Activity,
}

/// A property path as encoded by the ABI.
pub(crate) fn property_path(parts: &[&str]) -> Vec<u8> {
    parts.join("\0").into_bytes()
}

/// A metric that the module has defined.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// The type.
    pub metric_type: MetricType,
    /// Its name.
    pub name: Vec<u8>,
    /// Value of a counter or gauge.
    pub value: u64,
    /// The samples of a histogram, in order.
    pub samples: Vec<u64>,
}
