//! Numbers of the Proxy-Wasm ABI 0.2.1, by name.
//!
//! The specification is <https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1>.

/// An enumeration of the ABI: a `u32` on the wire, a name in messages.
macro_rules! abi_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $value:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant = $value,)*
        }

        impl $name {
            /// The value with this number, if the ABI has one.
            pub fn from_number(number: u32) -> Option<Self> {
                match number {
                    $($value => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The name in lower case, with `_` between words.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl From<$name> for u32 {
            fn from(value: $name) -> u32 {
                value as u32
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

abi_enum! {
    /// The status that a host call returns.
    Status {
        /// Done.
        Ok = 0, "ok";
        /// There is no such header, property, key, queue, metric or buffer.
        NotFound = 1, "not_found";
        /// An argument is out of range, or not valid in this phase.
        BadArgument = 2, "bad_argument";
        /// A value could not be serialized.
        SerializationFailure = 3, "serialization_failure";
        /// A serialized value could not be read.
        ParseFailure = 4, "parse_failure";
        /// A pointer or length lies outside the module's memory.
        InvalidMemoryAccess = 6, "invalid_memory_access";
        /// The queue is empty.
        Empty = 7, "empty";
        /// Another context has changed the shared data.
        CasMismatch = 8, "cas_mismatch";
        /// The host failed.
        InternalFailure = 10, "internal_failure";
        /// This host does not implement the call.
        Unimplemented = 12, "unimplemented";
    }
}

abi_enum! {
    /// A map of headers, trailers or metadata.
    MapType {
        /// Headers of the request.
        RequestHeaders = 0, "request_headers";
        /// Trailers of the request.
        RequestTrailers = 1, "request_trailers";
        /// Headers of the response.
        ResponseHeaders = 2, "response_headers";
        /// Trailers of the response.
        ResponseTrailers = 3, "response_trailers";
        /// Initial metadata of a gRPC call.
        GrpcInitialMetadata = 4, "grpc_initial_metadata";
        /// Trailing metadata of a gRPC call.
        GrpcTrailingMetadata = 5, "grpc_trailing_metadata";
        /// Headers of the response to an HTTP call.
        HttpCallResponseHeaders = 6, "http_call_response_headers";
        /// Trailers of the response to an HTTP call.
        HttpCallResponseTrailers = 7, "http_call_response_trailers";
    }
}

abi_enum! {
    /// A buffer of bytes.
    BufferType {
        /// Body of the request.
        HttpRequestBody = 0, "http_request_body";
        /// Body of the response.
        HttpResponseBody = 1, "http_response_body";
        /// Bytes from the downstream connection.
        DownstreamData = 2, "downstream_data";
        /// Bytes from the upstream connection.
        UpstreamData = 3, "upstream_data";
        /// Body of the response to an HTTP call.
        HttpCallResponseBody = 4, "http_call_response_body";
        /// Message of a gRPC call.
        GrpcReceiveBuffer = 5, "grpc_receive_buffer";
        /// Configuration of the VM.
        VmConfiguration = 6, "vm_configuration";
        /// Configuration of the plugin.
        PluginConfiguration = 7, "plugin_configuration";
        /// Arguments of a foreign function.
        CallData = 8, "call_data";
    }
}

abi_enum! {
    /// A stream that a module can continue or close.
    StreamType {
        /// The request.
        HttpRequest = 0, "http_request";
        /// The response.
        HttpResponse = 1, "http_response";
        /// The downstream connection.
        Downstream = 2, "downstream";
        /// The upstream connection.
        Upstream = 3, "upstream";
    }
}

abi_enum! {
    /// The level of a log line.
    LogLevel {
        /// Every step.
        Trace = 0, "trace";
        /// For debugging the module.
        Debug = 1, "debug";
        /// Normal operation.
        Info = 2, "info";
        /// A possible problem.
        Warn = 3, "warn";
        /// Something failed.
        Error = 4, "error";
        /// The module cannot continue.
        Critical = 5, "critical";
    }
}

abi_enum! {
    /// The type of a metric.
    MetricType {
        /// Only grows.
        Counter = 0, "counter";
        /// Goes up and down.
        Gauge = 1, "gauge";
        /// Collects samples.
        Histogram = 2, "histogram";
    }
}

/// A function that the module exports and the host calls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Callback {
    pub(crate) name: &'static str,
    /// The number of its `i32` parameters.
    pub(crate) parameters: usize,
    /// Whether it returns one `i32`.
    pub(crate) returns: bool,
}

impl Callback {
    const fn new(name: &'static str, parameters: usize, returns: bool) -> Self {
        Self { name, parameters, returns }
    }
}

pub(crate) const INITIALIZE: Callback = Callback::new("_initialize", 0, false);
pub(crate) const START: Callback = Callback::new("_start", 0, false);
pub(crate) const MAIN: Callback = Callback::new("main", 2, true);
pub(crate) const ON_CONTEXT_CREATE: Callback = Callback::new("proxy_on_context_create", 2, false);
pub(crate) const ON_VM_START: Callback = Callback::new("proxy_on_vm_start", 2, true);
pub(crate) const ON_CONFIGURE: Callback = Callback::new("proxy_on_configure", 2, true);
pub(crate) const ON_TICK: Callback = Callback::new("proxy_on_tick", 1, false);
pub(crate) const ON_REQUEST_HEADERS: Callback = Callback::new("proxy_on_request_headers", 3, true);
pub(crate) const ON_REQUEST_BODY: Callback = Callback::new("proxy_on_request_body", 3, true);
pub(crate) const ON_REQUEST_TRAILERS: Callback =
    Callback::new("proxy_on_request_trailers", 2, true);
pub(crate) const ON_RESPONSE_HEADERS: Callback =
    Callback::new("proxy_on_response_headers", 3, true);
pub(crate) const ON_RESPONSE_BODY: Callback = Callback::new("proxy_on_response_body", 3, true);
pub(crate) const ON_RESPONSE_TRAILERS: Callback =
    Callback::new("proxy_on_response_trailers", 2, true);
pub(crate) const ON_DONE: Callback = Callback::new("proxy_on_done", 1, true);
pub(crate) const ON_LOG: Callback = Callback::new("proxy_on_log", 1, false);
pub(crate) const ON_DELETE: Callback = Callback::new("proxy_on_delete", 1, false);

/// All exports that the host calls. Their signatures are checked when the module is loaded.
pub(crate) const CALLBACKS: [Callback; 16] = [
    INITIALIZE,
    START,
    MAIN,
    ON_CONTEXT_CREATE,
    ON_VM_START,
    ON_CONFIGURE,
    ON_TICK,
    ON_REQUEST_HEADERS,
    ON_REQUEST_BODY,
    ON_REQUEST_TRAILERS,
    ON_RESPONSE_HEADERS,
    ON_RESPONSE_BODY,
    ON_RESPONSE_TRAILERS,
    ON_DONE,
    ON_LOG,
    ON_DELETE,
];

/// The allocators that a module may export, in the order in which Envoy looks for them.
pub(crate) const ALLOCATORS: [Callback; 2] =
    [Callback::new("malloc", 1, true), Callback::new("proxy_on_memory_allocate", 1, true)];

/// Exports that identify the ABI of a module.
pub(crate) const ABI_VERSIONS: [&str; 2] = ["proxy_abi_version_0_2_1", "proxy_abi_version_0_2_0"];
