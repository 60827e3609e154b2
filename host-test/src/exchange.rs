//! An HTTP exchange, callback by callback.

use crate::abi::{self, Callback, StreamType};
use crate::error::Error;
use crate::headers::HeaderMap;
use crate::plugin::{Plugin, delete_replaced_roots, size_argument};
use crate::record::{ExchangeRecord, Message, property_path};
use crate::state::{Side, Stream};

/// The result of a callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The delivered part is forwarded.
    Continue,
    /// The delivered part is held until the module continues the stream; see
    /// [`Exchange::is_paused`].
    Pause,
    /// The module sent a local reply: see [`ExchangeRecord::local_reply`].
    /// Nothing more of this direction is delivered.
    LocalReply,
    /// The module closed the stream. Nothing more is delivered.
    Closed,
}

/// An HTTP stream in a plugin.
///
/// The caller acts as the proxy: it delivers the parts of the request and response in order, and
/// gets the outcome of each. Once a direction has ended by a local reply, or the stream is closed,
/// deliveries do nothing and return the same outcome again.
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

    /// Sets a property of the stream, by the parts of its path, such as `["source", "address"]`.
    pub fn set_property(&mut self, path: &[&str], value: impl Into<Vec<u8>>) {
        let mut vm = self.plugin.vm();
        vm.stream(self.id).host_properties.insert(property_path(path), value.into());
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

    /// Delivers a whole request, until the module stops it.
    ///
    /// # Errors
    ///
    /// If the module fails.
    pub fn request(&mut self, request: impl Into<Message>) -> Result<Outcome, Error> {
        self.message(REQUEST, request.into())
    }

    /// Delivers a whole response, until the module stops it.
    ///
    /// # Errors
    ///
    /// If the module fails.
    pub fn response(&mut self, response: impl Into<Message>) -> Result<Outcome, Error> {
        self.message(RESPONSE, response.into())
    }

    /// Delivers the module's local reply as the response, as Envoy does, but without the headers
    /// that Envoy adds, such as `content-length`. Does nothing if there is no local reply.
    ///
    /// # Errors
    ///
    /// If the module fails.
    pub fn local_response(&mut self) -> Result<Outcome, Error> {
        let Some(reply) = self.plugin.vm().stream(self.id).local_reply.clone() else {
            return Ok(Outcome::Continue);
        };
        let mut headers = HeaderMap::from([(":status", reply.status.to_string())]);
        for (name, value) in reply.headers.iter() {
            headers.add(name, value);
        }
        self.response(Message::new(headers).body(reply.body))
    }

    /// Whether the module has paused this direction.
    pub fn is_paused(&self, direction: StreamType) -> bool {
        self.plugin.vm().stream(self.id).side(direction).is_some_and(|side| side.paused)
    }

    /// The record of the exchange so far.
    pub fn record(&self) -> ExchangeRecord {
        self.plugin.vm().stream(self.id).record()
    }

    /// The fuel the callbacks of this exchange used so far.
    pub fn fuel_used(&self) -> u64 {
        self.plugin.vm().stream(self.id).activity.fuel_used()
    }

    /// Ends the exchange (`proxy_on_done`, `proxy_on_log`, `proxy_on_delete`). Returns its record.
    ///
    /// # Errors
    ///
    /// If the module fails now, or has trapped in an earlier callback. To get the record in that
    /// case, call [`record`](Self::record) before.
    pub fn finish(self) -> Result<ExchangeRecord, Error> {
        let mut vm = self.plugin.vm();
        vm.stream(self.id).logging = true;
        // As in Envoy, a stream does not wait, whatever `proxy_on_done` returns.
        for callback in [abi::ON_DONE, abi::ON_LOG, abi::ON_DELETE] {
            vm.call(self.id, callback, &[self.id])?;
        }
        let record = vm.stream(self.id).record();
        vm.state_mut().streams.remove(&self.id);
        delete_replaced_roots(&mut vm)?;
        Ok(record)
    }

    fn message(&mut self, direction: &Direction, message: Message) -> Result<Outcome, Error> {
        let (has_body, has_trailers) = (!message.body.is_empty(), message.trailers.is_some());
        let mut outcome = self.headers(direction, message.headers, !has_body && !has_trailers)?;
        // Paused headers delay all later parts; a paused body is only collected.
        if outcome == Outcome::Continue && has_body {
            outcome = self.body(direction, &message.body, !has_trailers)?;
        } else if outcome != Outcome::Continue {
            return Ok(outcome);
        }
        match message.trailers {
            Some(trailers) => self.trailers(direction, trailers),
            None => Ok(outcome),
        }
    }

    fn headers(
        &mut self,
        direction: &Direction,
        headers: HeaderMap,
        end_of_stream: bool,
    ) -> Result<Outcome, Error> {
        self.deliver(direction, direction.on_headers, Some(end_of_stream), |side| {
            count_argument(side.headers.insert(headers))
        })
    }

    fn body(
        &mut self,
        direction: &Direction,
        piece: &[u8],
        end_of_stream: bool,
    ) -> Result<Outcome, Error> {
        self.deliver(direction, direction.on_body, Some(end_of_stream), |side| {
            let buffer = side.buffer.get_or_insert_default();
            buffer.extend_from_slice(piece);
            size_argument(buffer)
        })
    }

    fn trailers(&mut self, direction: &Direction, trailers: HeaderMap) -> Result<Outcome, Error> {
        self.deliver(direction, direction.on_trailers, None, |side| {
            count_argument(side.trailers.insert(trailers))
        })
    }

    /// Stores a part for the module, runs the callback with its size, and applies the action that
    /// the callback returns.
    fn deliver(
        &mut self,
        direction: &Direction,
        callback: Callback,
        end_of_stream: Option<bool>,
        place: impl FnOnce(&mut Side) -> u32,
    ) -> Result<Outcome, Error> {
        let mut vm = self.plugin.vm();
        let stream = vm.stream(self.id);
        if let Some(outcome) = direction.stopped(stream) {
            return Ok(outcome);
        }
        let mut arguments = vec![self.id, place((direction.side)(stream))];
        arguments.extend(end_of_stream.map(u32::from));
        let action = vm.call(self.id, callback, &arguments)?;

        let side = (direction.side)(vm.stream(self.id));
        // 0 is Continue and 1 is Pause. C++ modules have more ways to stop, all above 1.
        side.paused = action.is_some_and(|action| action != 0);
        if !side.paused {
            side.pass();
        }
        vm.state_mut().after_callback();
        let stream = vm.stream(self.id);
        Ok(direction.stopped(stream).unwrap_or(if (direction.side)(stream).paused {
            Outcome::Pause
        } else {
            Outcome::Continue
        }))
    }
}

