//! Callouts: the HTTP and gRPC calls that a module makes, and the answers of the test.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::headers::HeaderMap;
use crate::record::Message;

/// An HTTP call that a module has made with `proxy_http_call`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpCall {
    /// The token by which the test answers the call, and the module recognizes the answer.
    pub token: u32,
    /// The context that made the call: that of the exchange, or a root context.
    pub context: u32,
    /// The cluster, as the module names it.
    pub cluster: Vec<u8>,
    /// The request, with the headers that the module has set.
    pub request: Message,
    /// The time after which the call fails, if it has one.
    pub timeout: Option<Duration>,
}

/// A gRPC call or stream that a module has begun with `proxy_grpc_call` or `proxy_grpc_stream`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GrpcCall {
    /// The token by which the test answers the call, and the module recognizes the answer.
    pub token: u32,
    /// The context that made the call: that of the exchange, or a root context.
    pub context: u32,
    /// The upstream as the module names it: a cluster, or an encoded `GrpcService` of Envoy.
    pub upstream: Vec<u8>,
    /// The name of the service.
    pub service: Vec<u8>,
    /// The name of the method.
    pub method: Vec<u8>,
    /// The metadata that the module sends.
    pub initial_metadata: HeaderMap,
    /// Whether it is a stream, with any number of messages, or a call with one.
    pub is_stream: bool,
    /// The messages that the module has sent so far.
    pub messages: Vec<Vec<u8>>,
    /// Whether the module sends no more messages.
    pub is_ended: bool,
    /// The time after which a call fails, if it has one.
    pub timeout: Option<Duration>,
}

/// What becomes of an HTTP call.
///
/// Given by a handler ([`Options::answer_calls`](crate::Options::answer_calls)) in advance, or by
/// the test with [`Plugin::answer`](crate::Plugin::answer).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// The upstream answers with this.
    Response(Message),
    /// The connection breaks: the module gets neither headers nor a body.
    Failure,
    /// The call takes too long: the module gets the response 504 that Envoy makes.
    Timeout,
    /// The upstream cannot be reached: the module gets the response 503 that Envoy makes.
    Unavailable,
    /// No answer yet; the test may give one later.
    Later,
}

impl Answer {
    /// A response of the upstream.
    pub fn response(response: impl Into<Message>) -> Self {
        Self::Response(response.into())
    }
}

/// The pending callouts of a VM, and what a callback about one of them can read.
#[derive(Debug, Default)]
pub(crate) struct Callouts {
    pub(crate) http: BTreeMap<u32, Pending<HttpCall>>,
    pub(crate) grpc: BTreeMap<u32, Pending<GrpcCall>>,
    made: [u32; 3],
    /// The response of the HTTP call whose callback is running.
    pub(crate) response: Option<Message>,
    pub(crate) initial_metadata: Option<HeaderMap>,
    pub(crate) trailing_metadata: Option<HeaderMap>,
    pub(crate) message: Option<Vec<u8>>,
    /// What `proxy_get_status` returns. As in Envoy, the code stays until the next one.
    pub(crate) status: (u32, Vec<u8>),
}

/// A callout without an answer.
#[derive(Debug)]
pub(crate) struct Pending<C> {
    pub(crate) call: C,
    pub(crate) root: u32,
    /// The time of the clock, as it is ahead, at which the call fails.
    pub(crate) deadline: Option<Duration>,
    /// The handler has said that the answer comes later.
    pub(crate) is_postponed: bool,
    pub(crate) delivered: Delivered,
}

/// How much of the metadata of a gRPC stream the module has got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd)]
pub(crate) enum Delivered {
    #[default]
    Nothing,
    Initial,
    Trailing,
    /// The status, too.
    All,
}

/// The kind of a callout, which Envoy puts into the lowest bits of its token.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Http = 0,
    GrpcCall = 1,
    GrpcStream = 2,
}

impl Kind {
    /// The kind of the callout with this token.
    pub(crate) fn of(token: u32) -> Option<Self> {
        match token & 3 {
            0 => Some(Self::Http),
            1 => Some(Self::GrpcCall),
            2 => Some(Self::GrpcStream),
            _ => None,
        }
    }
}

impl Callouts {
    /// The next token of this kind.
    pub(crate) fn next_token(&mut self, kind: Kind) -> u32 {
        let made = &mut self.made[kind as usize];
        *made += 1;
        *made * 4 + kind as u32
    }

    /// The deadline that comes first, and its token.
    pub(crate) fn next_deadline(&self) -> Option<(Duration, u32)> {
        let http = self.http.values().filter_map(|call| Some((call.deadline?, call.call.token)));
        let grpc = self.grpc.values().filter_map(|call| Some((call.deadline?, call.call.token)));
        http.chain(grpc).min()
    }
}

/// The response that Envoy makes for a call that has failed.
pub(crate) fn failed_response(status: &str, body: &str) -> Message {
    let length = body.len().to_string();
    Message::new([(":status", status), ("content-length", &length), ("content-type", "text/plain")])
        .body(body)
}
