//! The HTTP endpoints for operators: `/healthz`, `/readyz`, `/metrics`.
//!
//! `/healthz` reports that ingressctl runs, `/readyz` that traffic can be sent
//! to its Envoy:
//! <https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/>.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use prometheus_client::encoding::prometheus_text;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tracing::{error, warn};

use super::Exposition;

/// The timeout of a client, from its connection to the end of the response.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(10);

/// The maximum number of concurrent clients; others wait to be accepted.
const MAX_CLIENTS: usize = 64;

/// The pause after a failed accept, for example if there are too many open files.
const ACCEPT_RETRY_PERIOD: Duration = Duration::from_secs(1);

const METRICS: &str = "/metrics";

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether traffic can be sent to Envoy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// Not yet, with the reason in one line.
    Starting(String),
    /// It serves.
    Ready,
    /// It does not run, or does not respond.
    EnvoyDown,
    /// It still serves, but is shutting down.
    Draining,
}

/// Serves clients of `listener` until dropped, even after failures.
pub(crate) async fn serve(
    listener: TcpListener,
    readiness: watch::Receiver<Readiness>,
    metrics: Arc<Exposition>,
) -> Infallible {
    let places = Arc::new(Semaphore::new(MAX_CLIENTS));
    let mut has_failed = false;
    loop {
        // The semaphore is never closed.
        let place = Arc::clone(&places).acquire_owned().await;
        match listener.accept().await {
            Ok((stream, _)) => {
                has_failed = false;
                let (readiness, metrics) = (readiness.clone(), Arc::clone(&metrics));
                tokio::spawn(async move {
                    let _place = place;
                    attend(stream, &readiness, &metrics).await;
                });
            }
            Err(error) => {
                if !std::mem::replace(&mut has_failed, true) {
                    error!(%error, "cannot accept connections for probes and metrics; retrying");
                }
                sleep(ACCEPT_RETRY_PERIOD).await;
            }
        }
    }
}

/// One response per connection, so none is kept open, and one timeout covers everything
/// that a client could do slowly.
async fn attend(stream: TcpStream, readiness: &watch::Receiver<Readiness>, metrics: &Exposition) {
    let service = service_fn(|request: Request<Incoming>| async move {
        if request.uri().path() == METRICS {
            metrics.refresh().await;
        }
        let readiness = readiness.borrow().clone();
        Ok::<_, Infallible>(answer(&request, &readiness, metrics))
    });
    let connection =
        http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service);
    // A client that disconnects or is too slow is not an error.
    let _ = timeout(CLIENT_TIMEOUT, connection).await;
}

fn answer<B>(
    request: &Request<B>,
    readiness: &Readiness,
    metrics: &Exposition,
) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    if !matches!(path, "/healthz" | "/readyz" | METRICS) {
        return text(StatusCode::NOT_FOUND, "not found; use /healthz, /readyz or /metrics");
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match path {
        "/healthz" => text(StatusCode::OK, "ok"),
        "/readyz" => ready(readiness),
        _ => tell(request, metrics),
    }
}

fn ready(readiness: &Readiness) -> Response<Full<Bytes>> {
    let reason = match readiness {
        Readiness::Ready => return text(StatusCode::OK, "ok"),
        Readiness::Starting(reason) => &format!("starting: {}", crate::finding::one_line(reason)),
        Readiness::EnvoyDown => "Envoy does not respond",
        Readiness::Draining => "draining",
    };
    text(StatusCode::SERVICE_UNAVAILABLE, reason)
}

/// Prometheus requests `OpenMetrics`; clients without `accept`, such as curl, get the
/// older format.
fn tell<B>(request: &Request<B>, metrics: &Exposition) -> Response<Full<Bytes>> {
    let accepted = request.headers().get_all(ACCEPT).into_iter();
    let mut accepted = accepted.filter_map(|value| value.to_str().ok());
    let is_openmetrics = accepted.any(|value| value.contains("application/openmetrics-text"));
    let (content_type, told) = if is_openmetrics {
        (OPENMETRICS, metrics.to_openmetrics())
    } else {
        (prometheus_text::CONTENT_TYPE, metrics.to_prometheus())
    };
    match told {
        Ok(told) => {
            let mut response = Response::new(Full::from(told));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            response
        }
        Err(error) => {
            warn!(%error, "cannot encode the metrics");
            text(StatusCode::INTERNAL_SERVER_ERROR, "cannot encode the metrics")
        }
    }
}