/// The request or the response: its position in the state, and its callbacks.
struct Direction {
    side: fn(&mut Stream) -> &mut Side,
    on_headers: Callback,
    on_body: Callback,
    on_trailers: Callback,
}

const REQUEST: &Direction = &Direction {
    side: |stream| &mut stream.request,
    on_headers: abi::ON_REQUEST_HEADERS,
    on_body: abi::ON_REQUEST_BODY,
    on_trailers: abi::ON_REQUEST_TRAILERS,
};

const RESPONSE: &Direction = &Direction {
    side: |stream| &mut stream.response,
    on_headers: abi::ON_RESPONSE_HEADERS,
    on_body: abi::ON_RESPONSE_BODY,
    on_trailers: abi::ON_RESPONSE_TRAILERS,
};

impl Direction {
    /// The outcome after which nothing more is delivered, if any.
    fn stopped(&self, stream: &mut Stream) -> Option<Outcome> {
        if stream.closed {
            Some(Outcome::Closed)
        } else if (self.side)(stream).ended {
            Some(Outcome::LocalReply)
        } else {
            None
        }
    }
}

/// The number of headers, as an argument of a callback.
fn count_argument(headers: &HeaderMap) -> u32 {
    u32::try_from(headers.len()).unwrap_or(u32::MAX)
}
