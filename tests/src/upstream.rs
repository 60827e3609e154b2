//! Upstreams that report the requests they received.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// A server for HTTP/1.1 and HTTP/2 that responds with status 200 and its name in
/// `x-upstream`; stopped when dropped. Request headers change the response:
///
/// | header | effect |
/// | --- | --- |
/// | `x-delay-ms: N` | the response is delayed by N ms |
/// | `x-fail-first: N` | the first N tries of this request get 503 |
/// | `x-answer-NAME: V` | the response has a header `NAME: V` |
pub struct Upstream {
    _runtime: Runtime,
    /// Its address.
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

/// A request as it reached an upstream.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its method.
    pub method: String,
    /// Its path, with the query.
    pub path: String,
    /// Its version.
    pub version: Version,
    /// Its scheme, which only HTTP/2 sends.
    pub scheme: Option<String>,
    /// Its headers in the order received; repeated headers are separate.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Its body.
    pub body: Vec<u8>,
    /// The names of its trailers.
    pub trailers: Vec<String>,
}

/// Whether Envoy itself adds this header to requests.
pub fn is_added_by_envoy(name: &str) -> bool {
    name.starts_with("x-envoy-")
        || ["x-forwarded-for", "x-request-id", "cdn-loop", "content-length"].contains(&name)
}

impl Received {
    /// The names of its headers, sorted.
    pub fn header_names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// All values of a header.
    pub fn values(&self, name: &str) -> Vec<&[u8]> {
        let of_name = self.headers.iter().filter(|(candidate, _)| candidate == name);
        of_name.map(|(_, value)| value.as_slice()).collect()
    }
}

impl Upstream {
    /// Starts an upstream called `name`.
    ///
    /// # Panics
    /// If it cannot listen.
    pub fn start(name: &'static str) -> Self {
        Self::start_on(Ipv4Addr::LOCALHOST.into(), name)
    }

    /// Starts an upstream called `name` on this address of the machine.
    ///
    /// # Panics
    /// If it cannot listen.
    pub fn start_on(ip: IpAddr, name: &'static str) -> Self {
        Self::begin(ip, name, true)
    }

    /// As [`Self::start_on`], for many requests: it remembers only the last one.
    ///
    /// # Panics
    /// If it cannot listen.
    pub fn forgetful(ip: IpAddr, name: &'static str) -> Self {
        Self::begin(ip, name, false)
    }

    fn begin(ip: IpAddr, name: &'static str, remembers: bool) -> Self {
        let (runtime, listener, address) = listening(ip);
        let received = Arc::new(Mutex::new(Vec::new()));
        runtime.spawn(accept(listener, name, remembers, Arc::clone(&received)));
        Self { _runtime: runtime, address, received }
    }

    /// The requests received since the last call.
    ///
    /// # Panics
    /// If its server has panicked.
    pub fn take_received(&self) -> Vec<Received> {
        std::mem::take(&mut *self.received.lock().expect("a healthy server"))
    }

    /// A Service `name` with this upstream as its only endpoint, at a port with the
    /// given name and number.
    pub fn manifests(&self, name: &str, port_name: &str, port: u16) -> String {
        format!(
            "\n---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{ports: [{{name: {port_name}, port: {port}}}]}}\n\
             ---\napiVersion: v1\nkind: Endpoints\nmetadata: {{name: {name}}}\nsubsets: [{{addresses: [{{ip: {}}}], ports: [{{name: {port_name}, port: {}}}]}}]\n---\n",
            self.address.ip(),
            self.address.port()
        )
    }
}

/// A listener on a free port, its address, and a thread for its connections.
pub(crate) fn listening(ip: IpAddr) -> (Runtime, TcpListener, SocketAddr) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let listener = runtime.block_on(TcpListener::bind((ip, 0))).expect("a listener");
    let address = listener.local_addr().expect("an address");
    (runtime, listener, address)
}

async fn accept(
    listener: TcpListener,
    name: &'static str,
    remembers: bool,
    received: Arc<Mutex<Vec<Received>>>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let received = Arc::clone(&received);
        tokio::spawn(async move {
            let service =
                service_fn(move |request| answer(request, name, remembers, Arc::clone(&received)));
            let mut server = auto::Builder::new(TokioExecutor::new());
            // More than Envoy lets through.
            server.http1().max_headers(1_000);
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    name: &'static str,
    remembers: bool,
    received: Arc<Mutex<Vec<Received>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let delay = parts.headers.get("x-delay-ms").and_then(|value| value.to_str().ok()?.parse().ok());
    let headers = parts
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
    let wanted: Vec<_> = parts
        .headers
        .iter()
        .filter_map(|(name, value)| {
            Some((name.as_str().strip_prefix("x-answer-")?.to_owned(), value.clone()))
        })
        .collect();
    let fails_first =
        parts.headers.get("x-fail-first").and_then(|value| value.to_str().ok()?.parse().ok());
    let body = body.collect().await.unwrap_or_default();
    let trailers = body.trailers().into_iter().flat_map(HeaderMap::keys);
    let request = Received {
        method: parts.method.to_string(),
        path: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        version: parts.version,
        scheme: parts.uri.scheme_str().map(str::to_owned),
        headers: headers.collect(),
        trailers: trailers.map(ToString::to_string).collect(),
        body: body.to_bytes().to_vec(),
    };
    let is_failing = {
        let mut received = received.lock().expect("a healthy test");
        // Envoy sends the same one with every try of a request.
        let id = request.values("x-request-id").concat();
        let is_earlier = |earlier: &&Received| earlier.values("x-request-id").concat() == id;
        let is_failing = fails_first
            .is_some_and(|count: usize| received.iter().filter(is_earlier).count() < count);
        if !remembers {
            received.clear();
        }
        received.push(request);
        is_failing
    };
    // Even a delay of zero would take a millisecond.
    if let Some(delay) = delay {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    let mut answer = Response::builder().header("x-upstream", name);
    if is_failing {
        answer = answer.status(503);
    }
    for (name, value) in wanted {
        answer = answer.header(name, value);
    }
    Ok(answer.body(Full::default()).expect("a valid response"))
}
