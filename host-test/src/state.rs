//! The contexts of one VM: the data of its host calls.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, SystemTime};

use wasmtime::{StoreLimits, StoreLimitsBuilder};

use crate::abi::{BufferType, MapType, MetricType, Status, StreamType};
use crate::headers::HeaderMap;
use crate::options::Options;
use crate::record::{Activity, ExchangeRecord, LocalReply, Message, Metric};

/// The state of one VM outside its memory.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) options: Options,
    pub(crate) limits: StoreLimits,
    pub(crate) roots: BTreeMap<u32, Root>,
    pub(crate) streams: BTreeMap<u32, Stream>,
    /// The activity of the root contexts and of the VM's start.
    pub(crate) activity: Activity,
    /// The context whose callback is running.
    pub(crate) current: u32,
    /// The context for which the callback makes its host calls.
    pub(crate) effective: u32,
    /// The configuration that `proxy_on_configure` can read while it runs.
    pub(crate) plugin_configuration: Option<Vec<u8>>,
    pub(crate) host_calls_left: u64,
    pub(crate) metrics: Vec<Metric>,
    pub(crate) shared_data: BTreeMap<Vec<u8>, SharedValue>,
    pub(crate) last_cas: u32,
    pub(crate) queues: Vec<Queue>,
    /// The time by which the caller has advanced the clock.
    pub(crate) clock_ahead: Duration,
    random: u64,
}

/// A root context: one configuration of the plugin.
#[derive(Debug, Default)]
pub(crate) struct Root {
    pub(crate) tick_period: Option<Duration>,
    /// It has been replaced, and is deleted together with its last stream.
    pub(crate) replaced: bool,
    /// The result of `proxy_on_done`: whether it may be deleted at once.
    pub(crate) done: Option<bool>,
}

/// An HTTP stream.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    pub(crate) root: u32,
    pub(crate) request: Side,
    pub(crate) response: Side,
    pub(crate) local_reply: Option<LocalReply>,
    /// The module closed the stream.
    pub(crate) closed: bool,
    /// The exchange is over and its maps may be missing, as in Envoy's access log.
    pub(crate) logging: bool,
    pub(crate) host_properties: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) properties: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) activity: Activity,
}

impl Stream {
    /// Envoy's attributes `request.headers` and `response.headers`: all values of a header, joined
    /// with `,`.
    fn header_attribute(&self, path: &[u8]) -> Option<Vec<u8>> {
        let (side, name) = match path.strip_prefix(b"request\0headers\0") {
            Some(name) => (&self.request, name),
            None => (&self.response, path.strip_prefix(b"response\0headers\0")?),
        };
        let values: Vec<_> = side.headers.as_ref()?.get_all(name).collect();
        (!values.is_empty()).then(|| values.join(&b','))
    }
}

/// One direction of a stream.
#[derive(Debug, Default)]
pub(crate) struct Side {
    pub(crate) headers: Option<HeaderMap>,
    pub(crate) trailers: Option<HeaderMap>,
    /// The body that the module can read now: the last piece, and those buffered before it.
    pub(crate) buffer: Option<Vec<u8>>,
    /// The body that the module has let pass.
    pub(crate) passed: Vec<u8>,
    pub(crate) paused: bool,
    /// `proxy_continue_stream` was called. It takes effect after the callback, as in Envoy.
    pub(crate) resumed: bool,
    /// A local reply has replaced the rest.
    pub(crate) ended: bool,
}

#[derive(Debug)]
pub(crate) struct SharedValue {
    pub(crate) value: Vec<u8>,
    pub(crate) cas: u32,
}

#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) name: Vec<u8>,
    pub(crate) items: VecDeque<Vec<u8>>,
}

impl State {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            limits: StoreLimitsBuilder::new().memory_size(options.memory_limit).build(),
            roots: BTreeMap::new(),
            streams: BTreeMap::new(),
            activity: Activity::default(),
            current: 0,
            effective: 0,
            plugin_configuration: None,
            host_calls_left: 0,
            metrics: Vec::new(),
            shared_data: BTreeMap::new(),
            last_cas: 0,
            queues: Vec::new(),
            random: options.random_seed,
            options,
            clock_ahead: Duration::ZERO,
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

    /// The root context of the host calls, directly or through their stream.
    pub(crate) fn root(&mut self) -> Option<&mut Root> {
        let id = self.streams.get(&self.effective).map_or(self.effective, |stream| stream.root);
        self.roots.get_mut(&id)
    }

    pub(crate) fn has_context(&self, id: u32) -> bool {
        self.roots.contains_key(&id) || self.streams.contains_key(&id)
    }

