//! HTTP exchanges: what Envoy's filter manager does around the callbacks of a filter.
//!
//! The names of the parts are those of `source/common/http/filter_manager.cc` and
//! `source/extensions/common/wasm/context.cc` in Envoy.

use crate::abi::{self, Callback, StreamType};
use crate::error::{Error, ErrorKind};
use crate::headers::HeaderMap;
use crate::plugin::size_argument;
use crate::record::{LocalReply, Sent};
use crate::state::State;
use crate::stream::{Delivered, Direction, Flow, Http, Phase, REQUEST, RESPONSE, Side};
use crate::vm::Vm;

/// The results by which callbacks for headers let them go on. The second one is no longer known in
/// Envoy, which takes it for the first.
const HEADERS_GO_ON: [u32; 2] = [0, 2];

/// What becomes of a piece of a body.
enum BodyAction {
    Continue,
    /// It is kept, and the next callback gets all that is kept.
    Buffer,
    /// It is kept, and the next callback gets only its own piece.
    Watermark,
    /// It is dropped.
    Drop,
}

impl BodyAction {
    fn of(result: Option<u32>) -> Self {
        match result {
            None | Some(0) => Self::Continue,
            Some(1) => Self::Buffer,
            Some(2) => Self::Watermark,
            Some(_) => Self::Drop,
        }
    }
}

impl State {
    /// An open HTTP stream: one that can still get parts.
    fn open_http(&mut self, id: u32) -> Option<&mut Http> {
        self.streams.get_mut(&id).filter(|stream| !stream.closed)?.http()
    }

    /// A direction of an exchange, unless it has ended early.
    fn side(&mut self, id: u32, direction: &Direction) -> Option<&mut Side> {
        self.open_http(id).map(direction.side)
    }
}

impl Vm {
    pub(crate) fn deliver_headers(
        &mut self,
        id: u32,
        direction: &Direction,
        headers: HeaderMap,
        ends: bool,
    ) -> Result<(), Error> {
        let version = self.state().version;
        let count = count_argument(&headers);
        if let Some(http) = self.state_mut().open_http(id)
            && direction.stream_type == StreamType::HttpResponse
            && http.local_reply.is_none()
        {
            http.response_code = headers.get_str(":status").and_then(|code| code.parse().ok());
        }
        let Some(side) = self.state_mut().side(id, direction) else { return Ok(()) };
        side.headers = Some(headers);
        side.headers_open = true;
        side.end_of_stream = ends;
        side.delivered = if ends { Delivered::All } else { Delivered::Some };
        let callback = direction.on_headers.of(version);
        let arguments = [id, count, u32::from(ends)];
        let result = self.call(id, callback, &arguments[..callback.parameters])?;

        if self.is_answered(id, direction) {
            return Ok(());
        }
        let Some(side) = self.state_mut().side(id, direction) else { return Ok(()) };
        if result.is_some_and(|result| !HEADERS_GO_ON.contains(&result)) {
            side.flow = Flow::StoppedAll;
        } else {
            side.headers_open = false;
            side.pass();
        }
        Ok(())
    }

    pub(crate) fn deliver_body(
        &mut self,
        id: u32,
        direction: &Direction,
        piece: &[u8],
        ends: bool,
    ) -> Result<(), Error> {
        let Some(side) = self.state_mut().side(id, direction) else { return Ok(()) };
        if ends {
            side.delivered = Delivered::All;
        }
        side.received += i64::from(size_argument(piece));
        if side.flow == Flow::StoppedAll {
            side.waiting.body.get_or_insert_default().extend_from_slice(piece);
            side.waiting.ends |= ends;
            return Ok(());
        }
        self.run_body(id, direction, piece, ends)
    }

