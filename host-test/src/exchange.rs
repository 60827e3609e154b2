//! An HTTP exchange, callback by callback.

use crate::abi::{MapType, StreamType};
use crate::error::{Error, ErrorKind};
use crate::headers::HeaderMap;
use crate::plugin::Plugin;
use crate::record::{ExchangeRecord, Message};
use crate::stream::{Delivered, Direction, Flow, Http, Kind, REQUEST, RESPONSE, Side, Stream};

/// The result of a callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The delivered part is forwarded.
    Continue,
    /// The delivered part is held until the module continues the stream; see
    /// [`Exchange::is_paused`].
    Pause,
    /// The module sent a local reply, which has run through the callbacks for the response: see
    /// [`ExchangeRecord::local_reply`] and [`ExchangeRecord::response`]. Nothing more is delivered.
    LocalReply,
    /// The module closed the stream. Nothing more is delivered.
    Closed,
}

/// An HTTP stream in a plugin.
///
/// The caller acts as the proxy: it delivers the parts of the request and response in order, and
/// gets the outcome of each. Another order is an error. Once a local reply has ended the exchange,
/// or the stream is closed, deliveries do nothing and return the same outcome again.
///
/// As in Envoy, parts that arrive while the module holds the headers wait: their callbacks run once
/// the module continues the stream.
///
/// ```
/// use proxy_wasm_test::{Module, Outcome, Plugin, StreamType};
///
/// // Pauses each request at its headers.
/// let module = Module::new(wat::parse_str(
///     r#"(module
///         (memory (export "memory") 1)
///         (func (export "proxy_abi_version_0_2_1"))
///         (func (export "malloc") (param i32) (result i32) i32.const 1024)
///         (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
///             i32.const 1))"#,
/// )?)?;
/// let plugin = Plugin::new(&module)?;
/// let mut exchange = plugin.exchange()?;
/// assert_eq!(exchange.request_headers([(":path", "/")], true)?, Outcome::Pause);
/// assert!(exchange.is_paused(StreamType::HttpRequest));
/// assert_eq!(exchange.finish()?.request.headers.get_str(":path"), Some("/"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Exchange<'p> {
    plugin: &'p Plugin,
    id: u32,
}

impl<'p> Exchange<'p> {
    pub(crate) fn new(plugin: &'p Plugin, id: u32) -> Self {
        Self { plugin, id }
    }

    /// The id of the stream's context.
    pub fn context_id(&self) -> u32 {
        self.id
    }

    /// Sets a property of the stream, by the parts of its path, such as `["source", "address"]`. It
    /// replaces an attribute of this name.
    pub fn set_property(&mut self, path: &[&str], value: impl Into<Vec<u8>>) {
        self.plugin.set_property(self.id, path, value.into());
    }

    /// Delivers the headers of the request.
    ///
    /// # Errors
    ///
    /// If the module fails, as in all methods that deliver something.
    pub fn request_headers(
        &mut self,
        headers: impl Into<HeaderMap>,
        end_of_stream: bool,
    ) -> Result<Outcome, Error> {
        self.headers(REQUEST, headers.into(), end_of_stream)
    }

    /// Delivers a piece of the request's body. If the module paused at the previous piece, it gets
    /// both together.
    ///
    /// # Errors
    ///
    /// If the module fails.
    pub fn request_body(
        &mut self,
        piece: impl AsRef<[u8]>,
        end_of_stream: bool,
    ) -> Result<Outcome, Error> {
        self.body(REQUEST, piece.as_ref(), end_of_stream)
    }

    /// Delivers the trailers of the request.
    ///
    /// # Errors
    ///
    /// If the module fails.
    pub fn request_trailers(&mut self, trailers: impl Into<HeaderMap>) -> Result<Outcome, Error> {
        self.trailers(REQUEST, trailers.into())
    }

