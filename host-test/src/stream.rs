//! The streams of a VM: HTTP exchanges and TCP connections.

use std::collections::BTreeMap;

use crate::abi::{Callback, StreamType};
use crate::headers::HeaderMap;
use crate::record::{Activity, ConnectionRecord, ExchangeRecord, LocalReply, Message, Sent};

/// A stream context.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) root: u32,
    pub(crate) kind: Kind,
    /// The stream is reset or its connection closed.
    pub(crate) closed: bool,
    pub(crate) phase: Phase,
    /// The properties that the test has set.
    pub(crate) host_properties: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The properties that the module has set.
    pub(crate) properties: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) activity: Activity,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Http(Box<Http>),
    Tcp(Tcp),
}

/// The part of a stream's life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    #[default]
    Running,
    /// `proxy_on_log`: Envoy's access log, with maps of its own.
    Logging,
    /// `proxy_on_done` and `proxy_on_delete`.
    Ending,
}

/// An HTTP exchange.
#[derive(Debug, Default)]
pub(crate) struct Http {
    pub(crate) request: Side,
    pub(crate) response: Side,
    /// The status of the response as it arrived, or that of the local reply.
    pub(crate) response_code: Option<u32>,
    pub(crate) local_reply: Option<LocalReply>,
}

/// A TCP connection: bytes of each direction that the module holds, and those that it let pass.
#[derive(Debug, Default)]
pub(crate) struct Tcp {
    pub(crate) downstream: Pipe,
    pub(crate) upstream: Pipe,
    /// The module has let the connection go on, so Envoy has connected to the upstream.
    pub(crate) is_connected: bool,
}

/// One direction of a TCP connection.
#[derive(Debug, Default)]
pub(crate) struct Pipe {
    /// The bytes that a callback can read and change. Kept while the module holds them.
    pub(crate) held: Option<Vec<u8>>,
    /// The bytes that have arrived.
    pub(crate) received: i64,
    pub(crate) passed: Vec<u8>,
    pub(crate) is_paused: bool,
    pub(crate) is_ended: bool,
}

/// One direction of an HTTP exchange.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a state that Envoy keeps by itself")]
pub(crate) struct Side {
    pub(crate) headers: Option<HeaderMap>,
    pub(crate) trailers: Option<HeaderMap>,
    /// Whether host calls find the headers: from their callback until they go on.
    pub(crate) headers_open: bool,
    pub(crate) trailers_open: bool,
    /// The piece of the body that its callback gets.
    pub(crate) piece: Option<Vec<u8>>,
    /// The body that the filter holds.
    pub(crate) held: Vec<u8>,
    /// The next callback gets what is held, together with its piece.
    pub(crate) gathers: bool,
    /// The part that was delivered last ends the stream.
    pub(crate) end_of_stream: bool,
    /// What has arrived while the headers were paused.
    pub(crate) waiting: Waiting,
    pub(crate) flow: Flow,
    /// What the test has delivered.
    pub(crate) delivered: Delivered,
    pub(crate) sent: Sent,
    /// The bytes of the body that have arrived.
    pub(crate) received: i64,
    /// The body that has gone on.
    pub(crate) passed: Vec<u8>,
}

/// Parts that no callback has seen, because the headers do not go on.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) ends: bool,
    pub(crate) trailers: Option<HeaderMap>,
}

/// Whether parts go on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Flow {
    #[default]
    Open,
    /// The headers are paused: nothing more is delivered.
    StoppedAll,
    /// The body or the trailers are paused; the module sees further parts.
    Stopped,
}

/// The last part of a message that the test has delivered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Delivered {
    #[default]
    Nothing,
    /// Headers, and perhaps pieces of the body.
    Some,
    All,
}

/// The request or the response: its side, and its callbacks.
#[derive(Debug)]
pub(crate) struct Direction {
    pub(crate) stream_type: StreamType,
    pub(crate) side: fn(&mut Http) -> &mut Side,
    pub(crate) on_headers: Callback,
    pub(crate) on_body: Callback,
    pub(crate) on_trailers: Callback,
}