fn text(status: StatusCode, line: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(format!("{line}\n")));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use prometheus_client::registry::Registry;

    use super::*;
    use crate::rollout::EnvoyHandle;

    /// A server, and the sender of its readiness.
    async fn start() -> (SocketAddr, watch::Sender<Readiness>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, readiness) = watch::channel(Readiness::Starting("reads\nServices".into()));
        let folder = tempfile::tempdir().unwrap();
        let nowhere = EnvoyHandle::at(folder.path().join("admin-address"));
        let exposition = Exposition::new(Registry::default(), nowhere);
        tokio::spawn(serve(listener, readiness, Arc::new(exposition)));
        (address, sender)
    }

    /// The complete response in bytes.
    async fn exchange(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn get(address: SocketAddr, path: &str) -> String {
        exchange(address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await
    }

    #[tokio::test]
    async fn ready_is_who_serves() {
        let (address, sender) = start().await;
        assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200 "));
        let answer = get(address, "/readyz").await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.ends_with("\r\n\r\nstarting: reads\\nServices\n"), "{answer}");
        for (readiness, status, body) in [
            (Readiness::Ready, 200, "ok"),
            (Readiness::EnvoyDown, 503, "Envoy does not respond"),
            (Readiness::Draining, 503, "draining"),
        ] {
            sender.send_replace(readiness);
            let answer = get(address, "/readyz?verbose").await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
            assert!(answer.ends_with(&format!("\r\n\r\n{body}\n")), "{answer}");
            assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200 "));
        }
    }

    #[tokio::test]
    async fn metrics_come_in_the_format_that_is_asked_for() {
        let (address, _sender) = start().await;
        let answer = get(address, "/metrics").await;
        assert!(answer.contains("content-type: text/plain; version=0.0.4"), "{answer}");
        assert!(answer.contains("\ningress_envoy_up 0\n"), "{answer}");
        let accept = "Accept: application/openmetrics-text;version=1.0.0;q=0.6,*/*;q=0.1";
        let request = format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{accept}\r\n\r\n");
        let answer = exchange(address, &request).await;
        assert!(answer.contains("content-type: application/openmetrics-text"), "{answer}");
        assert!(answer.ends_with("# EOF\n"), "{answer}");
    }

    /// Each of them disconnects before Envoy, which does not respond, is given up.
    #[tokio::test]
    async fn clients_that_disconnect_do_not_make_it_ask_envoy_again() {
        let envoy = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("admin-address");
        std::fs::write(&file, envoy.local_addr().unwrap().to_string()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_sender, readiness) = watch::channel(Readiness::Ready);
        let exposition = Exposition::new(Registry::default(), EnvoyHandle::at(file));
        tokio::spawn(serve(listener, readiness, Arc::new(exposition)));
        for _ in 0..5 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            sleep(Duration::from_millis(100)).await;
        }
        let mut asked = Vec::new();
        while let Ok(accepted) = timeout(Duration::from_millis(200), envoy.accept()).await {
            asked.push(accepted.unwrap());
        }
        // The two requests of one reading.
        assert_eq!(asked.len(), 2);
    }

    #[tokio::test]
    async fn answers_nothing_else() {
        let (address, _sender) = start().await;
        for (request, want) in [
            ("GET / HTTP/1.1", "HTTP/1.1 404 "),
            ("GET /metrics/ HTTP/1.1", "HTTP/1.1 404 "),
            ("POST /metrics HTTP/1.1", "HTTP/1.1 405 "),
            ("DELETE /healthz HTTP/1.1", "HTTP/1.1 405 "),
            ("nonsense", "HTTP/1.1 400 "),
        ] {
            let answer = exchange(address, &format!("{request}\r\nHost: x\r\n\r\n")).await;
            assert!(answer.starts_with(want), "{request}: {answer}");
            assert_eq!(want.contains("405"), answer.contains("allow: GET, HEAD"), "{answer}");
        }
        let answer = exchange(address, "HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n"), "{answer}");
    }

    #[tokio::test]
    async fn clients_that_say_nothing_do_not_keep_others_waiting() {
        let (address, _sender) = start().await;
        let mut silent = Vec::new();
        for _ in 0..MAX_CLIENTS / 2 {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200 "));
    }
}
