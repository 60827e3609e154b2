//! The contexts of one VM: the data of its host calls.

use std::collections::BTreeMap;
use std::time::Duration;

use wasmtime::{StoreLimits, StoreLimitsBuilder};

use crate::abi::{AbiVersion, BufferType, MapType, Status, StreamType};
use crate::attributes;
use crate::callouts::Callouts;
use crate::headers::HeaderMap;
use crate::metrics::Metrics;
use crate::options::Options;
use crate::record::{Activity, LocalReply};
use crate::shared::Host;
use crate::stream::{Http, Phase, Stream};

/// The state of one VM outside its memory.
pub(crate) struct State {
    pub(crate) options: Options,
    pub(crate) version: AbiVersion,
    pub(crate) host: Host,
    /// The place of the VM in its host.
    pub(crate) place: usize,
    pub(crate) limits: StoreLimits,
    pub(crate) roots: BTreeMap<u32, Root>,
    pub(crate) streams: BTreeMap<u32, Stream>,
    /// The activity of the root contexts and of the VM's start.
    pub(crate) activity: Activity,
    /// The context whose callback is running.
    pub(crate) current: u32,
    /// The context for which the callback makes its host calls.
    pub(crate) effective: u32,
    /// Only some host functions are allowed, because the module is being initialized.
    pub(crate) is_initializing: bool,
    /// The configuration that a root context can read while it gets it.
    pub(crate) plugin_configuration: Option<Vec<u8>>,
    /// The arguments of a foreign function that the test calls in the module.
    pub(crate) call_data: Vec<u8>,
    pub(crate) host_calls_left: u64,
    pub(crate) metrics: Metrics,
    pub(crate) callouts: Callouts,
    /// What the running callback has asked for, to be done after it.
    pub(crate) deferred: Vec<Deferred>,
    random: u64,
}

/// A root context: one configuration of the plugin.
#[derive(Debug, Default)]
pub(crate) struct Root {
    pub(crate) tick_period: Option<Duration>,
    /// The time at which the timer expires next.
    pub(crate) next_tick: Option<Duration>,
    /// It has been replaced, and is deleted together with its last stream.
    pub(crate) replaced: bool,
    /// The result of `proxy_on_done`: whether it may be deleted at once.
    pub(crate) done: Option<bool>,
}

/// A host call that Envoy carries out after the callback.
#[derive(Debug)]
pub(crate) enum Deferred {
    Continue(u32, StreamType),
    Close(u32),
    Reply(u32, LocalReply),
}

impl State {
    pub(crate) fn new(options: Options, version: AbiVersion, host: Host, place: usize) -> Self {
        Self {
            limits: StoreLimitsBuilder::new().memory_size(options.memory_limit).build(),
            version,
            host,
            place,
            roots: BTreeMap::new(),
            streams: BTreeMap::new(),
            activity: Activity::default(),
            current: 0,
            effective: 0,
            is_initializing: false,
            plugin_configuration: None,
            call_data: Vec::new(),
            host_calls_left: 0,
            metrics: Metrics::default(),
            callouts: Callouts::default(),
            deferred: Vec::new(),
            random: options.random_seed,
            options,
        }
    }

    /// Prepares for a callback of this context.
    pub(crate) fn enter(&mut self, context: u32) {
        self.current = context;
        self.effective = context;
        self.host_calls_left = self.options.max_host_calls;
    }

    /// The record of the context whose callback is running.
    pub(crate) fn activity(&mut self) -> &mut Activity {
        match self.streams.get_mut(&self.current) {
            Some(stream) => &mut stream.activity,
            None => &mut self.activity,
        }
    }

    /// The stream of the host calls, unless they are for a root context.
    pub(crate) fn stream(&mut self) -> Option<&mut Stream> {
        self.streams.get_mut(&self.effective)
    }

    /// The HTTP exchange of the host calls, if they are for one.
    pub(crate) fn http(&mut self) -> Option<&mut Http> {
        self.stream()?.http()
    }

    /// The root context of the host calls, directly or through their stream.
    pub(crate) fn root_id(&self) -> u32 {
        self.streams.get(&self.effective).map_or(self.effective, |stream| stream.root)
    }

    pub(crate) fn has_context(&self, id: u32) -> bool {
        self.roots.contains_key(&id) || self.streams.contains_key(&id)
    }