pub(crate) const REQUEST: &Direction = &Direction {
    stream_type: StreamType::HttpRequest,
    side: |http| &mut http.request,
    on_headers: crate::abi::ON_REQUEST_HEADERS,
    on_body: crate::abi::ON_REQUEST_BODY,
    on_trailers: crate::abi::ON_REQUEST_TRAILERS,
};

pub(crate) const RESPONSE: &Direction = &Direction {
    stream_type: StreamType::HttpResponse,
    side: |http| &mut http.response,
    on_headers: crate::abi::ON_RESPONSE_HEADERS,
    on_body: crate::abi::ON_RESPONSE_BODY,
    on_trailers: crate::abi::ON_RESPONSE_TRAILERS,
};

impl Stream {
    pub(crate) fn new(root: u32, kind: Kind) -> Self {
        Self {
            root,
            kind,
            closed: false,
            phase: Phase::default(),
            host_properties: BTreeMap::new(),
            properties: BTreeMap::new(),
            activity: Activity::default(),
        }
    }

    pub(crate) fn http(&mut self) -> Option<&mut Http> {
        match &mut self.kind {
            Kind::Http(http) => Some(http),
            Kind::Tcp(_) => None,
        }
    }

    pub(crate) fn tcp(&mut self) -> Option<&mut Tcp> {
        match &mut self.kind {
            Kind::Tcp(tcp) => Some(tcp),
            Kind::Http(_) => None,
        }
    }

    /// The record of an exchange.
    pub(crate) fn exchange_record(&self) -> Option<ExchangeRecord> {
        let Kind::Http(http) = &self.kind else { return None };
        Some(ExchangeRecord {
            request: http.request.message(),
            request_sent: http.request.sent,
            response: http.response.message(),
            response_sent: http.response.sent,
            local_reply: http.local_reply.clone(),
            is_reset: self.closed,
            properties: self.properties.clone(),
            activity: self.activity.clone(),
        })
    }

    /// The record of a connection.
    pub(crate) fn connection_record(&self) -> Option<ConnectionRecord> {
        let Kind::Tcp(tcp) = &self.kind else { return None };
        Some(ConnectionRecord {
            to_upstream: tcp.downstream.passed.clone(),
            to_downstream: tcp.upstream.passed.clone(),
            is_closed: self.closed,
            properties: self.properties.clone(),
            activity: self.activity.clone(),
        })
    }
}

impl Side {
    /// The body that a callback can read: all that is held, or its piece.
    pub(crate) fn body(&self) -> Option<&Vec<u8>> {
        if self.gathers { Some(&self.held) } else { self.piece.as_ref() }
    }

    pub(crate) fn body_mut(&mut self) -> Option<&mut Vec<u8>> {
        if self.gathers { Some(&mut self.held) } else { self.piece.as_mut() }
    }

    /// The trailers that a host call may change. As in Envoy, the callback for the last piece of a
    /// body makes them by naming them.
    pub(crate) fn trailers_mut(&mut self) -> Option<&mut HeaderMap> {
        if !self.trailers_open && self.piece.is_some() && self.end_of_stream {
            self.trailers_open = true;
            self.trailers.get_or_insert_default();
        }
        self.trailers.as_mut().filter(|_| self.trailers_open)
    }

    /// Lets the held body go on, and what ends the message if it is there.
    pub(crate) fn pass(&mut self) {
        self.passed.append(&mut self.held);
        self.sent = match self.delivered {
            Delivered::All if self.waiting.is_empty() => Sent::All,
            _ => Sent::Part,
        };
    }

    fn message(&self) -> Message {
        Message {
            headers: self.headers.clone().unwrap_or_default(),
            body: self.passed.clone(),
            trailers: self.trailers.clone(),
        }
    }
}

impl Waiting {
    pub(crate) fn is_empty(&self) -> bool {
        self.body.is_none() && !self.ends && self.trailers.is_none()
    }
}