    /// Delivers the headers of the response.
    ///
    /// # Errors
    ///
    /// If the module fails.
    pub fn response_headers(
        &mut self,
        headers: impl Into<HeaderMap>,
        end_of_stream: bool,
    ) -> Result<Outcome, Error> {
        self.headers(RESPONSE, headers.into(), end_of_stream)
    }

    /// Delivers a piece of the response's body, like [`request_body`](Self::request_body).
    ///
    /// # Errors
    ///
    /// If the module fails.
    pub fn response_body(
        &mut self,
        piece: impl AsRef<[u8]>,
        end_of_stream: bool,
    ) -> Result<Outcome, Error> {
        self.body(RESPONSE, piece.as_ref(), end_of_stream)
    }

    /// Delivers the trailers of the response.
    ///
    /// # Errors
    ///
    /// If the module fails.
    pub fn response_trailers(&mut self, trailers: impl Into<HeaderMap>) -> Result<Outcome, Error> {
        self.trailers(RESPONSE, trailers.into())
    }

    /// Delivers a whole request, until the module stops it. As in Envoy with HTTP/1.1, a body without
    /// trailers ends with an empty piece.
    ///
    /// # Errors
    ///
    /// If the module fails.
    pub fn request(&mut self, request: impl Into<Message>) -> Result<Outcome, Error> {
        self.message(REQUEST, request.into())
    }

    /// Delivers a whole response, like [`request`](Self::request).
    ///
    /// # Errors
    ///
    /// If the module fails.
    pub fn response(&mut self, response: impl Into<Message>) -> Result<Outcome, Error> {
        self.message(RESPONSE, response.into())
    }

    /// Whether the module has paused this direction.
    pub fn is_paused(&self, direction: StreamType) -> bool {
        let is_paused = |http: &mut Http| match direction {
            StreamType::HttpRequest => http.request.flow != Flow::Open,
            StreamType::HttpResponse => http.response.flow != Flow::Open,
            StreamType::Downstream | StreamType::Upstream => false,
        };
        self.http(|http| http.is_some_and(is_paused))
    }

    /// What has become of the request so far. It changes when the module continues the stream in a
    /// callback of another kind, such as the one for the answer to a callout.
    pub fn request_outcome(&self) -> Outcome {
        self.outcome(REQUEST)
    }

    /// What has become of the response so far.
    pub fn response_outcome(&self) -> Outcome {
        self.outcome(RESPONSE)
    }

    /// The record of the exchange so far.
    pub fn record(&self) -> ExchangeRecord {
        let vm = self.plugin.vm();
        let stream = vm.state().streams.get(&self.id);
        stream.and_then(Stream::exchange_record).unwrap_or_default()
    }

    /// The fuel the callbacks of this exchange used so far.
    pub fn fuel_used(&self) -> u64 {
        self.record().activity.fuel_used()
    }

    /// Ends the exchange (`proxy_on_log`, `proxy_on_done`, `proxy_on_delete`). Returns its record.
    ///
    /// # Errors
    ///
    /// If the module fails now, or has failed in an earlier callback. To get the record in that
    /// case, call [`record`](Self::record) before.
    pub fn finish(self) -> Result<ExchangeRecord, Error> {
        self.plugin.run_in_vm(|vm| {
            vm.end_exchange(self.id)?;
            let stream = vm.state_mut().streams.remove(&self.id);
            Ok(stream.as_ref().and_then(Stream::exchange_record).unwrap_or_default())
        })
    }

    fn message(&mut self, direction: &Direction, message: Message) -> Result<Outcome, Error> {
        let (has_body, has_trailers) = (!message.body.is_empty(), message.trailers.is_some());
        let mut outcome = self.headers(direction, message.headers, !has_body && !has_trailers)?;
        if has_body {
            outcome = self.body(direction, &message.body, false)?;
        }
        match message.trailers {
            Some(trailers) => self.trailers(direction, trailers),
            None if has_body => self.body(direction, b"", true),
            None => Ok(outcome),
        }
    }