    /// A map that a host call may change.
    pub(crate) fn map_mut(&mut self, map: MapType) -> Option<&mut HeaderMap> {
        let http = self.http()?;
        let (side, is_trailers) = match map {
            MapType::RequestHeaders => (&mut http.request, false),
            MapType::RequestTrailers => (&mut http.request, true),
            MapType::ResponseHeaders => (&mut http.response, false),
            MapType::ResponseTrailers => (&mut http.response, true),
            _ => return None,
        };
        if is_trailers {
            return side.trailers_mut();
        }
        side.headers.as_mut().filter(|_| side.headers_open)
    }

    /// A map that a host call may read.
    pub(crate) fn map(&mut self, map: MapType) -> Option<&HeaderMap> {
        match map {
            MapType::GrpcInitialMetadata => return self.callouts.initial_metadata.as_ref(),
            MapType::GrpcTrailingMetadata => return self.callouts.trailing_metadata.as_ref(),
            MapType::HttpCallResponseHeaders => {
                return self.callouts.response.as_ref().map(|response| &response.headers);
            }
            MapType::HttpCallResponseTrailers => {
                return self.callouts.response.as_ref()?.trailers.as_ref();
            }
            _ => {}
        }
        let stream = self.stream()?;
        let is_logging = stream.phase == Phase::Logging;
        let http = stream.http()?;
        match map {
            MapType::RequestHeaders => http.request.readable_headers(is_logging),
            MapType::ResponseHeaders => http.response.readable_headers(is_logging),
            MapType::RequestTrailers => {
                http.request.trailers.as_ref().filter(|_| http.request.trailers_open && !is_logging)
            }
            MapType::ResponseTrailers => http
                .response
                .trailers
                .as_ref()
                .filter(|_| http.response.trailers_open || is_logging),
            _ => None,
        }
    }

    /// A buffer that a host call may read. `None` if there is none of this type; a body outside of
    /// its callbacks has no bytes.
    pub(crate) fn buffer(&mut self, buffer: BufferType) -> Option<&[u8]> {
        match buffer {
            BufferType::VmConfiguration => Some(&self.options.vm_configuration),
            BufferType::PluginConfiguration => self.plugin_configuration.as_deref(),
            BufferType::CallData => Some(&self.call_data),
            BufferType::HttpCallResponseBody => {
                self.callouts.response.as_ref().map(|response| response.body.as_slice())
            }
            _ => Some(self.body(buffer).map_or(&[], |body| body.as_slice())),
        }
    }

    /// A body, or the message of a gRPC callback, that a host call may change.
    pub(crate) fn body(&mut self, buffer: BufferType) -> Option<&mut Vec<u8>> {
        if let BufferType::GrpcReceiveBuffer = buffer {
            return self.callouts.message.as_mut();
        }
        let stream = self.stream()?;
        match buffer {
            BufferType::HttpRequestBody => stream.http()?.request.body_mut(),
            BufferType::HttpResponseBody => stream.http()?.response.body_mut(),
            BufferType::DownstreamData => stream.tcp()?.downstream.held.as_mut(),
            BufferType::UpstreamData => stream.tcp()?.upstream.held.as_mut(),
            _ => None,
        }
    }

    /// A property: one that the test has set for the stream or for the plugin, then Envoy's
    /// attributes, then one that the module has set.
    pub(crate) fn property(&self, path: &[u8]) -> Result<Vec<u8>, Status> {
        let stream = self.streams.get(&self.effective);
        let given = stream
            .and_then(|stream| stream.host_properties.get(path))
            .or_else(|| self.options.properties.get(path));
        if let Some(value) = given {
            return Ok(value.clone());
        }
        attributes::attribute(self, stream, path).unwrap_or_else(|| {
            let own = stream.and_then(|stream| stream.properties.get(path));
            own.cloned().ok_or(Status::NotFound)
        })
    }

    /// The time by which the clock is ahead, which orders timers.
    pub(crate) fn ahead(&self) -> Duration {
        self.host.lock().ahead()
    }

    /// Nanoseconds since 1970.
    pub(crate) fn now(&self) -> u64 {
        let now = self.host.lock().now(self.options.fixed_time);
        u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
    }

    /// Nanoseconds of a clock that only goes forward. It is never 0, because Go's runtime takes that
    /// for a broken clock.
    pub(crate) fn monotonic(&self) -> u64 {
        self.now().saturating_add(1_000_000_000)
    }

    /// The next byte of the sequence that the seed starts (splitmix64).
    pub(crate) fn random_byte(&mut self) -> u8 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed.to_le_bytes()[7]
    }
}

impl crate::stream::Side {
    /// The headers that a host call may read: those of the access log are there in any case.
    pub(crate) fn readable_headers(&self, is_logging: bool) -> Option<&HeaderMap> {
        self.headers.as_ref().filter(|_| self.headers_open || is_logging)
    }
}
