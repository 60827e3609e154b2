//! The answers to callouts: the callbacks that follow from what an upstream does.

use std::time::Duration;

use crate::abi::{self, Status};
use crate::callouts::{
    Answer, Callouts, Delivered, GrpcCall, HttpCall, Kind, Pending, failed_response,
};
use crate::error::{Error, ErrorKind};
use crate::headers::HeaderMap;
use crate::plugin::size_argument;
use crate::record::Message;
use crate::vm::Vm;

/// The status that Envoy gives to a gRPC stream that breaks off.
const INTERNAL: u32 = 13;

/// The status that Envoy gives to a gRPC call without a response, also if that took too long.
const UNAVAILABLE: u32 = 14;

const RESET: &str =
    "upstream connect error or disconnect/reset before headers. reset reason: remote reset";

impl Callouts {
    /// Drops the callouts of a root context that is gone.
    pub(crate) fn forget(&mut self, root: u32) {
        self.http.retain(|_, call| call.root != root);
        self.grpc.retain(|_, call| call.root != root);
    }

    fn take_http(&mut self, token: u32) -> Result<Pending<HttpCall>, Error> {
        self.http.remove(&token).ok_or_else(|| ErrorKind::UnknownCall { token }.into())
    }

    fn grpc_root(&self, token: u32) -> Result<u32, Error> {
        let call = self.grpc.get(&token).ok_or(ErrorKind::UnknownCall { token })?;
        Ok(call.root)
    }

    /// Whether this part of the metadata of a stream is to be delivered now.
    fn delivers(&mut self, token: u32, part: Delivered) -> bool {
        match (Kind::of(token), self.grpc.get_mut(&token)) {
            (Some(Kind::GrpcStream), Some(call)) if call.delivered < part => {
                call.delivered = part;
                true
            }
            _ => false,
        }
    }
}

impl Vm {
    /// Does what follows from callbacks in the event loop: deletes root contexts, and answers an HTTP
    /// call by the handler of the test. Returns whether there was a call.
    pub(crate) fn settle(&mut self) -> Result<bool, Error> {
        if self.failure().is_some() {
            return Ok(false);
        }
        self.delete_replaced_roots()?;
        self.answer_call()
    }

    fn answer_call(&mut self) -> Result<bool, Error> {
        let Some(handler) = self.state().options.answers.clone() else { return Ok(false) };
        let calls = &mut self.state_mut().callouts.http;
        let Some(pending) = calls.values_mut().find(|call| !call.is_postponed) else {
            return Ok(false);
        };
        pending.is_postponed = true;
        let call = pending.call.clone();
        match handler.answer(&call) {
            Answer::Later => {}
            answer => self.answer(call.token, answer)?,
        }
        Ok(true)
    }

    pub(crate) fn answer(&mut self, token: u32, answer: Answer) -> Result<(), Error> {
        let response = match answer {
            Answer::Response(response) => Some(response),
            Answer::Timeout => Some(failed_response("504", "upstream request timeout")),
            Answer::Unavailable => Some(failed_response("503", "no healthy upstream")),
            Answer::Failure => None,
            Answer::Later => return Ok(()),
        };
        let root = self.state_mut().callouts.take_http(token)?.root;
        match response {
            Some(response) => self.http_response(root, token, response),
            None => self.http_failure(root, token),
        }
    }

    fn http_response(&mut self, root: u32, token: u32, response: Message) -> Result<(), Error> {
        let count = |map: &HeaderMap| u32::try_from(map.len()).unwrap_or(u32::MAX);
        let arguments = [
            root,
            token,
            count(&response.headers),
            size_argument(&response.body),
            response.trailers.as_ref().map_or(0, count),
        ];
        self.state_mut().callouts.response = Some(response);
        let result = self.call(root, abi::ON_HTTP_CALL_RESPONSE, &arguments);
        self.state_mut().callouts.response = None;
        result.map(|_| ())
    }

    fn http_failure(&mut self, root: u32, token: u32) -> Result<(), Error> {
        let callouts = &mut self.state_mut().callouts;
        callouts.status = (Status::BrokenConnection.into(), b"reset".to_vec());
        let result = self.call(root, abi::ON_HTTP_CALL_RESPONSE, &[root, token, 0, 0, 0]);
        self.state_mut().callouts.status.1.clear();
        result.map(|_| ())
    }

    /// Delivers initial metadata. Envoy shows it to streams only.
    pub(crate) fn grpc_initial_metadata(
        &mut self,
        token: u32,
        metadata: HeaderMap,
    ) -> Result<(), Error> {
        let root = self.state().callouts.grpc_root(token)?;
        if !self.state_mut().callouts.delivers(token, Delivered::Initial) {
            return Ok(());
        }
        let count = u32::try_from(metadata.len()).unwrap_or(u32::MAX);
        self.state_mut().callouts.initial_metadata = Some(metadata);
        let result = self.call(root, abi::ON_GRPC_INITIAL_METADATA, &[root, token, count]);
        self.state_mut().callouts.initial_metadata = None;
        result.map(|_| ())
    }