    /// Runs the callback for a piece that has arrived.
    fn run_body(
        &mut self,
        id: u32,
        direction: &Direction,
        piece: &[u8],
        ends: bool,
    ) -> Result<(), Error> {
        let Some(side) = self.state_mut().side(id, direction) else { return Ok(()) };
        if side.gathers {
            side.held.extend_from_slice(piece);
            side.piece = Some(Vec::new());
        } else {
            side.piece = Some(piece.to_vec());
        }
        side.end_of_stream = ends;
        let length = size_argument(side.body().map_or(&[], Vec::as_slice));
        let result = self.call(id, direction.on_body, &[id, length, u32::from(ends)])?;

        if self.is_answered(id, direction) {
            return Ok(());
        }
        if let Some(side) = self.state_mut().side(id, direction) {
            side.after_body(&BodyAction::of(result));
        }
        Ok(())
    }

    pub(crate) fn deliver_trailers(
        &mut self,
        id: u32,
        direction: &Direction,
        trailers: HeaderMap,
    ) -> Result<(), Error> {
        let Some(side) = self.state_mut().side(id, direction) else { return Ok(()) };
        side.delivered = Delivered::All;
        if side.flow == Flow::StoppedAll {
            side.waiting.trailers = Some(trailers);
            return Ok(());
        }
        let count = count_argument(&trailers);
        side.trailers = Some(trailers);
        side.trailers_open = true;
        let result = self.call(id, direction.on_trailers, &[id, count])?;

        if self.is_answered(id, direction) {
            return Ok(());
        }
        let Some(side) = self.state_mut().side(id, direction) else { return Ok(()) };
        if result.is_none_or(|result| result == 0) {
            side.trailers_open = false;
            side.flow = Flow::Open;
            side.pass();
        } else {
            side.flow = Flow::Stopped;
        }
        Ok(())
    }

    /// Whether a local reply has replaced the rest of this direction. The response that is the
    /// reply itself goes on.
    fn is_answered(&mut self, id: u32, direction: &Direction) -> bool {
        let Some(stream) = self.state_mut().streams.get_mut(&id) else { return true };
        let Some(http) = stream.http() else { return true };
        match direction.stream_type {
            StreamType::HttpRequest => http.local_reply.is_some(),
            _ => http.response.sent == Sent::All && http.local_reply.is_some(),
        }
    }

    /// Carries out `proxy_continue_stream`.
    pub(crate) fn resume(
        &mut self,
        id: u32,
        stream_type: StreamType,
        callback: Callback,
    ) -> Result<(), Error> {
        match stream_type {
            StreamType::HttpRequest => self.resume_side(id, REQUEST, callback),
            StreamType::HttpResponse => self.resume_side(id, RESPONSE, callback),
            StreamType::Downstream => self.resume_connection(id),
            StreamType::Upstream => Ok(()),
        }
    }

    fn resume_side(
        &mut self,
        id: u32,
        direction: &Direction,
        callback: Callback,
    ) -> Result<(), Error> {
        let Some(side) = self.state_mut().side(id, direction) else { return Ok(()) };
        let is_response = direction.stream_type == StreamType::HttpResponse;
        if is_response && side.headers.is_none() {
            return Err(self.crash(callback, "it continued a response that has not begun"));
        }
        if is_response && callback == RESPONSE.on_trailers {
            return Err(self.crash(callback, "it continued a response that ends with the callback"));
        }
        match std::mem::take(&mut side.flow) {
            Flow::Open if is_response && callback.name == RESPONSE.on_headers.name => {
                let cause = "it continued a response that it had not paused, so that the headers \
                    are sent twice";
                Err(self.misused(ErrorKind::BrokenStream { callback: callback.name, cause }))
            }
            Flow::Open => Ok(()),
            Flow::Stopped => {
                side.trailers_open = false;
                side.pass();
                Ok(())
            }
            Flow::StoppedAll => {
                side.headers_open = false;
                let waiting = std::mem::take(&mut side.waiting);
                if waiting.is_empty() {
                    side.pass();
                    return Ok(());
                }
                side.sent = Sent::Part;
                if waiting.body.is_some() || waiting.ends {
                    let body = waiting.body.unwrap_or_default();
                    self.run_body(id, direction, &body, waiting.ends)?;
                }
                match waiting.trailers {
                    Some(trailers) => self.deliver_trailers(id, direction, trailers),
                    None => Ok(()),
                }
            }
        }
    }

