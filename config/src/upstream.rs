//! A small upstream like httpbin, for `demo`: `/status/N`, `/delay/N`, `/headers`,
//! `/get`, `/anything`.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The longest delay, in seconds, as in httpbin.
const MAX_DELAY: f64 = 10.0;

/// Serves HTTP/1.1 and HTTP/2 on `listener` until the task is dropped.
///
/// # Errors
/// If the listener fails.
pub async fn serve(listener: TcpListener) -> std::io::Result<()> {
    loop {
        let (stream, client) = listener.accept().await?;
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(request, client));
            // A client may disconnect.
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    client: SocketAddr,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let (_, rest) = parts.uri.path().split_at(1);
    let (endpoint, argument) = rest.split_once('/').unwrap_or((rest, ""));
    let response = match endpoint {
        "status" => status(argument),
        "headers" => Some(as_json(&json!({ "headers": headers(&parts.headers) }))),
        "get" | "anything" | "delay" => {
            if endpoint == "delay" {
                let seconds = argument.parse().unwrap_or(0.0_f64);
                tokio::time::sleep(Duration::from_secs_f64(seconds.clamp(0.0, MAX_DELAY))).await;
            }
            let data =
                body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            Some(as_json(&json!({
                "method": parts.method.as_str(),
                "url": parts.uri.to_string(),
                "protocol": format!("{:?}", parts.version),
                "headers": headers(&parts.headers),
                "data": String::from_utf8_lossy(&data),
                "origin": client.ip().to_string(),
            })))
        }
        _ => None,
    };
    Ok(response.unwrap_or_else(|| empty(StatusCode::NOT_FOUND)))
}

fn status(code: &str) -> Option<Response<Full<Bytes>>> {
    let code = code.parse().ok().filter(|code| (200..=599).contains(code))?;
    Some(empty(StatusCode::from_u16(code).ok()?))
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

fn as_json(value: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(format!("{value:#}\n")));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Repeated headers are joined with `,`.
fn headers(headers: &HeaderMap) -> BTreeMap<&str, String> {
    let mut all: BTreeMap<_, String> = BTreeMap::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        all.entry(name.as_str())
            .and_modify(|joined| *joined = format!("{joined},{value}"))
            .or_insert_with(|| value.into_owned());
    }
    all
}
