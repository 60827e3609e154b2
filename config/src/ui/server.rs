//! The HTTP server of the page.
//!
//! The page shows what its user may read, so other programs must not get it: neither other
//! users of the machine, who do not know the token, nor web pages in the same browser,
//! whose requests have another host or origin. Nor can they keep the page busy.

mod gate;
mod visitors;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Body, Frame};
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::select;
use tokio::time::sleep;

use super::assets::asset;
use super::trial::Trial;
use super::watch::Pages;
use gate::Gate;
pub(super) use gate::Token;
use visitors::{Visitor, Visitors};

/// The time in which a client has to send the head of a request. Also the longest pause
/// between two requests; browsers connect again.
const HEAD_TIMEOUT: Duration = Duration::from_secs(3);

/// The longest body: headers of a request to try.
const MAX_BODY: usize = 64 << 10;

/// The pause after a failed accept, for example if there are too many open files.
const ACCEPT_RETRY_PERIOD: Duration = Duration::from_secs(1);

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
const EVENTS: &str = "text/event-stream";

/// The headers of every response. Nothing but the page's own files is loaded or connected
/// to, and no text becomes markup.
const HEADERS: [(&str, &str); 6] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
    ),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cache-control", "no-store"),
];

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// The page, and who may see it.
pub(super) struct Site {
    gate: Gate,
    pages: Pages,
}

impl Site {
    pub(super) fn new(address: SocketAddr, token: Token, pages: Pages) -> Self {
        Self { gate: Gate::new(address, token), pages }
    }
}

/// Serves clients of `listener` until dropped.
pub(super) async fn serve(listener: TcpListener, site: Site) -> Infallible {
    let site = Arc::new(site);
    let visitors = Visitors::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(ACCEPT_RETRY_PERIOD).await;
            continue;
        };
        let (site, visitor) = (Arc::clone(&site), visitors.enter());
        tokio::spawn(async move { attend(stream, &site, &visitor).await });
    }
}

async fn attend(stream: TcpStream, site: &Site, visitor: &Visitor) {
    let service =
        service_fn(
            |request| async move { Ok::<_, Infallible>(answer(request, site, visitor).await) },
        );
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    select! {
        // A client that disconnects is not an error.
        _ = connection => {}
        () = visitor.closed() => {}
    }
}

async fn answer<B>(request: Request<B>, site: &Site, visitor: &Visitor) -> Answer
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let path = match site.gate.admit(&request) {
        Ok(path) => path.to_owned(),
        Err(refusal) => return last(text(refusal.status(), refusal.message())),
    };
    if !visitor.admit() {
        let line = "the page has too many connections; close some of its windows";
        return last(text(StatusCode::SERVICE_UNAVAILABLE, line));
    }
    file(&path, request, site).await
}

/// What is at a path of the page.
async fn file<B>(path: &str, request: Request<B>, site: &Site) -> Answer
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (method, is_read) = (request.method().clone(), is_read(request.method()));
    match (path, is_read) {
        ("state.json", true) => {
            let json = site.pages.newest.borrow().json.clone();
            content(StatusCode::OK, JSON, json)
        }
        ("events", true) => events(site),
        ("try", false) if method == Method::POST => attempt(request, site).await,
        ("read-again", false) if method == Method::POST => match site.pages.read_again().await {
            Ok(()) => content(StatusCode::OK, JSON, "{}"),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error:#}")),
        },
        ("try" | "read-again", _) => not_allowed("POST"),
        (path, _) => match asset(path) {
            None => text(StatusCode::NOT_FOUND, "there is no such file of the page"),
            Some(_) if !is_read => not_allowed("GET, HEAD"),
            Some(asset) => content(StatusCode::OK, asset.content_type, asset.content),
        },
    }
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Tries a request.
async fn attempt<B>(request: Request<B>, site: &Site) -> Answer
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let Ok(body) = Limited::new(request.into_body(), MAX_BODY).collect().await else {
        return text(StatusCode::PAYLOAD_TOO_LARGE, "the request to try is larger than 64 KiB");
    };
    let trial: Trial = match serde_json::from_slice(&body.to_bytes()) {
        Ok(trial) => trial,
        Err(error) => return text(StatusCode::BAD_REQUEST, &format!("the request: {error}")),
    };
    match site.pages.attempt(trial).await {
        Ok(json) => content(StatusCode::OK, JSON, json),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error:#}")),
    }
}

/// The versions of the document, now and after each change, as server-sent events.
fn events(site: &Site) -> Answer {
    let mut newest = site.pages.newest.clone();
    newest.mark_changed();
    let events = stream::unfold(newest, |mut newest| async move {
        newest.changed().await.ok()?;
        let event = format!("data: {}\n\n", newest.borrow_and_update().version);
        Some((Ok::<_, Infallible>(Frame::data(Bytes::from(event))), newest))
    });
    with_headers(StatusCode::OK, EVENTS, StreamBody::new(events).boxed_unsync())
}

/// The answer after which the connection is closed.
fn last(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

fn not_allowed(methods: &'static str) -> Answer {
    let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, &format!("only {methods}"));
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    answer
}

fn text(status: StatusCode, line: &str) -> Answer {
    content(status, TEXT, format!("{line}\n"))
}

fn content(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    with_headers(status, content_type, Full::new(body.into()).boxed_unsync())
}

fn with_headers(
    status: StatusCode,
    content_type: &'static str,
    body: UnsyncBoxBody<Bytes, Infallible>,
) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    for (name, value) in HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    answer
}
