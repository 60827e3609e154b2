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
        /// The connection of a callout broke.
        BrokenConnection = 11, "broken_connection";
        /// The call does not exist for this target.
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
    /// Who closed a connection.
    PeerType {
        /// Not known, as for every upstream connection in Envoy.
        Unknown = 0, "unknown";
        /// The proxy.
        Local = 1, "local";
        /// The other end.
        Remote = 2, "remote";
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

/// A version of the ABI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum AbiVersion {
    /// 0.1.0.
    V0_1_0,
    /// 0.2.0.
    V0_2_0,
    /// 0.2.1.
    V0_2_1,
}

impl AbiVersion {
    /// All versions, the newest first.
    pub(crate) const ALL: [Self; 3] = [Self::V0_2_1, Self::V0_2_0, Self::V0_1_0];

    /// The export by which a module says its version.
    pub(crate) fn export(self) -> &'static str {
        match self {
            Self::V0_1_0 => "proxy_abi_version_0_1_0",
            Self::V0_2_0 => "proxy_abi_version_0_2_0",
            Self::V0_2_1 => "proxy_abi_version_0_2_1",
        }
    }
}

impl std::fmt::Display for AbiVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::V0_1_0 => "0.1.0",
            Self::V0_2_0 => "0.2.0",
            Self::V0_2_1 => "0.2.1",
        })
    }
}

/// A function that the module exports and the host calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Callback {
    pub(crate) name: &'static str,
    /// The number of its `i32` parameters.
    pub(crate) parameters: usize,
    /// Whether it returns one `i32`.
    pub(crate) returns: bool,
}

/// Defines the callbacks, and the list of all.
macro_rules! callbacks {
    ($($constant:ident = $name:literal, $parameters:literal, $returns:literal;)*) => {
        $(
            pub(crate) const $constant: Callback =
                Callback { name: $name, parameters: $parameters, returns: $returns };
        )*

        /// All exports that the host calls. Their signatures are checked when the module is loaded.
        pub(crate) const CALLBACKS: &[Callback] = &[$($constant),*];
    };
}

callbacks! {
    INITIALIZE = "_initialize", 0, false;
    START = "_start", 0, false;
    MAIN = "main", 2, true;
    MAIN_VOID = "__main_void", 0, true;
    ON_CONTEXT_CREATE = "proxy_on_context_create", 2, false;
    ON_VM_START = "proxy_on_vm_start", 2, true;
    ON_CONFIGURE = "proxy_on_configure", 2, true;
    ON_TICK = "proxy_on_tick", 1, false;
    ON_QUEUE_READY = "proxy_on_queue_ready", 2, false;
    ON_FOREIGN_FUNCTION = "proxy_on_foreign_function", 3, false;
    ON_HTTP_CALL_RESPONSE = "proxy_on_http_call_response", 5, false;
    ON_GRPC_INITIAL_METADATA = "proxy_on_grpc_receive_initial_metadata", 3, false;
    ON_GRPC_RECEIVE = "proxy_on_grpc_receive", 3, false;
    ON_GRPC_TRAILING_METADATA = "proxy_on_grpc_receive_trailing_metadata", 3, false;
    ON_GRPC_CLOSE = "proxy_on_grpc_close", 3, false;
    ON_REQUEST_HEADERS = "proxy_on_request_headers", 3, true;
    ON_REQUEST_BODY = "proxy_on_request_body", 3, true;
    ON_REQUEST_TRAILERS = "proxy_on_request_trailers", 2, true;
    ON_RESPONSE_HEADERS = "proxy_on_response_headers", 3, true;
    ON_RESPONSE_BODY = "proxy_on_response_body", 3, true;
    ON_RESPONSE_TRAILERS = "proxy_on_response_trailers", 2, true;
    ON_NEW_CONNECTION = "proxy_on_new_connection", 1, true;
    ON_DOWNSTREAM_DATA = "proxy_on_downstream_data", 3, true;
    ON_UPSTREAM_DATA = "proxy_on_upstream_data", 3, true;
    ON_DOWNSTREAM_CLOSE = "proxy_on_downstream_connection_close", 2, false;
    ON_UPSTREAM_CLOSE = "proxy_on_upstream_connection_close", 2, false;
    ON_DONE = "proxy_on_done", 1, true;
    ON_LOG = "proxy_on_log", 1, false;
    ON_DELETE = "proxy_on_delete", 1, false;
}

impl Callback {
    /// The callback as a module of this version has it.
    pub(crate) fn of(self, version: AbiVersion) -> Self {
        // Callbacks for headers did not say yet whether the stream ends with them.
        if version == AbiVersion::V0_1_0
            && [ON_REQUEST_HEADERS, ON_RESPONSE_HEADERS].contains(&self)
        {
            return Self { parameters: 2, ..self };
        }
        self
    }
}

/// The allocators that a module may export, in the order in which Envoy looks for them.
pub(crate) const ALLOCATORS: [Callback; 2] = [
    Callback { name: "malloc", parameters: 1, returns: true },
    Callback { name: "proxy_on_memory_allocate", parameters: 1, returns: true },
];
