//! A proxy between the controller and the API, which injects failures.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Incoming;
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, HeaderValue, TRANSFER_ENCODING,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use kube::Client;
use kube::client::Body;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::namespace::Namespace;
use super::writer::{connect, runtime};

/// Receives plain HTTP requests and forwards them to the API with the permissions
/// of a namespace's gateway, unless the test injects a failure.
pub struct ApiProxy {
    _runtime: Runtime,
    folder: TempDir,
    shared: Arc<Shared>,
}

/// A request from the controller to the API.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The path.
    pub path: String,
    /// The query, without the `?`.
    pub query: String,
    /// The accepted media types.
    pub accept: String,
}

/// The proxy's handling of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The API responds.
    Pass,
    /// The proxy responds with this status, in the form of the API.
    Status(u16),
    /// A watch starts and sends an event with this status, in the form of the API.
    Watched(u16),
    /// The API responds, but the last byte of the response is lost.
    Truncated,
    /// The proxy responds with an HTML page, as a load balancer might.
    Page,
    /// Nothing responds until connections are closed.
    Stall,
    /// The connection is closed.
    Cut,
}

type Judge = dyn FnMut(&Asked) -> Verdict + Send;

type Answer = Response<Either<Full<Bytes>, Body>>;

struct Shared {
    client: Client,
    judge: Mutex<Box<Judge>>,
    page_size: Mutex<Option<usize>>,
    cut: watch::Sender<()>,
}

impl Asked {
    /// Whether it asks for objects of that kind, such as `ingresses`.
    pub fn is_for(&self, plural: &str) -> bool {
        self.path.rsplit('/').next() == Some(plural)
    }

    /// Whether it is a watch.
    pub fn is_watch(&self) -> bool {
        self.has("watch=")
    }

    /// Whether it is a list, or a page of one.
    pub fn is_list(&self) -> bool {
        !self.is_watch() && self.has("limit=")
    }

    /// Whether it is a page of a list, but not the first.
    pub fn is_next_page(&self) -> bool {
        self.has("continue=")
    }

    fn has(&self, start: &str) -> bool {
        self.query.split('&').any(|pair| pair.starts_with(start))
    }
}

impl ApiProxy {
    /// A proxy to the API of this namespace.
    ///
    /// # Panics
    /// If it cannot listen.
    pub fn start(namespace: &Namespace<'_>) -> Self {
        let runtime = runtime();
        let client = runtime.block_on(connect(&namespace.gateway_account()));
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let listener = listener.expect("a listener");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            client,
            judge: Mutex::new(Box::new(|_| Verdict::Pass)),
            page_size: Mutex::default(),
            cut: watch::Sender::new(()),
        });
        runtime.spawn(accept(listener, Arc::clone(&shared)));
        let folder = tempfile::tempdir().expect("a temporary folder");
        write_kubeconfig(&folder.path().join("kubeconfig"), address);
        Self { _runtime: runtime, folder, shared }
    }

    /// A kubeconfig file for this proxy.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// Sets the function that decides about each further request.
    pub fn judge(&self, judge: impl FnMut(&Asked) -> Verdict + Send + 'static) {
        *self.shared.judge.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(judge);
    }

    /// Forwards all further requests to the API.
    pub fn heal(&self) {
        self.judge(|_| Verdict::Pass);
    }

    /// Limits pages of lists to this many objects, even if the request asks for
    /// more.
    pub fn page(&self, size: usize) {
        let mut page_size = self.shared.page_size.lock().unwrap_or_else(PoisonError::into_inner);
        *page_size = Some(size);
    }

    /// Closes all connections, and thus all watches.
    pub fn cut(&self) {
        self.shared.cut.send_replace(());
    }
}

fn write_kubeconfig(path: &Path, address: SocketAddr) {
    let text = format!(
        "apiVersion: v1
kind: Config
clusters: [{{name: test, cluster: {{server: 'http://{address}'}}}}]
users: [{{name: test, user: {{}}}}]
contexts: [{{name: test, context: {{cluster: test, user: test}}}}]
current-context: test
"
    );
    fs::write(path, text).expect("a kubeconfig is written");
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, Arc::clone(&shared)));
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let mut cut = shared.cut.subscribe();
    let service = service_fn(|request| answer(request, Arc::clone(&shared)));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        _ = connection => {}
        _ = cut.changed() => {}
    }
}

async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> io::Result<Answer> {
    let accept = request.headers().get(ACCEPT);
    let asked = Asked {
        path: request.uri().path().to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        accept: String::from_utf8_lossy(accept.map_or(b"", HeaderValue::as_bytes)).into_owned(),
    };
    let verdict = {
        let mut judge = shared.judge.lock().unwrap_or_else(PoisonError::into_inner);
        judge(&asked)
    };
    Ok(match verdict {
        Verdict::Pass => pass(request, &asked, &shared).await.map_err(io::Error::other)?,
        Verdict::Truncated => {
            let answer = pass(request, &asked, &shared).await.map_err(io::Error::other)?;
            let (mut parts, body) = answer.into_parts();
            let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
            // A list ends with a line break.
            let end = body.trim_ascii_end().len().saturating_sub(1);
            parts.headers.remove(CONTENT_LENGTH);
            Response::from_parts(parts, Either::Left(Full::from(body.slice(..end))))
        }
        Verdict::Status(code) => said(code, "application/json", status(code).to_string()),
        Verdict::Watched(code) => {
            let event = json!({"type": "ERROR", "object": status(code)});
            said(200, "application/json", format!("{event}\n"))
        }
        Verdict::Page => said(200, "text/html", "<html>It works!</html>".into()),
        Verdict::Stall => std::future::pending().await,
        Verdict::Cut => return Err(io::ErrorKind::ConnectionReset.into()),
    })
}

async fn pass(
    request: Request<Incoming>,
    asked: &Asked,
    shared: &Shared,
) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
    let (mut parts, body) = request.into_parts();
    for name in [HOST, AUTHORIZATION, CONNECTION] {
        parts.headers.remove(name);
    }
    let page_size = *shared.page_size.lock().unwrap_or_else(PoisonError::into_inner);
    parts.uri = with_page_size(asked, page_size)?;
    let body = Body::from(body.collect().await?.to_bytes());
    let answer = shared.client.send(Request::from_parts(parts, body)).await?;
    let (mut parts, body) = answer.into_parts();
    // The transfer encoding applies only to this connection.
    for name in [CONNECTION, TRANSFER_ENCODING] {
        parts.headers.remove(name);
    }
    parts.version = hyper::Version::HTTP_11;
    Ok(Response::from_parts(parts, Either::Right(body)))
}

fn with_page_size(asked: &Asked, size: Option<usize>) -> Result<Uri, hyper::http::Error> {
    let pairs = asked.query.split('&').map(|pair| match size {
        Some(size) if pair.starts_with("limit=") => format!("limit={size}"),
        _ => pair.to_owned(),
    });
    let query: Vec<_> = pairs.collect();
    Uri::builder().path_and_query(format!("{}?{}", asked.path, query.join("&"))).build()
}

/// The API's response to a request that fails.
fn status(code: u16) -> serde_json::Value {
    let reason = if code == 410 { "Expired" } else { "Failed" };
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "injected by the test", "reason": reason, "code": code,
    })
}

fn said(status: u16, content_type: &str, text: String) -> Answer {
    let answer = Response::builder().status(status).header("content-type", content_type);
    answer.body(Either::Left(Full::from(text))).expect("a valid response")
}