    /// A map of the stream, or the status that a host call returns if it is missing.
    pub(crate) fn map(&mut self, map: MapType) -> Result<&mut HeaderMap, Status> {
        let stream = self.stream().ok_or(Status::BadArgument)?;
        // As in Envoy, a map may be missing in the access log; before, this is a bad argument.
        let missing = if stream.logging { Status::NotFound } else { Status::BadArgument };
        match map {
            MapType::RequestHeaders => stream.request.headers.as_mut(),
            MapType::RequestTrailers => stream.request.trailers.as_mut(),
            MapType::ResponseHeaders => stream.response.headers.as_mut(),
            MapType::ResponseTrailers => stream.response.trailers.as_mut(),
            _ => None,
        }
        .ok_or(missing)
    }

    /// A buffer that the callback may read.
    pub(crate) fn buffer(&mut self, buffer: BufferType) -> Option<&[u8]> {
        match buffer {
            BufferType::VmConfiguration => Some(&self.options.vm_configuration),
            BufferType::PluginConfiguration => self.plugin_configuration.as_deref(),
            _ => self.body(buffer).map(|body| body.as_slice()),
        }
    }

    /// A body that the callback may also change.
    pub(crate) fn body(&mut self, buffer: BufferType) -> Option<&mut Vec<u8>> {
        let stream = self.stream()?;
        match buffer {
            BufferType::HttpRequestBody => stream.request.buffer.as_mut(),
            BufferType::HttpResponseBody => stream.response.buffer.as_mut(),
            _ => None,
        }
    }

    /// A property: one that the module has set, then those that the host has set for the stream,
    /// then the stream's headers, then the properties of the plugin.
    pub(crate) fn property(&self, path: &[u8]) -> Option<Vec<u8>> {
        let stream = self.streams.get(&self.effective);
        let given = stream
            .and_then(|stream| stream.properties.get(path).or(stream.host_properties.get(path)))
            .cloned();
        given
            .or_else(|| stream?.header_attribute(path))
            .or_else(|| self.options.properties.get(path).cloned())
    }

    /// The metric with this id. Ids start at 1, because 0 means no metric.
    pub(crate) fn metric(&mut self, id: u32) -> Option<&mut Metric> {
        self.metrics.get_mut((id as usize).checked_sub(1)?)
    }

    /// The id of a metric, made on first use.
    pub(crate) fn define_metric(&mut self, metric_type: MetricType, name: Vec<u8>) -> usize {
        let known = |metric: &Metric| metric.metric_type == metric_type && metric.name == name;
        if let Some(index) = self.metrics.iter().position(known) {
            return index + 1;
        }
        self.metrics.push(Metric { metric_type, name, value: 0, samples: Vec::new() });
        self.metrics.len()
    }

    /// The queue with this token. Tokens start at 1.
    pub(crate) fn queue(&mut self, token: u32) -> Option<&mut Queue> {
        self.queues.get_mut((token as usize).checked_sub(1)?)
    }

    /// Nanoseconds since 1970.
    pub(crate) fn now(&self) -> u64 {
        let time = self.options.fixed_time.unwrap_or_else(|| {
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
        });
        let time = time.saturating_add(self.clock_ahead);
        u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
    }

    /// The next byte of the sequence that the seed starts (splitmix64).
    pub(crate) fn random_byte(&mut self) -> u8 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed.to_le_bytes()[7]
    }

    /// Applies the calls that Envoy defers until the callback has returned.
    pub(crate) fn after_callback(&mut self) {
        for stream in self.streams.values_mut() {
            stream.request.apply_resume();
            stream.response.apply_resume();
        }
    }
}

impl Stream {
    /// The side of the stream with this name, if it is one of an HTTP stream.
    pub(crate) fn side(&mut self, side: StreamType) -> Option<&mut Side> {
        match side {
            StreamType::HttpRequest => Some(&mut self.request),
            StreamType::HttpResponse => Some(&mut self.response),
            StreamType::Downstream | StreamType::Upstream => None,
        }
    }

    /// Ends the exchange with a reply of the module. As in Envoy, only the first one counts.
    pub(crate) fn reply(&mut self, reply: LocalReply) {
        if self.local_reply.is_none() {
            self.local_reply = Some(reply);
            self.request.ended = true;
            // A reply to the request runs through the response callbacks, as in Envoy. A reply
            // that replaces the upstream's response does not.
            self.response.ended = self.response.headers.is_some();
        }
    }

    pub(crate) fn record(&self) -> ExchangeRecord {
        ExchangeRecord {
            request: self.request.message(),
            response: self.response.message(),
            local_reply: self.local_reply.clone(),
            properties: self.properties.clone(),
            activity: self.activity.clone(),
        }
    }
}

impl Side {
    /// Forwards the body that the module has read.
    pub(crate) fn pass(&mut self) {
        self.passed.append(&mut self.buffer.take().unwrap_or_default());
    }

    fn apply_resume(&mut self) {
        if std::mem::take(&mut self.resumed) {
            self.paused = false;
            self.pass();
        }
    }

    fn message(&self) -> Message {
        Message {
            headers: self.headers.clone().unwrap_or_default(),
            body: self.passed.clone(),
            trailers: self.trailers.clone(),
        }
    }
}
