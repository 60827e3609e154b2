//! A collector of OpenTelemetry, by OTLP over gRPC.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::runtime::Runtime;

use crate::edge::wait_until;
use crate::upstream::listening;

/// A collector that keeps all spans; stopped when dropped.
pub struct Collector {
    _runtime: Runtime,
    /// Where it listens.
    pub address: SocketAddr,
    spans: Spans,
}

type Spans = Arc<Mutex<Vec<Span>>>;

/// A span that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// In hexadecimal digits.
    pub trace_id: String,
    /// In hexadecimal digits.
    pub span_id: String,
    /// In hexadecimal digits; empty for the first span of a trace.
    pub parent_id: String,
    /// The `service.name` of its resource.
    pub service: String,
    /// Its attributes with text values.
    pub attributes: BTreeMap<String, String>,
}

impl Collector {
    /// Starts one on a free port.
    ///
    /// # Panics
    /// If it cannot listen.
    pub fn start() -> Self {
        let (runtime, listener, address) = listening(Ipv4Addr::LOCALHOST.into());
        let spans = Spans::default();
        let received = Arc::clone(&spans);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let received = Arc::clone(&received);
                let service = service_fn(move |request| export(request, Arc::clone(&received)));
                let connection = http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service);
                tokio::spawn(connection);
            }
        });
        Self { _runtime: runtime, address, spans }
    }

    /// All spans so far.
    pub fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for the span of a request whose URL contains `mark`.
    ///
    /// # Panics
    /// If there is none within the time limit.
    pub fn span(&self, mark: &str) -> Span {
        let mut found = None;
        wait_until(&format!("a span about {mark}"), || {
            let is_it =
                |span: &Span| span.attributes.get("http.url").is_some_and(|url| url.contains(mark));
            found = self.spans().into_iter().find(is_it);
            found.is_some()
        });
        found.expect("the span was found")
    }
}

/// `TraceService.Export`.
async fn export(
    request: Request<Incoming>,
    received: Spans,
) -> Result<Response<impl hyper::body::Body<Data = Bytes, Error = Infallible>>, hyper::Error> {
    let is_export =
        request.uri().path() == "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let body = request.into_body().collect().await?.to_bytes();
    // One byte for compression, four for the length.
    let message = body.get(5..).and_then(|message| ExportRequest::decode(message).ok());
    let status = match message.filter(|_| is_export) {
        Some(message) => {
            received.lock().unwrap_or_else(PoisonError::into_inner).extend(message.spans());
            "0"
        }
        None => "3",
    };
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(status));
    let body = Full::new(Bytes::from_static(&[0; 5]));
    let mut response = Response::new(body.with_trailers(async move { Some(Ok(trailers)) }));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    Ok(response)
}

/// `collector.trace.v1.ExportTraceServiceRequest`, as far as tests read it.
#[derive(Clone, PartialEq, Message)]
struct ExportRequest {
    #[prost(message, repeated, tag = "1")]
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct ScopeSpans {
    #[prost(message, repeated, tag = "2")]
    spans: Vec<SpanMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct SpanMessage {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    parent_span_id: Vec<u8>,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(string, tag = "1")]
    string_value: String,
}

impl ExportRequest {
    fn spans(self) -> Vec<Span> {
        let mut spans = Vec::new();
        for ResourceSpans { resource, scope_spans } in self.resource_spans {
            let resource = attributes(resource.unwrap_or_default().attributes);
            let service = resource.get("service.name").cloned().unwrap_or_default();
            let messages = scope_spans.into_iter().flat_map(|scope| scope.spans);
            spans.extend(messages.map(|message| Span {
                trace_id: hexadecimal(&message.trace_id),
                span_id: hexadecimal(&message.span_id),
                parent_id: hexadecimal(&message.parent_span_id),
                service: service.clone(),
                attributes: attributes(message.attributes),
            }));
        }
        spans
    }
}

fn attributes(pairs: Vec<KeyValue>) -> BTreeMap<String, String> {
    let pairs = pairs.into_iter();
    pairs.map(|pair| (pair.key, pair.value.unwrap_or_default().string_value)).collect()
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
