//! An upstream that responds with the request it received, so that many requests
//! can be in flight.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::client::Answer;
use crate::upstream::listening;

/// The response header that contains the request.
const HEADER: &str = "x-echo";

/// A server on each address of this machine; stopped when dropped.
pub struct Echo {
    _runtime: Runtime,
    /// Its port.
    pub port: u16,
}

/// A request as it reached the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Echoed {
    /// The local address at which it arrived.
    pub at: SocketAddr,
    /// Its method.
    pub method: String,
    /// Its path, with the query.
    pub path: String,
    /// Its headers in the order received; repeated headers are separate.
    pub headers: Vec<(String, String)>,
}

impl Echo {
    /// Starts it.
    ///
    /// # Panics
    /// If it cannot listen.
    pub fn start() -> Self {
        let (runtime, listener, address) = listening(Ipv4Addr::UNSPECIFIED.into());
        runtime.spawn(accept(listener));
        Self { _runtime: runtime, port: address.port() }
    }
}

impl Echoed {
    /// The request that this response reports; `None` if it is not from such a
    /// server.
    ///
    /// # Panics
    /// If the report is malformed.
    pub fn of(answer: &Answer) -> Option<Self> {
        let json = BASE64.decode(answer.header(HEADER)?).expect("base64");
        Some(serde_json::from_slice(&json).expect("JSON"))
    }
}

async fn accept(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let Ok(at) = stream.local_addr() else { continue };
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                std::future::ready(Ok::<_, Infallible>(answer(&request, at)))
            });
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn answer(request: &Request<Incoming>, at: SocketAddr) -> Response<Empty<Bytes>> {
    let headers = request.headers().iter().map(|(name, value)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    });
    let echoed = Echoed {
        at,
        method: request.method().to_string(),
        path: request.uri().path_and_query().map(ToString::to_string).unwrap_or_default(),
        headers: headers.collect(),
    };
    let json = serde_json::to_vec(&echoed).expect("JSON");
    let answer = Response::builder().header(HEADER, BASE64.encode(json));
    answer.body(Empty::new()).expect("a valid response")
}