    /// Delivers trailing metadata, after empty initial metadata if there was none: so does Envoy if
    /// the headers of a response end it. It shows both to streams only.
    pub(crate) fn grpc_trailing_metadata(
        &mut self,
        token: u32,
        metadata: HeaderMap,
    ) -> Result<(), Error> {
        let root = self.state().callouts.grpc_root(token)?;
        self.grpc_initial_metadata(token, HeaderMap::default())?;
        if !self.state_mut().callouts.delivers(token, Delivered::Trailing) {
            return Ok(());
        }
        let count = u32::try_from(metadata.len()).unwrap_or(u32::MAX);
        self.state_mut().callouts.trailing_metadata = Some(metadata);
        let result = self.call(root, abi::ON_GRPC_TRAILING_METADATA, &[root, token, count]);
        self.state_mut().callouts.trailing_metadata = None;
        result.map(|_| ())
    }

    /// Delivers a message. It is the whole answer to a call, and one of many in a stream.
    pub(crate) fn grpc_message(&mut self, token: u32, message: Vec<u8>) -> Result<(), Error> {
        let root = self.state().callouts.grpc_root(token)?;
        let headers = [(":status", "200"), ("content-type", "application/grpc")];
        self.grpc_initial_metadata(token, headers.into())?;
        if !self.state().callouts.grpc.contains_key(&token) {
            return Ok(());
        }
        let size = size_argument(&message);
        self.state_mut().callouts.message = Some(message);
        let result = self.call(root, abi::ON_GRPC_RECEIVE, &[root, token, size]);
        let callouts = &mut self.state_mut().callouts;
        callouts.message = None;
        if matches!(Kind::of(token), Some(Kind::GrpcCall)) {
            callouts.grpc.remove(&token);
        }
        result.map(|_| ())
    }

    /// Ends a call or stream with the status of the server. A call that ends well has had an answer.
    pub(crate) fn grpc_close(
        &mut self,
        token: u32,
        status: u32,
        mut message: Vec<u8>,
    ) -> Result<(), Error> {
        if status == 0 && matches!(Kind::of(token), Some(Kind::GrpcCall)) {
            return self.grpc_end(token, INTERNAL, Vec::new());
        }
        // Envoy adds its details of the response.
        let details: &[u8] = if message.is_empty() { b"via_upstream" } else { b"{via_upstream}" };
        message.extend_from_slice(details);
        self.grpc_end(token, status, message)
    }

    /// Ends a call or stream whose connection breaks.
    pub(crate) fn grpc_reset(&mut self, token: u32) -> Result<(), Error> {
        let callouts = &self.state().callouts;
        let begun =
            callouts.grpc.get(&token).is_some_and(|call| call.delivered > Delivered::Nothing);
        if begun {
            let details = b"upstream_reset_after_response_started{remote_reset}";
            return self.grpc_end(token, INTERNAL, details.to_vec());
        }
        self.grpc_local_reply(token, RESET, "upstream_reset_before_response_started{remote_reset}")
    }

    /// Ends a call or stream with the response that Envoy makes in place of the server's.
    fn grpc_local_reply(&mut self, token: u32, message: &str, details: &str) -> Result<(), Error> {
        let reply = [
            (":status", "200"),
            ("content-type", "application/grpc"),
            ("grpc-status", "14"),
            ("grpc-message", message),
        ];
        self.grpc_trailing_metadata(token, reply.into())?;
        self.grpc_end(token, UNAVAILABLE, format!("{message}{{{details}}}").into_bytes())
    }

    fn grpc_end(&mut self, token: u32, status: u32, message: Vec<u8>) -> Result<(), Error> {
        let root = self.state().callouts.grpc_root(token)?;
        self.grpc_trailing_metadata(token, HeaderMap::default())?;
        let callouts = &mut self.state_mut().callouts;
        // The module may have cancelled it in the callback before.
        let Some(call) = callouts.grpc.get_mut(&token) else { return Ok(()) };
        call.delivered = Delivered::All;
        callouts.status = (status, message);
        let result = self.call(root, abi::ON_GRPC_CLOSE, &[root, token, status]);
        let callouts = &mut self.state_mut().callouts;
        callouts.status.1.clear();
        callouts.grpc.remove(&token);
        result.map(|_| ())
    }

    /// Ends the callout whose timeout expires at this time.
    pub(crate) fn time_out(&mut self, at: Duration) -> Result<(), Error> {
        let Some((_, token)) = self.state().callouts.next_deadline().filter(|next| next.0 == at)
        else {
            return Ok(());
        };
        match Kind::of(token) {
            Some(Kind::Http) => self.answer(token, Answer::Timeout),
            _ => self.grpc_local_reply(token, "upstream request timeout", "response_timeout"),
        }
    }

    /// The HTTP calls without an answer.
    pub(crate) fn http_calls(&self) -> Vec<HttpCall> {
        self.state().callouts.http.values().map(|pending| pending.call.clone()).collect()
    }

    /// The gRPC calls and streams that have not ended.
    pub(crate) fn grpc_calls(&self) -> Vec<GrpcCall> {
        self.state().callouts.grpc.values().map(|pending| pending.call.clone()).collect()
    }
}