    /// Carries out `proxy_close_stream`: an HTTP stream is reset as a whole.
    pub(crate) fn close(&mut self, id: u32, callback: Callback) -> Result<(), Error> {
        let Some(stream) = self.state_mut().streams.get_mut(&id) else { return Ok(()) };
        if stream.http().is_some()
            && (stream.phase != Phase::Running || callback == RESPONSE.on_trailers)
        {
            return Err(self.crash(callback, "it closed a stream at its end"));
        }
        stream.closed = true;
        Ok(())
    }

    /// Carries out `proxy_send_local_response`. As in Envoy, only the first one counts.
    pub(crate) fn reply(
        &mut self,
        id: u32,
        reply: LocalReply,
        callback: Callback,
    ) -> Result<(), Error> {
        let Some(stream) = self.state_mut().streams.get_mut(&id) else { return Ok(()) };
        if stream.http().is_some() && stream.phase != Phase::Running {
            return Err(self.crash(callback, "it sent a local reply after the end of the stream"));
        }
        if stream.closed {
            return Ok(());
        }
        let Some(http) = stream.http() else { return Ok(()) };
        if http.local_reply.is_some() && http.response.sent != Sent::Nothing {
            return Ok(());
        }
        http.response_code = Some(reply.status);
        let (headers, body) = reply.message(http.request.headers.as_ref());
        http.local_reply = Some(reply);
        let response = &mut http.response;
        if response.headers.is_none() {
            // A reply to the request runs through the callbacks for the response.
            let ends = body.is_empty();
            self.deliver_headers(id, RESPONSE, headers, ends)?;
            // The callback for these headers may have replied itself.
            if ends || self.is_answered(id, RESPONSE) {
                return Ok(());
            }
            return self.deliver_body(id, RESPONSE, &body, true);
        }
        if response.sent == Sent::Nothing {
            *response = Side {
                headers: Some(headers),
                passed: body,
                delivered: Delivered::All,
                sent: Sent::All,
                ..Side::default()
            };
        } else {
            // The client has the headers of the response, so it can only be cut off.
            stream.closed = true;
        }
        Ok(())
    }

    /// Ends an exchange.
    pub(crate) fn end_exchange(&mut self, id: u32) -> Result<(), Error> {
        self.enter_phase(id, Phase::Logging);
        self.call(id, abi::ON_LOG, &[id])?;
        self.enter_phase(id, Phase::Ending);
        // As in Envoy, a stream does not wait, whatever `proxy_on_done` returns.
        self.call(id, abi::ON_DONE, &[id])?;
        self.call(id, abi::ON_DELETE, &[id])?;
        Ok(())
    }

    pub(crate) fn enter_phase(&mut self, id: u32, phase: Phase) {
        if let Some(stream) = self.state_mut().streams.get_mut(&id) {
            stream.phase = phase;
        }
    }
}

impl Side {
    fn after_body(&mut self, action: &BodyAction) {
        self.gathers = false;
        let piece = self.piece.take().unwrap_or_default();
        if !matches!(action, BodyAction::Drop) {
            self.held.extend(piece);
        }
        match action {
            BodyAction::Continue => {
                self.flow = Flow::Open;
                self.trailers_open = false;
                self.pass();
            }
            BodyAction::Buffer => {
                self.gathers = true;
                self.flow = Flow::Stopped;
            }
            BodyAction::Watermark | BodyAction::Drop => self.flow = Flow::Stopped,
        }
    }
}

/// The number of headers, as an argument of a callback.
fn count_argument(headers: &HeaderMap) -> u32 {
    u32::try_from(headers.len()).unwrap_or(u32::MAX)
}