    fn headers(
        &mut self,
        direction: &Direction,
        headers: HeaderMap,
        end_of_stream: bool,
    ) -> Result<Outcome, Error> {
        if self.is_over() {
            return Ok(self.outcome(direction));
        }
        self.in_order(direction, |http, is_response| {
            if (direction.side)(http).headers.is_some() {
                Err("the headers of this direction have been delivered already")
            } else if is_response && http.request.headers.is_none() {
                Err("a response cannot begin before the headers of its request")
            } else {
                Ok(())
            }
        })?;
        let headers = match direction.stream_type {
            StreamType::HttpRequest => headers.with_authority().received(MapType::RequestHeaders),
            _ => headers.received(MapType::ResponseHeaders),
        };
        self.deliver(direction, |vm, id| vm.deliver_headers(id, direction, headers, end_of_stream))
    }

    fn body(
        &mut self,
        direction: &Direction,
        piece: &[u8],
        end_of_stream: bool,
    ) -> Result<Outcome, Error> {
        if self.is_over() {
            return Ok(self.outcome(direction));
        }
        self.in_order(direction, |http, _| rest_is_due((direction.side)(http)))?;
        self.deliver(direction, |vm, id| vm.deliver_body(id, direction, piece, end_of_stream))
    }

    fn trailers(&mut self, direction: &Direction, trailers: HeaderMap) -> Result<Outcome, Error> {
        if self.is_over() {
            return Ok(self.outcome(direction));
        }
        self.in_order(direction, |http, _| rest_is_due((direction.side)(http)))?;
        self.deliver(direction, |vm, id| vm.deliver_trailers(id, direction, trailers))
    }

    fn deliver(
        &self,
        direction: &Direction,
        deliver: impl FnOnce(&mut crate::vm::Vm, u32) -> Result<(), Error>,
    ) -> Result<Outcome, Error> {
        self.plugin.run_in_vm(|vm| deliver(vm, self.id))?;
        Ok(self.outcome(direction))
    }

    /// Whether the exchange is answered or reset.
    fn is_over(&self) -> bool {
        let vm = self.plugin.vm();
        vm.state().streams.get(&self.id).is_some_and(|stream| {
            let Kind::Http(http) = &stream.kind else { return false };
            stream.closed || http.local_reply.is_some()
        })
    }

    fn in_order(
        &self,
        direction: &Direction,
        check: impl FnOnce(&mut Http, bool) -> Result<(), &'static str>,
    ) -> Result<(), Error> {
        let is_response = direction.stream_type == StreamType::HttpResponse;
        let result = self.http(|http| http.map_or(Ok(()), |http| check(http, is_response)));
        result.map_err(|cause| ErrorKind::OutOfOrder(cause).into())
    }

    fn http<T>(&self, with: impl FnOnce(Option<&mut Http>) -> T) -> T {
        let mut vm = self.plugin.vm();
        with(vm.state_mut().streams.get_mut(&self.id).and_then(Stream::http))
    }

    fn outcome(&self, direction: &Direction) -> Outcome {
        let mut vm = self.plugin.vm();
        let Some(stream) = vm.state_mut().streams.get_mut(&self.id) else {
            return Outcome::Closed;
        };
        let is_closed = stream.closed;
        let Some(http) = stream.http() else { return Outcome::Closed };
        if http.local_reply.is_some() {
            Outcome::LocalReply
        } else if is_closed {
            Outcome::Closed
        } else if (direction.side)(http).flow == Flow::Open {
            Outcome::Continue
        } else {
            Outcome::Pause
        }
    }
}

/// Whether a body or trailers can follow.
fn rest_is_due(side: &Side) -> Result<(), &'static str> {
    match side.delivered {
        Delivered::Nothing => Err("the headers have to be delivered before a body or trailers"),
        Delivered::All => Err("this direction has ended already; nothing can follow"),
        Delivered::Some => Ok(()),
    }
}
