//! Upstreams that tell what reached them.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// A server of HTTP/1.1 and HTTP/2 that answers 200 with its name in
/// `x-upstream`; stopped when dropped.
pub struct Upstream {
    _runtime: Runtime,
    /// Where it listens.
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

/// A request as it reached an upstream.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its target.
    pub path: String,
    /// Its version.
    pub version: Version,
    /// Its headers in the order received, those sent several times apart.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Upstream {
    /// Starts an upstream called `name`.
    ///
    /// # Panics
    /// Where it cannot listen.
    pub fn start(name: &'static str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a listener");
        let address = listener.local_addr().expect("an address");
        let received = Arc::new(Mutex::new(Vec::new()));
        runtime.spawn(accept(listener, name, Arc::clone(&received)));
        Self { _runtime: runtime, address, received }
    }

    /// What has reached it since the last call.
    ///
    /// # Panics
    /// Where its server has panicked.
    pub fn take_received(&self) -> Vec<Received> {
        std::mem::take(&mut *self.received.lock().expect("a healthy server"))
    }

    /// A Service `name` with this as its only endpoint, at a port of the given
    /// name and number.
    pub fn manifests(&self, name: &str, port_name: &str, port: u16) -> String {
        format!(
            "\n---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{ports: [{{name: {port_name}, port: {port}}}]}}\n\
             ---\napiVersion: v1\nkind: Endpoints\nmetadata: {{name: {name}}}\nsubsets: [{{addresses: [{{ip: {}}}], ports: [{{name: {port_name}, port: {}}}]}}]\n---\n",
            self.address.ip(),
            self.address.port()
        )
    }
}

async fn accept(listener: TcpListener, name: &'static str, received: Arc<Mutex<Vec<Received>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let received = Arc::clone(&received);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let answer = answer(&request, name, &received);
                async move { Ok::<_, Infallible>(answer) }
            });
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

fn answer(
    request: &Request<Incoming>,
    name: &'static str,
    received: &Mutex<Vec<Received>>,
) -> Response<Full<Bytes>> {
    let headers = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
    let request = Received {
        path: request.uri().to_string(),
        version: request.version(),
        headers: headers.collect(),
    };
    received.lock().expect("a healthy test").push(request);
    Response::builder().header("x-upstream", name).body(Full::default()).expect("a valid answer")
}
